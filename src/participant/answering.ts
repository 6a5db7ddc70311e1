/**
 * What every activity of a participant does around its work: reads the request, checks the timeouts it was given, sends
 * heartbeats, and puts an error into the words of the protocol.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Pool } from 'pg';
import { METRICS } from '../observability';
import {
  DEFAULT_TIMEOUTS,
  FailureType,
  InvalidTimeouts,
  isTooDeep,
  parseBranchId,
  parseTransactionId,
} from '../protocol';
import { CircuitOpen } from '../resilience';
import type { BranchRequest, LocalTimeouts } from '../protocol';
import { asked } from './asked';
import type { Branch } from './branch';
import { InputTooDeepError } from './errors';
import { failureOf } from './failures';
import { inAttempt } from './not-attempted';
import type { Attempt } from './not-attempted';
import type { AnyOperation } from './operation';

/** A killed worker is noticed within the heartbeat timeout, and a withdrawn request reaches us with the answer to one. */
const HEARTBEAT_INTERVAL_MS: number = DEFAULT_TIMEOUTS.heartbeat.everyMs;

export async function answering<T>(work: () => Promise<T>, heartbeatMs = HEARTBEAT_INTERVAL_MS): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), heartbeatMs);
  try {
    return await measured(asked().question, work);
  } finally {
    clearInterval(beat);
  }
}

/** One attempt at one question. @param question its activity type, whether it is asked alone or among many */
export async function measured<T>(question: string, work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const attempt: Attempt = {};
  const began = performance.now();
  let success = true;
  try {
    return await inAttempt(attempt, work);
  } catch (error) {
    const failure = failureOf(error);
    success = isAnswer(failure);
    if (error instanceof CircuitOpen) attempt.open = error;
    if (failure !== error) context.log.debug('A branch did not take effect', { error });
    throw failure;
  } finally {
    if (attempt.open) countNotAttempted(context, attempt.open);
    else recordAttempt(context, { question, success, tookMs: performance.now() - began });
  }
}

/** A business "no", or that something else stands there: the participant is well. */
const isAnswer = (failure: Error): boolean =>
  failure instanceof ApplicationFailure &&
  (failure.type === FailureType.Refusal || failure.type === FailureType.BranchFenced);

const recordAttempt = (
  { metricMeter }: Context,
  { question, success, tookMs }: { readonly question: string; readonly success: boolean; readonly tookMs: number },
): void =>
  metricMeter.createHistogram(METRICS.operationDuration, 'float').record(tookMs / 1_000, {
    participant_id: asked().participant,
    operation: question,
    success: String(success),
  });

const countNotAttempted = ({ metricMeter }: Context, { circuit }: CircuitOpen): void =>
  metricMeter.createCounter(METRICS.notAttempted).add(1, { participant_id: asked().participant, circuit });

/** Reads a request into a fresh object: what came over the wire is data, and only the fields that we know go on. */
export function parseRequest(request: Partial<BranchRequest>): BranchRequest {
  const transaction = parseTransactionId(request.transaction);
  const branch = parseBranchId(request.branch);
  if (isTooDeep(request.input)) throw new InputTooDeepError(transaction, branch);
  return {
    transaction,
    branch,
    input: request.input,
    ...(typeof request.request === 'string' ? { request: request.request } : {}),
    ...(typeof request.coordinator === 'string' ? { coordinator: request.coordinator } : {}),
    ...(request.failFast === true ? { failFast: true } : {}),
    ...(request.again === true ? { again: true } : {}),
    ...(typeof request.inherits === 'string' ? { inherits: request.inherits } : {}),
  };
}

/** The Temporal namespace of whoever asks: that of the workflow, if one does. */
export function callerNamespace(): string {
  const { info } = Context.current();
  return info.workflowNamespace ?? info.namespace;
}

/**
 * For what was begun: that it is finished, undone or asked about must not fail for good because somebody has changed a timeout meanwhile. An
 * attempt at that which is given up too soon does no harm: whoever comes next waits for it at the branch's row, and goes by what it did.
 */
export function reopenBranch(name: string, operation: AnyOperation, pool: Pool, timeouts: LocalTimeouts): Branch {
  const { info } = Context.current();
  return {
    pool,
    timeouts,
    name,
    operation,
    // An activity that no workflow started has nobody the purge could ask about.
    ...(info.workflowExecution ? { caller: { namespace: callerNamespace(), ...info.workflowExecution } } : {}),
  };
}

/** For new work. @throws {InvalidTimeouts} when an attempt could go on after it was given up */
export function openBranch(name: string, operation: AnyOperation, pool: Pool, timeouts: LocalTimeouts): Branch {
  const { info, cancellationSignal } = Context.current();
  if (info.startToCloseTimeoutMs <= timeouts.idleInTransactionMs) {
    // Temporal would start the next attempt while PostgreSQL still lets this one commit.
    throw new InvalidTimeouts(
      'idleInTransactionMs',
      'the start-to-close timeout',
      `the coordinator gives an attempt ${info.startToCloseTimeoutMs} ms, this participant lets a session idle ${timeouts.idleInTransactionMs} ms`,
    );
  }
  return {
    ...reopenBranch(name, operation, pool, timeouts),
    checkWithdrawn: () => {
      if (cancellationSignal.aborted)
        throw new CancelledFailure('Nothing was changed: the coordinator withdrew the request.');
    },
  };
}
