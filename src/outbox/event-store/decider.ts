/**
 * Decides commands on streams: loads the state from its events, decides, appends what was decided, if nobody has appended meanwhile.
 *
 * @see Chassaing: Functional Event Sourcing Decider, 2021
 */
import type { Pool } from 'pg';
import type { LocalTimeouts } from '../../protocol';
import type { AdaptedTransaction } from '../adapters';
import type { EventTypes } from '../append';
import { asJson } from '../as-json';
import { checkText } from '../check-text';
import { EventIdInUseError, InvalidEventError, WrongExpectedVersionError } from '../errors';
import { inHandlerTransaction, isPool } from '../handler-transaction';
import { appendToStream } from './append-to-stream';
import type { Appended, AppendOptions } from './append-to-stream';
import { readEvent } from './events';
import type { EventOf, NewStreamEvent, Upcasters } from './events';
import { readRows } from './read';
import type { EventReader } from './read';
import { DEFAULT_EVERY, findSnapshot, keepSnapshot, writeState } from './snapshots';
import type { Snapshots } from './snapshots';

/** What a stream means: pure functions, which give the same for the same events wherever and whenever they run. */
export interface Decider<State, Command, Types extends EventTypes> {
  /** Of a stream without events. It is frozen. */
  readonly initialState: State;
  /** What happens, given the state. Nothing: an empty list. What must not happen: throw. */
  decide(command: Command, state: State): readonly NewStreamEvent<Types>[];
  /** The state after an event. */
  evolve(state: State, event: EventOf<Types>): State;
  /** Keeps states, for streams that become long. @default none */
  readonly snapshots?: Snapshots<State>;
}

/** A state, and the version of the stream that it is of: 0 when there is no such stream. */
export interface Loaded<State> {
  readonly state: State;
  readonly version: number;
}

/** What became of a command. */
export interface Handled<State, Types extends EventTypes> extends Loaded<State> {
  /** What the command has made happen, now or when it came first. */
  readonly events: readonly EventOf<Types>[];
  /** Whether it had been handled before: then nothing was done now. */
  readonly duplicate: boolean;
}

export interface HandleOptions<Types extends EventTypes> extends AppendOptions<Types> {
  /**
   * Of the command: one with an id is handled once, however often it comes. Its events get ids made of it. 1 to 180 characters.
   * @default none
   */
  readonly id?: string;
  /** Of the transaction, where it is not yours. */
  readonly timeouts?: Partial<LocalTimeouts>;
}

/**
 * The first attempt takes no lock. One that somebody has overtaken is followed by one that locks the stream before it loads, and
 * cannot be overtaken unless there was no stream to lock; the third is for that.
 */
const ATTEMPTS = 3;

export async function handle<State, Command, Types extends EventTypes>(
  db: Pool | AdaptedTransaction,
  upcasters: Upcasters<Types>,
  decider: Decider<State, Command, Types>,
  stream: string,
  command: Command,
  options: HandleOptions<Types> = {},
): Promise<Handled<State, Types>> {
  checkText('stream', stream);
  if (options.id !== undefined) checkCommandId(options.id);
  if (!isPool(db)) return attempt(db, upcasters, decider, stream, command, options);
  for (let attempts = 1; ; attempts++) {
    try {
      return await inHandlerTransaction(
        db,
        { label: `txn:stream:${stream}`, timeouts: options.timeouts },
        async (tx) => {
          if (attempts > 1) await tx.query('select from txn.stream where name = $1 for update', [stream]);
          return attempt(tx, upcasters, decider, stream, command, options);
        },
      );
    } catch (error) {
      const overtaken =
        error instanceof WrongExpectedVersionError ||
        // The same command came twice at the same time, and was decided on another state.
        (error instanceof EventIdInUseError && options.id !== undefined);
      if (!overtaken || attempts === ATTEMPTS) throw error;
    }
  }
}

