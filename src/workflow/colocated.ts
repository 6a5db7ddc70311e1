/**
 * The way to participants that live in the process of the coordinator: each is asked once by a local activity, which needs no task
 * of its own, within the task of the workflow that runs anyway.
 *
 * It is only a first try. Whatever is not an answer, a worker among them that has no such participant, has the same question go its usual
 * way, with all its retries: the branch log keeps both from taking effect, and which process the workflow runs in decides nothing.
 *
 * Where local activities must not be used, all goes the usual way from the start.
 */
import { msToNumber } from '@temporalio/common/lib/time';
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyLocalActivities,
} from '@temporalio/workflow';
import { colocatedActivity } from '../protocol';
import { dispatcherOver, withoutSignals } from './dispatch';
import type { Addressee, BranchCall, Dispatcher, Effort } from './dispatch';
import { finalFailure } from './failures';
import { mayAskLocally } from './local-activities';
import { overhearing } from './worker-circuits';

/** Asks where the coordinator is, once. */
export function askNear<Answer>(
  { participant }: Addressee,
  activity: string,
  request: object,
  { attemptTimeout, summary }: Effort,
): Promise<Answer> {
  const type = colocatedActivity(participant, activity);
  const { [type]: ask } = proxyLocalActivities<Record<string, (request: object) => Promise<Answer>>>({
    startToCloseTimeout: attemptTimeout,
    scheduleToCloseTimeout: attemptTimeout,
    // The default gives up waiting at once: a compensation would then run beside the action that it undoes.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // A second attempt is the usual way's affair: it does not keep the task of the workflow waiting.
    retry: { maximumAttempts: 1 },
    summary,
  });
  const answer = (ask as (request: object) => Promise<Answer>)(request); // Cast: a proxy has whatever it is asked for.
  return overhearing(participant, answer, (failure) => answerIn(failure) !== undefined);
}

const near: Dispatcher = withoutSignals(dispatcherOver(askNear));

type AskThrough<Answer> = (dispatcher: Dispatcher, call: BranchCall, effort: Effort) => Promise<Answer>;

/** Asks those that are colocated there first, and all others as `usual` does. */
export function colocatedFirst(usual: Dispatcher): Dispatcher {
  const first = <Answer>(call: BranchCall, effort: Effort, ask: AskThrough<Answer>): Promise<Answer> =>
    call.colocated && mayAskLocally() ? nearFirst(call, effort, ask) : ask(usual, call, effort);
  const nearFirst = async <Answer>(call: BranchCall, effort: Effort, ask: AskThrough<Answer>): Promise<Answer> => {
    const began = Date.now();
    try {
      return await ask(near, call, effort);
    } catch (error) {
      if (isCancellation(error)) throw error;
      const answer = answerIn(error);
      // What a local activity fails with comes bare.
      if (answer) throw finalFailure(call.operation, answer);
      return ask(usual, { ...call, again: true }, without(effort, Date.now() - began));
    }
  };
  return {
    ...usual,
    execute: (call, effort) => first(call, effort, (to, asked, left) => to.execute(asked, left)),
    prepare: (call, more, effort) => first(call, effort, (to, asked, left) => to.prepare(asked, more, left)),
    decide: (call, more, effort) => first(call, effort, (to, asked, left) => to.decide(asked, more, left)),
    finish: (call, decision, more, effort) =>
      first(call, effort, (to, asked, left) => to.finish(asked, decision, more, left)),
  };
}

/** The failure that no retry could change. That a worker does not know the participant is none. */
function answerIn(error: unknown): ApplicationFailure | undefined {
  const failure = error instanceof ActivityFailure ? error.cause : error;
  return failure instanceof ApplicationFailure && failure.nonRetryable === true ? failure : undefined;
}

/** What is left of it, and an attempt at least. */
function without(effort: Effort, spentMs: number): Effort {
  if (effort.timeout === undefined) return effort;
  return { ...effort, timeout: Math.max(msToNumber(effort.timeout) - spentMs, msToNumber(effort.attemptTimeout)) };
}
