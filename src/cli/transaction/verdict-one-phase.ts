/**
 * What a person needs to know of a transaction with one branch whose workflow was ended from outside. Such a branch commits in one
 * phase, without a register: its row in the branch log is the decision, whether its coordinator has heard of it or not.
 */
import { idInDatabases } from '../../protocol';
import type { BranchReport, SagaReport, TransactionReport } from '../../protocol';
import { printable } from '../printable';
import { rowOf } from './disagreements';
import type { DatabaseLook } from './databases';
import type { Verdict } from './verdict-words';

type CommitReport = Exclude<TransactionReport, SagaReport>;
/** One that a participant of this package has. */
type OnlyBranch = BranchReport & { readonly participant: string };

/** The branch, where there is no other and it does not reserve: reservations wait for a decision also where there is only one. */
export function onlyBranchOf({ protocol, branches }: CommitReport): OnlyBranch | undefined {
  const [only, another] = branches;
  if (only === undefined || another !== undefined || protocol === 'try-confirm-cancel') return undefined;
  const { participant } = only;
  return participant === undefined ? undefined : { ...only, participant };
}

/**
 * @param how the workflow ended, such as `terminated`
 * @param resume what to type, so that it goes on
 */
export function judgeOnePhase(
  report: CommitReport,
  only: OnlyBranch,
  look: DatabaseLook,
  { how, resume }: { readonly how: string; readonly resume: string },
): Verdict {
  const { participant } = only;
  const branch = printable(only.branch);
  const state = rowOf(look, idInDatabases(report), only)?.state;
  if (state === 'applied')
    return {
      need: 'person',
      first: `Somebody has to act: its workflow was ${how} before it heard of its only branch, and that took effect: ${branch} at ${participant}.`,
      why: `The branch log of ${participant} says applied. It was done in one phase, so nothing else decides it.`,
      byItself: 'Nothing: no code of it runs any more, and nobody was told that it is committed.',
      toDo: [resume],
    };
  if (state !== undefined || report.decision === 'abort')
    return {
      need: 'nobody',
      first: `Your money is safe: its workflow was ${how}, and nothing took effect.`,
      why:
        state === undefined
          ? `It had heard that ${branch} at ${participant}, its only branch, was not done.`
          : `Of ${branch}, its only branch, the branch log of ${participant} says ${printable(state)}.`,
      byItself: 'Nothing: no code of it runs any more.',
      toDo: [],
    };
  return {
    need: 'unknown',
    first: `It cannot be told whether it takes effect: its workflow was ${how} before it heard of its only branch, ${branch} at ${participant}.`,
    why: look.lookedAt.includes(participant)
      ? `The branch log of ${participant} has no row of it, and who was asked to do it may be at it still.`
      : `Only the branch log of ${participant} says what became of it, and that was not looked at.`,
    byItself: 'Nothing, but what its participant may be doing: no code of it runs any more.',
    toDo: [resume],
  };
}
