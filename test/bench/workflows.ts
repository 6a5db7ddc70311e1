/** All ways in one module, so that one worker runs them. */
import { branch, participant, twoPhaseCommit } from 'temporal-txn/workflow';
import type { accounts } from '../../activities/accounts/operations';

export { transferByHand } from '../../bench/hand-written/workflows';
export { transferBySaga } from '../../bench/saga/workflows';
export { transferByAnswers, transferByVotes, transferInSteps } from '../../bench/two-phase/workflows';

const north = participant<typeof accounts>('north-bank');
const south = participant<typeof accounts>('south-bank');

interface Movement {
  readonly account: string;
  readonly amount: number;
  readonly currency: string;
}

/** Two branches that change something, and one that only looks. */
export async function transferAndLook(movement: Movement): Promise<number> {
  const [debit] = await twoPhaseCommit(
    [
      branch(north.debit, movement),
      branch(south.credit, movement),
      branch(south.balance, { account: movement.account }),
    ],
    { votes: 'answer' },
  );
  return debit.balance;
}

/** One branch: nothing to agree on. */
export async function debitAlone(movement: Movement): Promise<number> {
  const [debit] = await twoPhaseCommit([branch(north.debit, movement)]);
  return debit.balance;
}
