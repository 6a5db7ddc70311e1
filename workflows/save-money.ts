/** Moves money from a bank to a savings account, in one atomic transaction: one keeps balances, the other nothing but events. */
import { branch, participant, twoPhaseCommit } from 'temporal-txn/workflow';
import type { accounts } from '../activities/accounts/operations';
import type { savings } from '../activities/savings/operations';
import type { AccountRef } from './bank-transfer';

export interface Saving {
  readonly from: AccountRef;
  /** The savings account. */
  readonly to: string;
  /** In minor units. */
  readonly amount: number;
  readonly currency: string;
}

export interface SavingReceipt {
  /** What the savings account holds now, in minor units. */
  readonly saved: number;
}

const bank = (name: string) => participant<typeof accounts>(name);
const nestEgg = participant<typeof savings>('savings');

export async function saveMoney({ from, to, amount, currency }: Saving): Promise<SavingReceipt> {
  const [, deposit] = await twoPhaseCommit([
    branch(bank(from.bank).debit, { account: from.account, amount, currency }),
    branch(nestEgg.deposit, { account: to, amount, currency }),
  ]);
  return { saved: deposit.balance };
}
