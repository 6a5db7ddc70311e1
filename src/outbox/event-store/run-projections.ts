/** Keeps projections up to date. One that cannot go on stops, says so, and the others go on (rule E7). */
import type { Pool } from 'pg';
import { hasSqlState } from '../database-errors';
import { errorText } from '../error-text';
import { UnreadableEventError } from '../errors';
import { Wakes } from '../relay/wake';
import { Numbering } from './numbering';
import { REGISTER, step } from './projection';
import type { AnyProjection, EventFailure, ProjectionStep } from './projection';
import { checkReading } from './subscribe';

export interface RunProjectionsOptions {
  /** Connections to the database of the event store, at least three. */
  readonly pool: Pool;
  readonly projections: readonly AnyProjection[];
  /** Ends it, after the transactions that are under way. */
  readonly stop: AbortSignal;
  /**
   * Hears of a projection that has stopped at an event. It is not tried again by this process: deploy one that can, or mend the
   * handler. `txn.projection` says the same until then.
   */
  readonly onStopped: (projection: string, failure: EventFailure) => void;
  /**
   * Hears of a round that failed for another reason than an event's handler: the database is away or a connection was lost, also
   * in the middle of a handler, a right is missing, a handler has swallowed the error of a statement. It is tried again, at pauses
   * of up to 10 seconds.
   */
  readonly onTrouble: (projection: string, error: unknown) => void;
  /** Hears of every step. */
  readonly observe?: (projection: string, step: ProjectionStep) => void;
  /** Most events in one transaction, 1 to 10000. @default 500 */
  readonly batch?: number;
  /** How often they look when nobody wakes them, in milliseconds. @default 500 */
  readonly pollMs?: number;
  /** How often an event's handler is tried before its projection stops. @default 5 */
  readonly attempts?: number;
}

/**
 * Runs projections until it is stopped. Start it in as many processes as you like: a projection is run by one at a time.
 *
 * @throws {RangeError} when an option is out of range; nothing was started
 * @example
 * const running = runProjections({
 *   pool,
 *   projections: [balances],
 *   stop: stop.signal,
 *   onStopped: (name, { error }) => log.error(name, error),
 *   onTrouble: (name, error) => log.warn(name, error),
 * });
 */
export async function runProjections(options: RunProjectionsOptions): Promise<void> {
  const { pool, projections, batch = 500, pollMs = 500, attempts = 5 } = options;
  checkReading({ pollMs, batch });
  if (!Number.isSafeInteger(attempts) || attempts < 1)
    throw new RangeError(`Nothing was started: attempts is ${String(attempts)}, not a whole number from 1 up.`);
  const names = new Set(projections.map(({ name }) => name));
  if (names.size < projections.length)
    throw new RangeError('Nothing was started: two projections have one name. Give each its own.');
  const wakes = new Wakes(pool);
  const numbering = new Numbering(pool);
  await wakes.listen();
  try {
    await Promise.all(
      projections.map((projection) => keep({ ...options, batch, pollMs, attempts, projection, numbering, wakes })),
    );
  } finally {
    wakes.close();
  }
}

interface Keep extends Required<Omit<RunProjectionsOptions, 'projections' | 'observe'>> {
  readonly observe?: RunProjectionsOptions['observe'];
  readonly projection: AnyProjection;
  readonly numbering: Numbering;
  readonly wakes: Wakes;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

async function keep(options: Keep): Promise<void> {
  const { pool, projection, numbering, wakes, stop, batch, pollMs, attempts, observe, onStopped, onTrouble } = options;
  let failures = 0;
  let pauses = 0;
  while (!stop.aborted) {
    let done: ProjectionStep | undefined;
    let trouble: unknown;
    try {
      await pool.query(REGISTER, [projection.name]);
      await numbering.number(batch);
      done = await step(pool, projection, batch);
      if (done.kind === 'stepped' && done.failure) await note(pool, projection.name, done.failure);
    } catch (error) {
      // Most often the database is away, or somebody holds what is needed: nothing was changed, and it is tried again.
      done = undefined;
      trouble = error;
    }
    if (done) observe?.(projection.name, done);
    else onTrouble(projection.name, trouble);
    const failure = done?.kind === 'stepped' ? done.failure : undefined;
    if (failure) {
      if (!isPassing(failure.error)) failures++;
      if (failures >= attempts || failure.error instanceof UnreadableEventError) {
        onStopped(projection.name, failure);
        return;
      }
    }
    if (done && !failure) {
      failures = 0;
      pauses = 0;
      if (done.kind === 'busy' || done.read < batch) await wakes.wait(pollMs, stop);
    } else await pause(Math.min(FIRST_PAUSE_MS * 2 ** pauses++, LONGEST_PAUSE_MS), stop);
  }
}

const NOTE = `
  update txn.projection
     set stopped_at_position = $2, stopped_at_event = $3, error = $4, stopped_at = clock_timestamp()
   where name = $1 and position < $2`;

/** Where a person or a health check looks. Gone as soon as some process has passed the event. */
async function note(pool: Pool, name: string, { event, error }: EventFailure): Promise<void> {
  await pool.query(NOTE, [name, event.position, event.id, errorText(error)]);
}

/** Lock timeout, deadlock, serialization failure; the server stops or starts. */
const PASSING = ['55P03', '40P01', '40001', '57P01', '57P02', '57P03'];

const isPassing = (error: unknown): boolean => PASSING.some((sqlState) => hasSqlState(error, sqlState));

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
