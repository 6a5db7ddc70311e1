/** Moves money between two banks and writes the audit entry: all of it, or none. */
import { participant, saga } from 'temporal-txn/workflow';
import type { accounts } from '../activities/accounts/operations';
import type { audit } from '../activities/audit/operations';

/** An account at a bank; the bank's name is the name of its service. */
export interface AccountRef {
  readonly bank: 'north-bank' | 'south-bank';
  readonly account: string;
}

export interface Transfer {
  readonly from: AccountRef;
  readonly to: AccountRef;
  /** In minor units: 1050 is EUR 10.50. */
  readonly amount: number;
  readonly currency: string;
}

export interface TransferReceipt {
  readonly auditEntry: string;
  readonly balanceAfter: number;
}

const ledger = participant<typeof audit>('audit');
const bank = (name: string) => participant<typeof accounts>(name);

export async function transferMoney({ from, to, amount, currency }: Transfer): Promise<TransferReceipt> {
  return saga(async (s) => {
    const debit = await s.step(bank(from.bank).debit, { account: from.account, amount, currency });
    await s.step(bank(to.bank).credit, { account: to.account, amount, currency });
    const entry = await s.step(ledger.record, {
      kind: 'transfer',
      from: `${from.bank}/${from.account}`,
      to: `${to.bank}/${to.account}`,
      amount,
      currency,
    });
    return { auditEntry: entry.id, balanceAfter: debit.balance };
  });
}
