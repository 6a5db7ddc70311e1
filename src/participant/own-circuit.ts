/** The circuit between the coordinators and a participant whose database is away. */
import { circuit } from '../resilience';
import type { Circuit, CircuitOptions } from '../resilience';
import { PARTICIPANT_CIRCUIT } from './branch';
import { DatabaseSilentError } from './errors';
import { isDatabaseError, isStatementError } from './sqlstate';

/**
 * Makes the circuit of a participant itself. It opens when the database cannot be reached, and for nothing that an operation does:
 * refusals, constraints, locks and deadlocks say that the database is there.
 *
 * New work goes through it: `execute`, `prepare`, `try`. What ends or undoes work does not: a commit, an abort, a confirmation, a
 * cancellation or a compensation is tried however things stand.
 *
 * @throws {InvalidCircuit}
 * @example const activities = participantActivities(accounts, { pool, circuit: participantCircuit() });
 */
export const participantCircuit = (options: Omit<CircuitOptions, 'isFailure'> = {}): Circuit =>
  // Short pauses: to ask a database that is coming up costs it nothing.
  circuit(PARTICIPANT_CIRCUIT, {
    halfOpenAfterMs: 1_000,
    longestOpenMs: 10_000,
    ...options,
    isFailure: isDatabaseAway,
  });

/** Connections that fail, a server that starts, stops, has no room, or does not write. */
const AWAY = /^(08|57P0[1-5]|53|58|25006)/;
const UNREACHABLE = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
];

/**
 * Whether an error says that the connection is gone, and nothing of what was asked on it.
 *
 * @example if (isConnectionLost(error)) throw error; // No fault of what was done.
 */
export const isConnectionLost = (error: unknown): boolean =>
  isDatabaseError(error) ? !isStatementError(error) : isDatabaseAway(error);

/** Whether it speaks against the database: it, or the connection to it, is not there, or it is in trouble. */
function isDatabaseAway(error: unknown): boolean {
  if (isDatabaseError(error)) return AWAY.test(error.code ?? '');
  if (error instanceof DatabaseSilentError) return true;
  if (!(error instanceof Error)) return false;
  // Node reports one error for all addresses of a host.
  if (error instanceof AggregateError) return error.errors.some(isDatabaseAway);
  if ('code' in error && UNREACHABLE.includes(String(error.code))) return true;
  // pg has no codes for these.
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
    error.message,
  );
}
