/**
 * How an error inside a participant reaches the coordinator: as a typed Temporal failure that says whether a retry can help
 * and whether it proves that nothing happened.
 *
 * Messages of PostgreSQL errors quote values of the row, and failure messages stay readable in the Web UI and in backups, so
 * only SQLSTATE and the names of the objects cross. The full error is in the worker's own log.
 */
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import { FailureType, InvalidIdentifier, InvalidTimeouts } from '../protocol';
import type { ToldFailure } from '../protocol';
import { CircuitOpen } from '../resilience';
import {
  BranchFencedError,
  BranchInProgressError,
  CommittedByGroupError,
  CommittedEarlierError,
  DecisionMismatchError,
  ForbiddenStatementError,
  GroupResetError,
  InputMismatchError,
  InputTooDeepError,
  InvalidGidError,
  InvalidResultError,
  NotCompensatableError,
  PreparedElsewhereError,
  RefusalError,
  ResourceLockedError,
  SwallowedFailureError,
} from './errors';
import { describe, isDatabaseError, SqlState } from './sqlstate';

export function failureOf(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof RefusalError) return final(FailureType.Refusal, error, [error.refusal]);
  if (error instanceof BranchFencedError) return final(FailureType.BranchFenced, error);
  if (error instanceof InputMismatchError || error instanceof DecisionMismatchError)
    return final(FailureType.InputMismatch, error);
  if (error instanceof CommittedByGroupError) return final(FailureType.CommittedByGroup, error);
  if (error instanceof CommittedEarlierError) return final(FailureType.CommittedEarlier, error);
  if (isMistake(error)) return final(FailureType.BadRequest, error);
  if (error instanceof BranchInProgressError) return retryable(FailureType.InProgress, error.message);
  if (error instanceof ResourceLockedError) return retryable(FailureType.ResourceLocked, error.message);
  if (error instanceof CircuitOpen) return notAttempted(error);
  if (isDatabaseError(error)) {
    return retryable(
      error.code === SqlState.LockNotAvailable ? FailureType.InProgress : FailureType.OperationFailed,
      `${describe(error)}; the attempt was rolled back. The worker's log has the message.`,
    );
  }
  return retryable(
    FailureType.OperationFailed,
    error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  );
}

/** A failure as one answer among many. */
export function toldFailure(error: unknown): ToldFailure {
  const failure = failureOf(error);
  const { message } = failure;
  if (!(failure instanceof ApplicationFailure)) return { message, nonRetryable: false };
  return {
    message,
    nonRetryable: failure.nonRetryable === true,
    ...(failure.type === undefined || failure.type === null ? {} : { type: failure.type }),
    ...(failure.details ? { details: failure.details } : {}),
  };
}

/** Errors that the next attempt would meet again, until code or call are changed. */
const isMistake = (error: unknown): error is Error =>
  [
    ForbiddenStatementError,
    InvalidResultError,
    NotCompensatableError,
    SwallowedFailureError,
    InputTooDeepError,
    InvalidGidError,
    PreparedElsewhereError,
    GroupResetError,
    InvalidIdentifier,
    InvalidTimeouts,
  ].some((mistake) => error instanceof mistake);

const final = (type: FailureType, { message }: Error, details: unknown[] = []): ApplicationFailure =>
  ApplicationFailure.create({
    message,
    type,
    nonRetryable: true,
    details,
    category: ApplicationFailureCategory.BENIGN,
  });

/** It comes back when that makes sense, whatever the caller's retry policy says. */
const notAttempted = ({ message, circuit, retryAfterMs }: CircuitOpen): ApplicationFailure =>
  ApplicationFailure.create({
    message,
    type: FailureType.CircuitOpen,
    nonRetryable: false,
    details: [{ circuit, retryAfterMs }],
    nextRetryDelay: retryAfterMs,
    category: ApplicationFailureCategory.BENIGN,
  });

const retryable = (type: FailureType, message: string): ApplicationFailure =>
  ApplicationFailure.create({ message, type, nonRetryable: false });
