/**
 * All timeouts that a transaction can meet, with their defaults, and the order that they must have.
 *
 * Those of a participant's local transaction come first. Each one has to end before the one that
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
  /** The longest attempt that the participant plans with. What ends one is the `attemptTimeout` of who asks. @default 10000 */
  readonly startToCloseMs: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The defaults, in milliseconds, by where they count. docs/timeouts.md says who enforces each and what happens when it passes. */
export const DEFAULT_TIMEOUTS = {
  /** At a participant. */
  local: {
    lockMs: 2 * SECOND,
    statementMs: 5 * SECOND,
    idleInTransactionMs: 8 * SECOND,
    startToCloseMs: 10 * SECOND,
  },
  /** How long a participant's database may be silent while it is asked: this long, and longer than an attempt by that. */
  silence: { leastMs: 40 * SECOND, afterAttemptMs: 5 * SECOND },
  /** How often an attempt says that it is alive, and after how much silence it counts as dead. */
  heartbeat: { everyMs: SECOND, timeoutMs: 5 * SECOND },
  saga: { stepMs: 2 * MINUTE, holdAfterMs: MINUTE },
  /** `prepare` is `try`, `commit` `confirm` and `abort` `cancel` in try-confirm-cancel. */
  commitment: { prepareMs: 30 * SECOND, commitMs: 60 * SECOND, abortMs: 30 * SECOND },
  /** `uncertain` is twice `prepare`, `preCommitted` twice `preCommit`. */
  threePhase: { preCommitMs: 10 * SECOND, peersMs: 2 * SECOND },
  recovery: { graceMs: 30 * SECOND, hardLimitMs: HOUR, everyMs: 5 * SECOND },
  /** Of a participant that fell silent: one question, and the pauses before each. */
  probe: { answerMs: 2 * SECOND, pausesMs: [0, SECOND, 2 * SECOND] },
} as const;

export const DEFAULT_LOCAL_TIMEOUTS: LocalTimeouts = DEFAULT_TIMEOUTS.local;

/** A longer local transaction is not one that others should wait for. */
export const LONGEST_LOCAL_MS = 24 * HOUR;

/** Longer ones are a mistake in the unit. */
export const LONGEST_TIMEOUT_MS = 30 * 24 * HOUR;

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
    if (!Number.isSafeInteger(value) || value < 1 || value > LONGEST_LOCAL_MS) {
      throw new InvalidTimeouts(
        name,
        '24 hours',
        `${name} is ${String(value)}, not a whole number of milliseconds from 1 to ${LONGEST_LOCAL_MS}`,
      );
    }
    const larger = order[i + 1];
    if (larger && value >= timeouts[larger]) {
      throw new InvalidTimeouts(name, larger, `${name} (${value}) is not smaller than ${larger} (${timeouts[larger]})`);
    }
  }
  return timeouts;
}

/**
 * How long the database may be silent while it is asked, in milliseconds. What comes later comes never: no statement lasts as long, and
 * nobody waits any more for the attempt that has sent it. Not much shorter either, because a commit may wait for a standby.
 */
export const longestSilenceMs = ({ startToCloseMs }: LocalTimeouts): number =>
  Math.max(DEFAULT_TIMEOUTS.silence.leastMs, startToCloseMs + DEFAULT_TIMEOUTS.silence.afterAttemptMs);
