/**
 * States of streams at some version, so that a long stream is not read from its beginning. A mere cache: deleting all of them
 * changes nothing (rule E6), and one that other code has made is not looked at.
 */
import { isDeepStrictEqual } from 'node:util';
import { show } from '../../protocol';
import type { AdaptedTransaction } from '../adapters';
import { InvalidSnapshotError } from '../errors';
import type { EventReader } from './read';

/** How a decider's states are kept. */
export interface Snapshots<State> {
  /** Which code computes the states: give it another name with every change of `evolve` or `State`. 1 to 200 characters. */
  readonly code: string;
  /** After how many events a state is stored again. @default 100 */
  readonly every?: number;
  /**
   * What is stored of a state, for one that JSON cannot hold as it is. One that cannot be stored all the same is not, and the
   * process warns of it once.
   *
   * @default the state
   */
  readonly write?: (state: State) => unknown;
  /** The state again. */
  readonly read?: (stored: never) => State;
}

export const DEFAULT_EVERY = 100;

// Only one of an event that is there and was before it: others were left behind when a backup was restored or events were deleted,
// and stay so when the stream gets there again.
const FIND = `
  select p.version::text as version, p.state::text as state
    from txn.snapshot p
    join txn.event e on e.stream = p.stream and e.version = p.version and e.created_at <= p.created_at
   where p.stream = $1 and p.code = $2`;

export async function findSnapshot<State>(
  db: EventReader,
  stream: string,
  { code, read }: Snapshots<State>,
): Promise<{ version: number; state: State } | undefined> {
  const { rows } = await db.query(FIND, [stream, code]);
  const [row] = rows as { version: string; state: string }[];
  if (!row) return undefined;
  const stored = JSON.parse(row.state) as never;
  return { version: Number(row.version), state: read ? read(stored) : stored };
}

// Also in the place of a later one, which was left behind. The stream is locked, since its append.
// Not older than its event, whose time may be ahead of this clock: that of the one before it counts.
const STORE = `
  insert into txn.snapshot (stream, code, version, state, created_at)
  select $1, $2, $3::integer, $4::json,
         greatest(clock_timestamp(), (select created_at from txn.event where stream = $1 and version = $3::integer))
  on conflict (stream, code) do update
     set version = excluded.version, state = excluded.state, created_at = excluded.created_at`;

/** A state, and the version that it is of. */
interface Reached<State> {
  readonly version: number;
  readonly state: State;
}

/**
 * So many states of each code are looked at although none is to be stored yet: one that cannot be is found where streams are
 * short, in tests, and not when they are long.
 */
const LOOKS = 10;

const looks = new Map<string, number>();

/**
 * Stores a state, if it is time for it. In the transaction of the append: nobody may find a state with events in it that are rolled
 * back. One that cannot be stored is not, which makes no command fail: its events are there.
 *
 * @param storedAt version of the last that was stored, 0 for none
 */
export async function keepSnapshot<State>(
  tx: AdaptedTransaction,
  stream: string,
  snapshots: Snapshots<State>,
  storedAt: number,
  { version, state }: Reached<State>,
): Promise<void> {
  const { code, every = DEFAULT_EVERY } = snapshots;
  const isDue = version - storedAt >= every;
  const looked = looks.get(code) ?? 0;
  if (!isDue && looked >= LOOKS) return;
  looks.set(code, looked + 1);
  let written: string;
  try {
    written = writeState(stream, snapshots, state);
  } catch (error) {
    warn(stream, code, error);
    return;
  }
  if (isDue) await tx.query(STORE, [stream, code, String(version), written]);
}

/** @throws {InvalidSnapshotError} when what is read would be another value: with and without it, states would differ */
export function writeState<State>(stream: string, { code, write, read }: Snapshots<State>, state: State): string {
  const written = write ? write(state) : state;
  const json = JSON.stringify(written) ?? 'null';
  const stored = JSON.parse(json) as never;
  if (!isDeepStrictEqual(stored, written) || (read && !isDeepStrictEqual(read(stored), state)))
    throw new InvalidSnapshotError(stream, code);
  return json;
}

const warned = new Set<string>();

function warn(stream: string, code: string, error: unknown): void {
  if (warned.has(code)) return;
  warned.add(code);
  const why = error instanceof Error ? error.message : String(error);
  process.emitWarning(
    `A stream is read from its last stored state on, or from its beginning, because the snapshots ${show(code)} cannot store its state. ${why}`,
    'SnapshotWarning',
  );
}
