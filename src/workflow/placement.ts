/** Where a step may stand: what can be undone before the pivot, what has to succeed after it. */
import type { SagaJournal, StepRole } from '../protocol';
import { isCompensatable, nameOf } from './action';
import type { Runnable } from './action';

/** What is wrong with a step at this point of its saga, and the remedy. */
export function misplacement(
  role: StepRole,
  runnable: Runnable<never, unknown>,
  journal: SagaJournal,
): string | undefined {
  const name = nameOf(runnable);
  switch (role) {
    case 'compensatable':
      if (journal.pastPivot)
        return `${name} is a compensatable step after the pivot: there is no way back any more. Use retriable, or move it before the pivot.`;
      return isCompensatable(runnable) ? undefined : `${name} has no compensate. Use it as pivot or after one.`;
    case 'pivot':
      return journal.pastPivot || journal.pivotPending
        ? `${name} is a second pivot: the first one has decided. Use retriable.`
        : undefined;
    case 'retriable':
      return journal.pastPivot
        ? undefined
        : `${name} is a retriable step before the pivot: it could not be undone. Use step, or move it after the pivot.`;
  }
}
