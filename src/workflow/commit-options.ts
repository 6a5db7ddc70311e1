/** Options of the protocols of atomic commitment. */
import { compileRetryPolicy } from '@temporalio/common';
import type { Duration, RetryPolicy } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { DEFAULT_TIMEOUTS, LONGEST_TIMEOUT_MS, MOST_ATTEMPTS, show } from '../protocol';
import type { TerminationMode } from '../protocol';
import { TransactionDefinitionError } from './errors';
import { millisecondsOf } from './limits';

export interface TwoPhaseCommitTimeouts {
  /** How long branches may take to vote. Silence then counts as `abort`. @default 30 seconds */
  readonly prepare?: Duration;
  /** After how long an unfinished commit is reported as overdue. It goes on being tried. @default 60 seconds */
  readonly commit?: Duration;
  /** The same for an abort. @default 30 seconds */
  readonly abort?: Duration;
}

export interface TwoPhaseCommitOptions {
  /** Transaction id. @default the workflow id; of a second transaction of the workflow `<id>/2`, see docs/sagas.md "Nested sagas" */
  readonly id?: string;
  readonly timeouts?: TwoPhaseCommitTimeouts;
  /** How long one attempt to prepare or finish a branch may take. Must be longer than the participant's idle-in-transaction timeout, and shorter than `timeouts.prepare`. @default 10 seconds */
  readonly attemptTimeout?: Duration;
  /** Of attempts to prepare. @default 100 ms, doubled up to 2 s, without limit of attempts */
  readonly retry?: RetryPolicy;
  /**
   * How often the whole transaction is tried when other transactions hold what it needs, each time under an id of its own
   * (`<id>+2`, …) and after a pause with jitter. From the second time on branches are asked one after the other, in an order
   * that is the same everywhere.
   * @default 5
   */
  readonly attempts?: number;
  /**
   * How our own participants vote: by a signal, with the answer of their activity as its evidence, or by that answer alone,
   * which saves an event and an action a branch. Either way a commit needs the answer.
   * @default 'signal'
   */
  readonly votes?: 'signal' | 'answer';
  /**
   * Ends as `TransactionNotAttempted`, before anything is asked of anybody, where a participant did not answer lately. It may be
   * started again under its id. Costs a local activity.
   * @default false: it is asked, and has as long as the timeouts say
   */
  readonly failFast?: boolean;
}

export interface CommitSettings {
  readonly timeouts: Required<TwoPhaseCommitTimeouts>;
  readonly attemptTimeout: Duration;
  readonly retry: RetryPolicy;
  readonly attempts: number;
  readonly votes: 'signal' | 'answer';
  readonly failFast: boolean;
  /** How long reservations are meant to be held, in milliseconds. */
  readonly holdMs?: number;
}

/** What the caller calls the timeouts. */
interface TimeoutWords {
  readonly prepare: string;
  readonly commit: string;
  readonly abort: string;
}
const WORDS: TimeoutWords = { prepare: 'prepare', commit: 'commit', abort: 'abort' };

/** @throws {TransactionDefinitionError} when a value is out of range, or the attempt timeout is not shorter than the vote's */
export function twoPhaseSettings(options: TwoPhaseCommitOptions, words: TimeoutWords = WORDS): CommitSettings {
  const { prepareMs, commitMs, abortMs } = DEFAULT_TIMEOUTS.commitment;
  const { prepare = prepareMs, commit = commitMs, abort = abortMs } = options.timeouts ?? {};
  const { attemptTimeout = DEFAULT_TIMEOUTS.local.startToCloseMs, attempts = 5, votes = 'signal' } = options;
  for (const [name, value] of [
    [words.prepare, prepare],
    [words.commit, commit],
    [words.abort, abort],
    ['attemptTimeout', attemptTimeout],
  ] as const) {
    checkDuration(name, value);
  }
  if (msToNumber(attemptTimeout) >= msToNumber(prepare))
    refuse(
      `attemptTimeout (${inSeconds(attemptTimeout)}) is not shorter than timeouts.${words.prepare} (${inSeconds(prepare)}): an attempt would outlive the vote`,
    );
  if (!Number.isSafeInteger(attempts) || attempts < 1 || attempts > MOST_ATTEMPTS)
    refuse(`attempts is ${attempts}, not a whole number from 1 to ${MOST_ATTEMPTS}`);
  const mistake = options.retry && mistakeIn(options.retry);
  if (mistake !== undefined) refuse(`retry is no policy: ${mistake}`);
  return {
    timeouts: { prepare, commit, abort },
    attemptTimeout,
    attempts,
    votes,
    failFast: options.failFast === true,
    retry: options.retry ?? {
      initialInterval: '100 milliseconds',
      backoffCoefficient: 2,
      maximumInterval: '2 seconds',
    },
  };
}