async function attempt<State, Command, Types extends EventTypes>(
  tx: AdaptedTransaction,
  upcasters: Upcasters<Types>,
  decider: Decider<State, Command, Types>,
  stream: string,
  command: Command,
  { id, outbox }: HandleOptions<Types>,
): Promise<Handled<State, Types>> {
  const repeated = async ({ first, last }: Pick<Appended, 'first' | 'last'>): Promise<Handled<State, Types>> => {
    const events: EventOf<Types>[] = [];
    for await (const row of readRows(tx, stream, { after: first - 1, upTo: last }))
      events.push(pick(readEvent(upcasters, row)));
    return { ...(await load(tx, upcasters, decider, stream)), events, duplicate: true };
  };
  const before = id === undefined ? undefined : await findCommand(tx, stream, id);
  if (before) return repeated(before);

  const { state, version, storedAt } = await restore(tx, upcasters, decider, stream);
  const decided = decider
    .decide(command, state)
    .map((event, i) => (id === undefined ? event : { ...event, id: `${id}/${i + 1}` }));
  if (decided.length === 0) return { state, version, events: [], duplicate: false };
  const appended = await appendToStream(tx, upcasters, stream, version, decided, outbox ? { outbox } : {});
  if (appended.outcome === 'stored') return repeated(appended);

  // As they will be read: a state must not depend on what JSON leaves out.
  const events = decided.map(({ type, data }) => ({ type, data: asJson(data) }) as EventOf<Types>);
  const next = events.reduce((known, event) => decider.evolve(known, event), state);
  const reached = { state: next, version: appended.last };
  if (decider.snapshots) await keepSnapshot(tx, stream, decider.snapshots, storedAt, reached);
  return { ...reached, events, duplicate: false };
}

/** What of a stream a state is made of. */
export interface LoadOptions {
  /** Only of what was appended until then: "balance as of". */
  readonly until?: Date;
}

export async function load<State, Types extends EventTypes>(
  db: EventReader,
  upcasters: Upcasters<Types>,
  decider: Pick<Decider<State, never, Types>, 'initialState' | 'evolve' | 'snapshots'>,
  stream: string,
  options: LoadOptions = {},
): Promise<Loaded<State>> {
  const { state, version } = await restore(db, upcasters, decider, stream, options);
  return { state, version };
}

/** The last version that a stream can have. */
const UNBOUNDED = 2 ** 31 - 1;

async function restore<State, Types extends EventTypes>(
  db: EventReader,
  upcasters: Upcasters<Types>,
  decider: Pick<Decider<State, never, Types>, 'initialState' | 'evolve' | 'snapshots'>,
  stream: string,
  { until }: LoadOptions = {},
): Promise<Loaded<State> & { readonly storedAt: number }> {
  checkInitialState(decider, stream);
  const snapshot =
    decider.snapshots && until === undefined ? await findSnapshot(db, stream, decider.snapshots) : undefined;
  let { state, version } = snapshot ?? { state: decider.initialState, version: 0 };
  for await (const row of readRows(db, stream, { after: version, upTo: UNBOUNDED, until })) {
    state = decider.evolve(state, pick(readEvent(upcasters, row)));
    version = row.version;
  }
  return { state, version, storedAt: snapshot?.version ?? 0 };
}

/** What states are made of. The rest of a stored event is not there yet when it is decided. */
const pick = <Types extends EventTypes>({ type, data }: EventOf<Types>): EventOf<Types> => ({ type, data });

const checked = new WeakSet<object>();

/** Once for each decider, so that states that cannot be stored at all are found with the first command and not with the hundredth. */
function checkInitialState<State>(
  decider: { readonly initialState: State; readonly snapshots?: Snapshots<State> },
  stream: string,
): void {
  if (checked.has(decider)) return;
  freeze(decider.initialState);
  if (decider.snapshots) {
    const { snapshots, initialState } = decider;
    checkText('snapshots.code', snapshots.code);
    const { every = DEFAULT_EVERY } = snapshots;
    if (!Number.isSafeInteger(every) || every < 1)
      throw new InvalidEventError('snapshots.every', `is ${String(every)}`, 'a whole number from 1 up');
    writeState(stream, snapshots, initialState);
  }
  checked.add(decider);
}

/** An `evolve` that changed it would change every stream. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const field of Object.values(value)) freeze(field);
}

// Appended at once, so they lie side by side.
const FIND_COMMAND = `
  select f.version::text as first,
         (select max(e.version)::text from txn.event e
           where e.stream = f.stream and e.version between f.version and f.version + 999
             and e.id = $2::text || '/' || (e.version - f.version + 1)) as last
    from txn.event f
   where f.stream = $1 and f.id = $2::text || '/1'`;

async function findCommand(
  tx: AdaptedTransaction,
  stream: string,
  id: string,
): Promise<{ first: number; last: number } | undefined> {
  const { rows } = await tx.query(FIND_COMMAND, [stream, id]);
  const [found] = rows as { first: string; last: string }[];
  return found && { first: Number(found.first), last: Number(found.last) };
}

/** Ids of events are made of it. */
const MOST_COMMAND_CHARACTERS = 180;

function checkCommandId(id: string): void {
  checkText('id', id);
  if (id.length > MOST_COMMAND_CHARACTERS)
    throw new InvalidEventError('id', `has ${id.length} characters`, `at most ${MOST_COMMAND_CHARACTERS}`);
}
