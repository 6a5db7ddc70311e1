/**
 * The timeouts of a participant's local transaction and the order they must have. Each one has to end before the one that
 * waits for it: a lock wait before the statement, a statement before the session is ended for idling, all of it before
 * Temporal gives the attempt up and starts the next. In any other order an attempt that everyone believes dead may commit.
 */
import { InvalidTimeouts } from './errors';

/** All in milliseconds. */
export interface LocalTimeouts {
  /** PostgreSQL's `lock_timeout`: the longest wait for one lock. @default 2000 */
  readonly lockMs: number;
  /** PostgreSQL's `statement_timeout`: the longest run of one statement. @default 5000 */
  readonly statementMs: number;
  /** PostgreSQL's `idle_in_transaction_session_timeout`: ends the session of a worker that hangs or was cut off. @default 8000 */
  readonly idleInTransactionMs: number;
  /** Temporal's start-to-close timeout of one attempt. @default 10000 */
  readonly startToCloseMs: number;
}

export const DEFAULT_LOCAL_TIMEOUTS: LocalTimeouts = {
  lockMs: 2_000,
  statementMs: 5_000,
  idleInTransactionMs: 8_000,
  startToCloseMs: 10_000,
};

/** A longer local transaction is not one that others should wait for. */
const LONGEST_MS = 24 * 60 * 60 * 1000;

/**
 * Fills in the defaults and checks range and order.
 *
 * @throws {InvalidTimeouts} unless 0 < lock < statement < idle-in-transaction < start-to-close <= 24 hours, in whole milliseconds.
 */
export function checkLocalTimeouts(given: Partial<LocalTimeouts> = {}): LocalTimeouts {
  const timeouts = { ...DEFAULT_LOCAL_TIMEOUTS, ...given };
  const order = ['lockMs', 'statementMs', 'idleInTransactionMs', 'startToCloseMs'] as const;
  for (const [i, name] of order.entries()) {
    const value = timeouts[name];
    if (!Number.isSafeInteger(value) || value < 1 || value > LONGEST_MS) {
      throw new InvalidTimeouts(
        name,
        '24 hours',
        `${name} is ${String(value)}, not a whole number of milliseconds from 1 to ${LONGEST_MS}`,
      );
    }
    const larger = order[i + 1];
    if (larger && value >= timeouts[larger]) {
      throw new InvalidTimeouts(name, larger, `${name} (${value}) is not smaller than ${larger} (${timeouts[larger]})`);
    }
  }
  return timeouts;
}
