/**
 * The circuits of the coordinator's worker, one for each participant, seen from workflow code. What a worker has lately seen is
 * no part of a history, so they live outside. Transactions that want to fail fast tell them of answers and silence through a sink,
 * which leaves no event, and ask them by a local activity, whose answer is recorded; where that must not be, by an activity, which any
 * worker of the queue may answer by what it has seen itself.
 */
import { RetryState } from '@temporalio/common';
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  log,
  proxyActivities,
  proxyLocalActivities,
  proxySinks,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { Sinks } from '@temporalio/workflow';
import { CIRCUITS_SINK, FailureType, WHO_IS_AWAY } from '../protocol';
import type { Away, Heard } from '../protocol';
import { TransactionNotAttempted } from './errors';
import { mayAskLocally } from './local-activities';
import { perWorkflow } from './per-workflow';

interface CircuitSinks extends Sinks {
  readonly [CIRCUITS_SINK]: {
    heard(participant: string, heard: Heard): void;
    unheard(participant: string): void;
  };
}

/**
 * Whether a transaction of this workflow wants to fail fast. The others tell nothing: their worker may keep no circuits. And how often each
 * participant was heard of.
 */
const state = perWorkflow(() => ({ wanted: false, words: new Map<string, number>() }));

const circuits = () => proxySinks<CircuitSinks>()[CIRCUITS_SINK];

/** Passes a request through, and tells what was heard of the participant, where anybody wants to know. */
export const listening = <T>(participant: string, request: Promise<T>): Promise<T> =>
  state().wanted ? told(participant, request) : request;

async function told<T>(participant: string, request: Promise<T>): Promise<T> {
  try {
    const answer = await request;
    tell(participant, 'answer');
    return answer;
  } catch (error) {
    if (!isWithdrawn(error)) tell(participant, isSilence(error) ? 'silence' : 'answer');
    throw error;
  }
}

/**
 * Tells of the answer alone, for a request whose silence is followed by another one. Beside whoever waits for it: they go on in the order in
 * which they did before anybody told of such answers.
 *
 * @param isAnswer whether a failure is one
 */
export function overhearing<T>(
  participant: string,
  request: Promise<T>,
  isAnswer: (failure: unknown) => boolean,
): Promise<T> {
  if (state().wanted)
    request.then(
      () => tell(participant, 'answer'),
      (failure: unknown) => {
        if (isAnswer(failure)) tell(participant, 'answer');
      },
    );
  return request;
}

/** Tells of a participant whose word has come, where anybody wants to know. */
export function noteAnswer(participant: string): void {
  if (state().wanted) tell(participant, 'answer');
}

function tell(participant: string, heard: Heard): void {
  const { words } = state();
  words.set(participant, (words.get(participant) ?? 0) + 1);
  circuits().heard(participant, heard);
}

/** No attempt answered in time, or no worker took the request. */
export const isSilence = (error: unknown): boolean =>
  error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;

/** It may have answered, but never what was asked of it, until its time was up. */
export const isTimeUp = (error: unknown): boolean =>
  isSilence(error) || (error instanceof ActivityFailure && error.retryState === RetryState.TIMEOUT);

const isWithdrawn = (error: unknown): boolean =>
  error instanceof ActivityFailure && error.retryState === RetryState.CANCEL_REQUESTED;

/** What a participant says whose circuit is open. */
export const isCircuitOpen = (error: unknown): boolean =>
  error instanceof ActivityFailure &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === FailureType.CircuitOpen;

/**
 * Ends a transaction before it has begun, where a participant is known to be away.
 *
 * @returns what is to be called at its end: it tried their circuits for all others, and of some it may have heard nothing
 * @throws {TransactionNotAttempted}
 */
export async function admit(participants: readonly string[]): Promise<() => void> {
  const here = state();
  here.wanted = true;
  const named = [...new Set(participants)];
  const away = await whoIsAway(named);
  if (away.length > 0) throw new TransactionNotAttempted(away);
  const before = new Map(here.words);
  return () => {
    for (const participant of named)
      if (here.words.get(participant) === before.get(participant)) circuits().unheard(participant);
  };
}

async function whoIsAway(participants: readonly string[]): Promise<readonly Away[]> {
  const proxy = mayAskLocally() ? proxyLocalActivities : proxyActivities;
  const { [WHO_IS_AWAY]: ask } = proxy<Record<string, (names: readonly string[]) => Promise<Away[]>>>({
    startToCloseTimeout: '2 seconds',
    scheduleToCloseTimeout: '2 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
    summary: 'which participants are away',
  });
  try {
    return (await ask?.(participants)) ?? [];
  } catch (error) {
    // A worker that keeps no circuits knows of nobody who is away.
    log.warn('The worker was not asked who is away', { error: String(error) });
    return [];
  }
}
