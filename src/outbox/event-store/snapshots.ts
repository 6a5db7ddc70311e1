/**
 * States of streams at some version, so that a long stream is not read from its beginning. A mere cache: deleting all of them
 * changes nothing (rule E6), and one that other code has made is not looked at.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AdaptedTransaction } from '../adapters';
import { InvalidSnapshotError } from '../errors';
import type { EventReader } from './read';

/** How a decider's states are kept. */
export interface Snapshots<State> {
  /** Which code computes the states: give it another name with every change of `evolve` or `State`. 1 to 200 characters. */
  readonly code: string;
  /** After how many events a state is stored again. @default 100 */
  readonly every?: number;
  /** What is stored of a state, for one that JSON cannot hold as it is. @default the state */
  readonly write?: (state: State) => unknown;
  /** The state again. */
  readonly read?: (stored: never) => State;
}

export const DEFAULT_EVERY = 100;

// One that is ahead of its stream was left behind when a backup was restored.
const FIND = `
  select p.version::text as version, p.state::text as state
    from txn.snapshot p
    join txn.stream s on s.name = p.stream
   where p.stream = $1 and p.code = $2 and p.version <= s.version`;

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

const STORE = `
  insert into txn.snapshot as p (stream, code, version, state) values ($1, $2, $3::integer, $4::json)
  on conflict (stream, code) do update
     set version = excluded.version, state = excluded.state, created_at = clock_timestamp()
   where p.version < excluded.version`;

/** In the transaction of the append: nobody may find a state with events in it that are rolled back. */
export async function storeSnapshot<State>(
  tx: AdaptedTransaction,
  stream: string,
  snapshots: Snapshots<State>,
  version: number,
  state: State,
): Promise<void> {
  await tx.query(STORE, [stream, snapshots.code, String(version), writeState(stream, snapshots, state)]);
}

/** @throws {InvalidSnapshotError} when what is read would be another value: with and without it, states would differ */
export function writeState<State>(stream: string, { code, write }: Snapshots<State>, state: State): string {
  const written = write ? write(state) : state;
  const json = JSON.stringify(written) ?? 'null';
  if (!isDeepStrictEqual(JSON.parse(json), written)) throw new InvalidSnapshotError(stream, code);
  return json;
}
