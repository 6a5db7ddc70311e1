/** The transfer as a saga, and by two-phase commit with both ways to vote: the same operations of the same participants. */
import { branch, participant, saga, twoPhaseCommit } from 'temporal-txn/workflow';
import type { TwoPhaseCommitOptions } from 'temporal-txn/workflow';
import type { accounts } from '../../activities/accounts/operations';
import type { audit } from '../../activities/audit/operations';
import { recordOf } from '../transfer';
import type { Transfer } from '../transfer';

const north = participant<typeof accounts>('north-bank');
const south = participant<typeof accounts>('south-bank');
const ledger = participant<typeof audit>('audit');

export async function transferInSteps(transfer: Transfer): Promise<number> {
  const { from, to, amount, currency } = transfer;
  return saga(async (s) => {
    const debit = await s.step(north.debit, { account: from, amount, currency });
    await s.step(south.credit, { account: to, amount, currency });
    await s.step(ledger.record, recordOf(transfer));
    return debit.balance;
  });
}

export const transferByVotes = (transfer: Transfer): Promise<number> => atomically(transfer, {});

export const transferByAnswers = (transfer: Transfer): Promise<number> => atomically(transfer, { votes: 'answer' });

async function atomically(transfer: Transfer, options: TwoPhaseCommitOptions): Promise<number> {
  const { from, to, amount, currency } = transfer;
  const [debit] = await twoPhaseCommit(
    [
      branch(north.debit, { account: from, amount, currency }),
      branch(south.credit, { account: to, amount, currency }),
      branch(ledger.record, recordOf(transfer)),
    ],
    options,
  );
  return debit.balance;
}
