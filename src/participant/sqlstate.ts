/** PostgreSQL's error codes that mean something to us, and how to recognise its errors. */
import type { DatabaseError } from 'pg';

export const SqlState = {
  UndefinedObject: '42704',
  /** The prepared transaction is being finished by someone else at this moment. */
  ObjectNotInPrerequisiteState: '55000',
  LockNotAvailable: '55P03',
  SerializationFailure: '40001',
  DeadlockDetected: '40P01',
  FeatureNotSupported: '0A000',
  DuplicateObject: '42710',
  OutOfMemory: '53200',
  InvalidParameterValue: '22023',
} as const;

/** By its looks, not its class: the application may have another copy of pg, and its errors quote values of rows all the same. */
export const isDatabaseError = (error: unknown): error is DatabaseError =>
  error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string';

/**
 * What may have ended the connection, or the server with it: connections, sessions out of time, no login, no room, a server that stops,
 * input and output, a broken configuration, internal errors.
 */
const CONNECTION_MAY_BE_GONE = /^(08|25P0[34]|28|3D|53[13]00|57P|58|F0|XX)/;

/**
 * Whether the server refused the statement and went on. Where the connection may be gone, nothing is known of the statement (Q4). By
 * the code, not by the severity: that is translated into the language of the server.
 */
export const isStatementError = (error: unknown): error is DatabaseError =>
  isDatabaseError(error) && !CONNECTION_MAY_BE_GONE.test(error.code ?? '');

/** Another transaction holds what this one needs, or did something that it must not have missed. */
export const isContention = ({ code }: DatabaseError): boolean =>
  code === SqlState.LockNotAvailable || code === SqlState.DeadlockDetected || code === SqlState.SerializationFailure;

/** Says what failed without the values of rows that PostgreSQL's messages quote: they would stay readable in histories. */
export function describe({ code, constraint, schema, table, column }: DatabaseError): string {
  const where = [
    constraint && `constraint ${constraint}`,
    table && `table ${schema ? `${schema}.` : ''}${table}`,
    column && `column ${column}`,
  ].filter(Boolean);
  const objects = where.length > 0 ? ` (${where.join(', ')})` : '';
  return `PostgreSQL reported SQLSTATE ${code ?? 'unknown'}${objects}`;
}
