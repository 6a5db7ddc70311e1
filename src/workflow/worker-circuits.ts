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
  readonly [CIRCUITS_SINK]: { heard(participant: string, heard: Heard): void };
}

/** Whether a transaction of this workflow wants to fail fast. The others tell nothing: their worker may keep no circuits. */
const state = perWorkflow(() => ({ wanted: false }));

/** Passes a request through, and tells what was heard of the participant, where anybody wants to know. */
export const listening = <T>(participant: string, request: Promise<T>): Promise<T> =>
  state().wanted ? told(participant, request) : request;

async function told<T>(participant: string, request: Promise<T>): Promise<T> {
  const circuits = proxySinks<CircuitSinks>()[CIRCUITS_SINK];
  try {
    const answer = await request;
    circuits.heard(participant, 'answer');
    return answer;
  } catch (error) {
    if (!isWithdrawn(error)) circuits.heard(participant, isSilence(error) ? 'silence' : 'answer');
    throw error;
  }
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
 * @throws {TransactionNotAttempted}
 */
export async function admit(participants: readonly string[]): Promise<void> {
  state().wanted = true;
  const away = await whoIsAway([...new Set(participants)]);
  if (away.length > 0) throw new TransactionNotAttempted(away);
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
