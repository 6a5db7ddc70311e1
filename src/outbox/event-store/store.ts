/** The event store of a service: streams of events in its own database, as one object that knows the service's types of events. */
import type { Pool } from 'pg';
import type { AdaptedTransaction } from '../adapters';
import type { EventTypes } from '../append';
import { checkText } from '../check-text';
import { InvalidEventError } from '../errors';
import { appendToStream } from './append-to-stream';
import type { Appended, AppendOptions, ExpectedVersion } from './append-to-stream';
import { handle, load } from './decider';
import type { Decider, Handled, HandleOptions, Loaded, LoadOptions } from './decider';
import { readEvent } from './events';
import type { NewStreamEvent, NumberedEvent, StoredEvent, Upcasters } from './events';
import { readRows } from './read';
import type { EventReader } from './read';
import { subscribe } from './subscribe';
import type { SubscribeOptions } from './subscribe';

export interface EventStore<Types extends EventTypes = EventTypes> {
  readonly types: Upcasters<Types>;
  /**
   * Appends events in a local transaction, all or none; they exist exactly when it commits. Repeated with the same ids it finds
   * them there, at every expected version, and appends nothing.
   *
   * @param tx the `tx` of an operation, a client on which `begin` was sent, or what an adapter makes of another library's transaction
   * @throws {WrongExpectedVersionError} somebody else has appended; nothing was, and the transaction can go on
   * @throws {EventIdInUseError} ids are those of other events; nothing was appended
   * @throws {InvalidEventError} nothing was sent
   * @example
   * await store.appendToStream(tx, 'account-1', 'none', [{ type: 'Opened', data: { owner: 'Alice' }, id: command.id }]);
   */
  appendToStream(
    tx: AdaptedTransaction,
    stream: string,
    expected: ExpectedVersion,
    events: readonly NewStreamEvent<Types>[],
    options?: AppendOptions<Types>,
  ): Promise<Appended>;
  /**
   * The events of a stream, in their order.
   *
   * @param range `after`: the version after which it begins; by default 0. `until`: only what was appended until then
   * @throws {PositionAheadError} when `after` is a position that this database has never given
   * @throws {UnreadableEventError} when an event is reached that this program cannot read
   * @example for await (const { version, type, data } of store.readStream(pool, 'account-1')) console.log(version, type, data);
   */
  readStream(
    db: EventReader,
    stream: string,
    range?: { readonly after?: number; readonly until?: Date },
  ): AsyncGenerator<StoredEvent<Types>, void>;
  /**
   * All events in the order of their positions, and those to come, until it is stopped: nothing is skipped, and nothing waits for
   * a transaction that is open or in doubt. Takes a connection of the pool for as long as it runs.
   *
   * @throws {RangeError} when an option is out of range
   * @throws {PositionAheadError} when `after` is a position that this database has never given
   * @throws {UnreadableEventError} when an event is reached that this program cannot read
   * @throws what the database answers: begin again after the last position
   * @example for await (const event of store.subscribe(pool, { after: last, stop })) last = event.position;
   */
  subscribe(pool: Pool, options: SubscribeOptions): AsyncGenerator<NumberedEvent<Types>, void>;
  /**
   * The state of a stream.
   *
   * @example const { state } = await store.load(pool, account, 'account-1', { until: new Date('2026-01-01T00:00:00Z') });
   */
  load<State>(
    db: EventReader,
    decider: Pick<Decider<State, never, Types>, 'initialState' | 'evolve' | 'snapshots'>,
    stream: string,
    options?: LoadOptions,
  ): Promise<Loaded<State>>;
  /**
   * Has a command decided on the state of a stream, and appends the events. With a pool in a transaction of its own, which is
   * tried again when somebody else has appended meanwhile; with a transaction of yours once.
   *
   * @throws {WrongExpectedVersionError} in a transaction of yours, when somebody else has appended; nothing was changed
   * @throws what `decide` throws; nothing was changed
   * @example const { state } = await store.handle(pool, account, 'account-1', { kind: 'deposit', amount: 100 }, { id: request.id });
   */
  handle<State, Command>(
    db: Pool | AdaptedTransaction,
    decider: Decider<State, Command, Types>,
    stream: string,
    command: Command,
    options?: HandleOptions<Types>,
  ): Promise<Handled<State, Types>>;
}

/**
 * Declares the event store of a service.
 *
 * @param types the service's types of events, each with the functions that bring its old forms up to date
 * @throws {InvalidEventError} when the name of a type is too long
 * @example
 * const store = defineEventStore<{ Opened: { owner: string }; Deposited: { amount: number } }>({ Opened: [], Deposited: [] });
 */
export function defineEventStore<Types extends EventTypes>(types: Upcasters<Types>): EventStore<Types> {
  for (const [type, upcasters] of Object.entries<unknown>(types)) {
    checkText('type', type);
    if (!Array.isArray(upcasters))
      throw new InvalidEventError(
        `types.${type}`,
        'is no list',
        'the functions that bring old forms up to date, or an empty list',
      );
  }
  return {
    types,
    appendToStream: (tx, stream, expected, events, options) =>
      appendToStream(tx, types, stream, expected, events, options),
    async *readStream(db, stream, { after = 0, until } = {}) {
      checkText('stream', stream);
      for await (const row of readRows(db, stream, { after, upTo: LAST, until })) yield readEvent(types, row);
    },
    subscribe: (pool, options) => subscribe(pool, types, options),
    load: (db, decider, stream, options) => load(db, types, decider, stream, options),
    handle: (db, decider, stream, command, options) => handle(db, types, decider, stream, command, options),
  };
}

const LAST = 2 ** 31 - 1;