const inSeconds = (duration: Duration): string => `${msToNumber(duration) / 1_000} s`;

/** @throws {TransactionDefinitionError} */
function checkDuration(name: string, value: Duration): void {
  const ms = millisecondsOf(value);
  if (!(ms > 0)) refuse(`the timeout ${name} is ${show(value)}, not a duration above zero`);
  if (ms > LONGEST_TIMEOUT_MS) refuse(`the timeout ${name} is ${show(value)}, longer than 30 days`);
}

/** What is wrong with a retry policy. Undefined where nothing is. */
export function mistakeIn(retry: RetryPolicy): string | undefined {
  try {
    compileRetryPolicy(retry);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function refuse(problem: string): never {
  throw new TransactionDefinitionError(`Nothing was started: ${problem}.`);
}

export interface ThreePhaseCommitTimeouts extends TwoPhaseCommitTimeouts {
  /** How long the coordinator waits until all have said that they are pre-committed. Then it goes on. @default 10 seconds */
  readonly preCommit?: Duration;
  /** How long a participant that has voted waits for the coordinator before it asks the others. @default twice `prepare` */
  readonly uncertain?: Duration;
  /** The same for one that is pre-committed. @default twice `preCommit` */
  readonly preCommitted?: Duration;
  /** How long it waits for the answers of the others. @default 2 seconds */
  readonly peers?: Duration;
}

export interface ThreePhaseCommitOptions extends Omit<TwoPhaseCommitOptions, 'timeouts' | 'votes'> {
  readonly timeouts?: ThreePhaseCommitTimeouts;
  /**
   * How participants decide without the coordinator.
   *
   * `register`: through the write-once register in the database of the first branch. Nobody waits for the coordinator; they wait
   * for that database.
   *
   * `classic-unsafe`: by timers and by asking each other, as Skeen wrote it. **It commits one branch and aborts another when the
   * network is cut in two, or when timers fire late.** For comparison, not for money.
   * @default 'register'
   */
  readonly mode?: TerminationMode;
}

export interface ThreePhaseSettings extends CommitSettings {
  readonly mode: TerminationMode;
  /** In milliseconds. */
  readonly patience: {
    readonly preCommitMs: number;
    readonly uncertainMs: number;
    readonly preCommittedMs: number;
    readonly peersMs: number;
  };
}

/** @throws {TransactionDefinitionError} when a value is out of range, or a participant would lose patience before its coordinator */
export function threePhaseSettings(options: ThreePhaseCommitOptions): ThreePhaseSettings {
  const { mode = 'register', timeouts: given = {} } = options;
  const settings = twoPhaseSettings({ ...options, votes: 'signal' });
  if (mode !== 'register' && mode !== 'classic-unsafe')
    refuse(`mode is ${show(mode)}, neither 'register' nor 'classic-unsafe'`);
  const prepareMs = msToNumber(settings.timeouts.prepare);
  const { threePhase } = DEFAULT_TIMEOUTS;
  const { preCommit = threePhase.preCommitMs, peers = threePhase.peersMs, uncertain = 2 * prepareMs } = given;
  const preCommitMs = millisecondsOf(preCommit);
  const { preCommitted = 2 * preCommitMs } = given;
  const patience = {
    preCommitMs,
    uncertainMs: millisecondsOf(uncertain),
    preCommittedMs: millisecondsOf(preCommitted),
    peersMs: millisecondsOf(peers),
  };
  for (const [name, ms] of Object.entries(patience))
    if (!(ms > 0 && ms <= LONGEST_TIMEOUT_MS))
      refuse(`the timeout ${name.replace('Ms', '')} is not a duration above zero and of 30 days at most`);
  if (patience.uncertainMs <= prepareMs)
    refuse(
      `timeouts.uncertain is not longer than timeouts.prepare: participants would terminate while others still vote`,
    );
  if (patience.preCommittedMs <= preCommitMs)
    refuse(
      `timeouts.preCommitted is not longer than timeouts.preCommit: participants would terminate while others still answer`,
    );
  return { ...settings, mode, patience };
}
