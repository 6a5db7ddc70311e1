/**
 * Appends events to a stream in a local transaction: at the version that the caller expects, all or none, and once however often
 * it is tried (rules E1 to E4). The work is done by the function `txn.try_append_to_stream`.
 *
 * @see Young: CQRS Documents, 2010: "Building an Event Storage"
 */
import { canonicalJson, show } from '../../protocol';
import type { AdaptedTransaction } from '../adapters';
import type { EventTypes, Outbox } from '../append';
import { asJson } from '../as-json';
import { checkText } from '../check-text';
import { hasSqlState } from '../database-errors';
import { EventIdInUseError, InvalidEventError, WrongExpectedVersionError } from '../errors';
import type { EventIdConflict } from '../errors';
import { checkData } from '../event';
import { revisionOf } from './events';
import type { NewStreamEvent, Upcasters } from './events';

/**
 * The version that a stream has to have for an append: a number (0 for a stream that does not exist), `none` for a stream that
 * does not exist, or `any` for events that hold whatever else has happened.
 */
export type ExpectedVersion = number | 'none' | 'any';

/** What became of an append. */
export interface Appended {
  /** `stored`: it is a repeated one, and the events were in the stream. */
  readonly outcome: 'appended' | 'stored';
  /** The versions of the first and last of the events. */
  readonly first: number;
  readonly last: number;
}

export interface AppendOptions<Types extends EventTypes> {
  /** Publishes the events, too: through this outbox, in the same transaction, with the stream as key. */
  readonly outbox?: Outbox<Types>;
}

type Answer =
  | { readonly outcome: 'appended' | 'stored'; readonly first: number; readonly last: number }
  | { readonly outcome: 'version'; readonly actual: number }
  | {
      readonly outcome: 'id';
      readonly reason: EventIdConflict;
      readonly found: { readonly id: string; readonly stream: string; readonly version: number }[];
    };

const APPEND = `select txn.try_append_to_stream($1, nullif($2, 'any')::integer, $3::json)::text as answer`;

export async function appendToStream<Types extends EventTypes>(
  tx: AdaptedTransaction,
  upcasters: Upcasters<Types>,
  stream: string,
  expected: ExpectedVersion,
  events: readonly NewStreamEvent<Types>[],
  { outbox }: AppendOptions<Types> = {},
): Promise<Appended> {
  checkText('stream', stream);
  const version = checkExpected(expected);
  const written = writeEvents(upcasters, events, tx);
  // Before anything is sent: it takes less than a stream does.
  const publish = outbox && (await prepare(tx, outbox, stream, events));
  let rows: readonly unknown[];
  try {
    ({ rows } = await tx.query(APPEND, [stream, String(version), written]));
  } catch (error) {
    // Another stream got the id between the look and the insert.
    throw hasSqlState(error, UNIQUE_VIOLATION) ? new EventIdInUseError(stream, 'another stream', []) : error;
  }
  const answer = JSON.parse((rows[0] as { answer: string }).answer) as Answer;
  switch (answer.outcome) {
    case 'version':
      throw new WrongExpectedVersionError(stream, Number(version), answer.actual);
    case 'id':
      throw new EventIdInUseError(stream, answer.reason, answer.found);
    case 'stored':
      return answer;
    case 'appended':
      await publish?.();
      // Projections look when relays do.
      tx.wakeRelay?.();
      return answer;
  }
}

const UNIQUE_VIOLATION = '23505';

/** Has the outbox check and write the events. @returns what sends them */
async function prepare<Types extends EventTypes>(
  tx: AdaptedTransaction,
  outbox: Outbox<Types>,
  stream: string,
  events: readonly NewStreamEvent<Types>[],
): Promise<() => Promise<void>> {
  const { transaction, branch } = tx;
  const statements: [text: string, values: string[]][] = [];
  const later = {
    query: async (text: string, values: string[]) => statements.push([text, values]),
    ...(transaction === undefined ? {} : { transaction }),
    ...(branch === undefined ? {} : { branch }),
  };
  const published = events.map(({ type, data, id }) => ({
    type,
    data,
    key: stream,
    ...(id === undefined ? {} : { id }),
  }));
  await outbox.append(later, published);
  return async () => {
    for (const [text, values] of statements) await tx.query(text, values);
  };
}

/** PostgreSQL's integer. */
const HIGHEST_VERSION = 2 ** 31 - 1;

function checkExpected(expected: ExpectedVersion): number | 'any' {
  if (expected === 'any') return expected;
  if (expected === 'none') return 0;
  if (Number.isInteger(expected) && expected >= 0 && expected <= HIGHEST_VERSION) return expected;
  throw new InvalidEventError(
    'expected version',
    `is ${show(expected)}`,
    `a whole number from 0 to ${HIGHEST_VERSION}, 'none' or 'any'`,
  );
}

const MOST_EVENTS = 1_000;
const MOST_BYTES = 64 * 1024 * 1024;

function writeEvents<Types extends EventTypes>(
  upcasters: Upcasters<Types>,
  events: readonly NewStreamEvent<Types>[],
  { transaction, branch }: AdaptedTransaction,
): string {
  if (!Array.isArray(events) || events.length < 1 || events.length > MOST_EVENTS)
    throw new InvalidEventError('events', `are ${show(events)}`, `a list of 1 to ${MOST_EVENTS}`);
  const ids = new Set<string>();
  const rows = events.map((event: NewStreamEvent<Types>, at) => {
    const { type, id, data, metadata } = event;
    checkText(`events[${at}].type`, type);
    if (!Object.hasOwn(upcasters, type))
      throw new InvalidEventError(`events[${at}].type`, `is ${show(type)}`, 'one of the types that the store declares');
    if (id !== undefined) {
      checkText(`events[${at}].id`, id);
      if (ids.has(id))
        throw new InvalidEventError(`events[${at}].id`, 'is that of another one of them', 'an id of its own');
      ids.add(id);
    }
    checkData(`events[${at}].data`, data);
    if (metadata !== undefined) checkData(`events[${at}].metadata`, metadata);
    return {
      type,
      id,
      revision: revisionOf(upcasters, type),
      data: asJson(data),
      metadata: metadata === undefined ? undefined : asJson(metadata),
      transaction_id: transaction,
      branch_id: branch,
    };
  });
  // One text for one value, whatever the order of its keys: by it a repeated append is told from another one with the same ids.
  const written = canonicalJson(rows);
  const bytes = Buffer.byteLength(written);
  if (bytes > MOST_BYTES)
    throw new InvalidEventError('events', `have ${bytes} bytes`, `at most ${MOST_BYTES} in one append`);
  return written;
}
