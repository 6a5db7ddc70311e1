/**
 * Moves money between two banks and writes the audit entry: all of it, or none. Three times, with the same operations: as a saga,
 * whose steps are seen one by one and undone when a later one fails; by two-phase commit, where all are kept back until all have
 * agreed; and by three-phase commit, where all know that all have agreed before the first one books, and need no coordinator then.
 */
import { branch, participant, saga, threePhaseCommit, twoPhaseCommit } from 'temporal-txn/workflow';
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

export async function transferMoneyAtomically(transfer: Transfer): Promise<TransferReceipt> {
  const [debit, , entry] = await twoPhaseCommit(branchesOf(transfer));
  return { auditEntry: entry.id, balanceAfter: debit.balance };
}

export async function transferMoneyInThreePhases(transfer: Transfer): Promise<TransferReceipt> {
  const [debit, , entry] = await threePhaseCommit(branchesOf(transfer), { timeouts: { preCommit: '2 seconds' } });
  return { auditEntry: entry.id, balanceAfter: debit.balance };
}

const branchesOf = ({ from, to, amount, currency }: Transfer) =>
  [
    branch(bank(from.bank).debit, { account: from.account, amount, currency }),
    branch(bank(to.bank).credit, { account: to.account, amount, currency }),
    branch(ledger.record, {
      kind: 'transfer',
      from: `${from.bank}/${from.account}`,
      to: `${to.bank}/${to.account}`,
      amount,
      currency,
    }),
  ] as const;
