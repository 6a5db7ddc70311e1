/**
 * How an error inside a participant reaches the coordinator: as a typed Temporal failure that says whether a retry can help
 * and whether it proves that nothing happened.
 *
 * Messages of PostgreSQL errors quote values of the row, and failure messages stay readable in the Web UI and in backups, so
 * only SQLSTATE and the names of the objects cross. The full error is in the worker's own log.
 */
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import type { DatabaseError } from 'pg';
import { FailureType, InvalidIdentifier, InvalidTimeouts } from '../protocol';
import {
  BranchFencedError,
  BranchInProgressError,
  ForbiddenStatementError,
  InputMismatchError,
  InvalidResultError,
  NotCompensatableError,
  RefusalError,
  ResourceLockedError,
  SwallowedFailureError,
} from './errors';

const LOCK_NOT_AVAILABLE = '55P03';

export function failureOf(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof RefusalError) return final(FailureType.Refusal, error, [error.refusal]);
  if (error instanceof BranchFencedError) return final(FailureType.BranchFenced, error);
  if (error instanceof InputMismatchError) return final(FailureType.InputMismatch, error);
  if (isMistake(error)) return final(FailureType.BadRequest, error);
  if (error instanceof BranchInProgressError) return retryable(FailureType.InProgress, error.message);
  if (error instanceof ResourceLockedError) return retryable(FailureType.ResourceLocked, error.message);
  if (isDatabaseError(error)) {
    return retryable(
      error.code === LOCK_NOT_AVAILABLE ? FailureType.InProgress : FailureType.OperationFailed,
      describe(error),
    );
  }
  return retryable(
    FailureType.OperationFailed,
    error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  );
}

/** By its looks, not its class: the application may have another copy of pg, and its errors quote values of rows all the same. */
const isDatabaseError = (error: unknown): error is DatabaseError =>
  error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string';

/** Errors that the next attempt would meet again, until code or call are changed. */
const isMistake = (error: unknown): error is Error =>
  [
    ForbiddenStatementError,
    InvalidResultError,
    NotCompensatableError,
    SwallowedFailureError,
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

const retryable = (type: FailureType, message: string): ApplicationFailure =>
  ApplicationFailure.create({ message, type, nonRetryable: false });

function describe({ code, constraint, schema, table, column }: DatabaseError): string {
  const where = [
    constraint && `constraint ${constraint}`,
    table && `table ${schema ? `${schema}.` : ''}${table}`,
    column && `column ${column}`,
  ].filter(Boolean);
  const objects = where.length > 0 ? ` (${where.join(', ')})` : '';
  return `PostgreSQL reported SQLSTATE ${code ?? 'unknown'}${objects}; the attempt was rolled back. The worker's log has the message.`;
}
