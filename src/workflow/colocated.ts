/**
 * The way to participants that live in the process of the coordinator: each is asked once by a local activity, which needs no task
 * of its own, within the task of the workflow that runs anyway.
 *
 * It is only a first try. Whatever is not an answer, a worker among them that has no such participant, has the same question go its usual
 * way, with all its retries: the branch log keeps both from taking effect, and which process the workflow runs in decides nothing.
 */
import { RetryState } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyLocalActivities,
} from '@temporalio/workflow';
import { colocatedActivity } from '../protocol';
import { dispatcherOver } from './dispatch';
import type { BranchCall, Dispatcher, Effort } from './dispatch';

/** Asks where the coordinator is. */
const near = dispatcherOver(async <Answer>(participant: string, activity: string, request: object, effort: Effort) => {
  const type = colocatedActivity(participant, activity);
  const { [type]: ask } = proxyLocalActivities<Record<string, (request: object) => Promise<Answer>>>({
    startToCloseTimeout: effort.attemptTimeout,
    scheduleToCloseTimeout: effort.attemptTimeout,
    // The default gives up waiting at once: a compensation would then run beside the action that it undoes.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // A second attempt is the usual way's affair: it does not keep the task of the workflow waiting.
    retry: { maximumAttempts: 1 },
    summary: effort.summary,
  });
  return (ask as (request: object) => Promise<Answer>)(request); // Cast: a proxy has whatever it is asked for.
});

/** Asks those that are colocated there first, and all others as `usual` does. */
export const colocatedFirst = (usual: Dispatcher): Dispatcher => ({
  ...usual,
  execute: (call, effort) =>
    first(
      call,
      effort,
      () => near.execute(call, effort),
      (again, left) => usual.execute(again, left),
    ),
  prepare: (call, more, effort) =>
    first(
      call,
      effort,
      // A signal to a workflow whose task is under way is one more task; the answer proves no less.
      () => near.prepare(call, { ...more, votes: 'answer' }, effort),
      (again, left) => usual.prepare(again, more, left),
    ),
  decide: (call, more, effort) =>
    first(
      call,
      effort,
      () => near.decide(call, more, effort),
      (again, left) => usual.decide(again, more, left),
    ),
  finish: (call, decision, more, effort) =>
    first(
      call,
      effort,
      () => near.finish(call, decision, more, effort),
      (again, left) => usual.finish(again, decision, more, left),
    ),
});

async function first<Answer>(
  call: BranchCall,
  effort: Effort,
  here: () => Promise<Answer>,
  usually: (call: BranchCall, effort: Effort) => Promise<Answer>,
): Promise<Answer> {
  if (!call.colocated) return usually(call, effort);
  const began = Date.now();
  try {
    return await here();
  } catch (error) {
    if (isCancellation(error)) throw error;
    const answer = answerIn(error);
    if (answer) throw asUsual(call, answer);
    return usually({ ...call, again: true }, without(effort, Date.now() - began));
  }
}

/** The failure that no retry could change. That a worker does not know the participant is none. */
function answerIn(error: unknown): ApplicationFailure | undefined {
  const failure = error instanceof ActivityFailure ? error.cause : error;
  return failure instanceof ApplicationFailure && failure.nonRetryable === true ? failure : undefined;
}

/** What a local activity fails with comes bare; that of an activity says which one it was, and that it was final. */
const asUsual = ({ operation }: BranchCall, cause: ApplicationFailure): ActivityFailure =>
  new ActivityFailure('Activity task failed', operation, undefined, RetryState.NON_RETRYABLE_FAILURE, undefined, cause);

/** What is left of it, and an attempt at least. */
function without(effort: Effort, spentMs: number): Effort {
  if (effort.timeout === undefined) return effort;
  return { ...effort, timeout: Math.max(msToNumber(effort.timeout) - spentMs, msToNumber(effort.attemptTimeout)) };
}
