/** What a saga does not undo where another one of its id may have committed in the same workflow, see `mayHaveCommittedHere`. */
import { ApplicationFailure } from '@temporalio/workflow';
import { FailureType } from '../protocol';
import type { Step, TransactionId } from '../protocol';
import type { RunningStep } from './step-runner';

/** Leaves to a person what the other one may have done, and somebody may have been told is committed. */
export const withoutOthers = (running: RunningStep, transaction: TransactionId): RunningStep =>
  isSurelyOwn(running.step)
    ? running
    : { ...running, action: { ...running.action, compensate: () => Promise.reject(committedBefore(transaction)) } };

/** Whether the participant has done it now, and not before. A free-form step does not tell. */
const isSurelyOwn = ({ participant, fate }: Step): boolean =>
  participant !== undefined && fate.kind === 'done' && fate.answer === 'applied';

const committedBefore = (transaction: TransactionId): ApplicationFailure =>
  ApplicationFailure.nonRetryable(
    `Nothing was changed: ${transaction} was committed before in this workflow, or another one of this id is open there, and may have done this. ` +
      'Give each transaction an id of its own. Look what is in the databases, and let the effect stay with skipStep, or put it right by hand and say so with resolve.',
    FailureType.CommittedEarlier,
  );
