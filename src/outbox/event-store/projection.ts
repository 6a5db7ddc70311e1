/**
 * Projections: tables that follow the events. The effect of events and how far the projection has come are committed together, and
 * its row is locked meanwhile (rule E5): no crash applies an event twice or leaves one out, and of two runners one waits.
 */
import type { Pool } from 'pg';
import type { EventTypes } from '../append';
import { checkText } from '../check-text';
import { hasLostConnection } from '../database-errors';
import { inHandlerTransaction } from '../handler-transaction';
import type { HandlerTransaction } from '../handler-transaction';
import { readEvent } from './events';
import type { EventRow, StoredFields, Upcasters } from './events';
import { readNumbered } from './read';
import type { EventStore } from './store';

/** An event of one type, as a projection gets it. */
export type ProjectedEvent<Type extends string, Data> = StoredFields & {
  readonly type: Type;
  readonly data: Data;
  readonly position: number;
};

export interface Projection<Types extends EventTypes = EventTypes> {
  /** Under which its position is kept, 1 to 200 characters. */
  readonly name: string;
  readonly store: EventStore<Types>;
  /** Only events of streams whose name begins so. @default all */
  readonly streams?: string;
  /**
   * What events do to the tables, by type. Types that the store declares and that are not here do nothing to them. Give the same
   * for the same event whenever it runs: take times and ids from the event, not from the clock.
   */
  readonly on: {
    readonly [Type in keyof Types & string]?: (
      tx: HandlerTransaction,
      event: ProjectedEvent<Type, Types[Type]>,
    ) => Promise<unknown>;
  };
  /** Empties the tables, for a rebuild. Use `delete`: `truncate` keeps readers away until it is committed. */
  reset(tx: HandlerTransaction): Promise<unknown>;
}

/**
 * Declares a projection.
 *
 * @throws {InvalidEventError} when the name is none
 * @example
 * const balances = defineProjection({
 *   name: 'balances',
 *   store,
 *   on: { Deposited: (tx, { stream, data }) => tx.query('update balance set amount = amount + $1 where account = $2', [data.amount, stream]) },
 *   reset: (tx) => tx.query('delete from balance'),
 * });
 */
export function defineProjection<Types extends EventTypes>(projection: Projection<Types>): Projection<Types> {
  checkText('name', projection.name);
  return projection;
}

/** Any projection: what a runner needs to know of it. Typed handlers of different services stand side by side in it. */
export type AnyProjection = Omit<Projection, 'store' | 'on'> & {
  readonly store: { readonly types: Upcasters<EventTypes> };
  readonly on: Readonly<Record<string, ((tx: HandlerTransaction, event: never) => Promise<unknown>) | undefined>>;
};

/** What a step has done. `busy`: another runner has the projection. */
export type ProjectionStep =
  | { readonly kind: 'busy' }
  | {
      readonly kind: 'stepped';
      readonly position: number;
      readonly applied: number;
      readonly read: number;
      /** Nothing after `position` can be applied: this event fails. */
      readonly failure?: EventFailure;
    };

/** An event whose handler failed, though its connection did not, or that cannot be read. */
export interface EventFailure {
  readonly event: Pick<EventRow, 'stream' | 'version' | 'id' | 'type'> & { readonly position: number };
  readonly error: unknown;
}

export const REGISTER = `insert into txn.projection (name) values ($1) on conflict (name) do nothing`;

const LOCK = `select position::text as position from txn.projection where name = $1 for update skip locked`;

const ADVANCE = `
  update txn.projection
     set position = $2::bigint, updated_at = clock_timestamp(),
         stopped_at_position = null, stopped_at_event = null, error = null, stopped_at = null
   where name = $1`;

/** Rolls the transaction back, and says which event it was. */
class FailedAt extends Error {
  constructor(
    readonly before: number,
    readonly failure: EventFailure,
  ) {
    super('an event failed', { cause: failure.error });
  }
}

/**
 * Applies at most so many events, in one transaction. Where one fails, those before it are applied.
 *
 * @throws what the database answers; nothing was changed
 */
export async function step(pool: Pool, projection: AnyProjection, most: number): Promise<ProjectionStep> {
  try {
    return await apply(pool, projection, most);
  } catch (error) {
    if (!(error instanceof FailedAt)) throw error;
    // Once more, up to it: the rollback took those before it, too.
    if (error.before > 0) return step(pool, projection, error.before);
    // Nothing says that it is the event: a server may stop, a pooler cut in.
    if (hasLostConnection(error.failure.error)) throw error.failure.error;
    return { kind: 'stepped', position: error.failure.event.position - 1, applied: 0, read: 0, failure: error.failure };
  }
}

function apply(pool: Pool, projection: AnyProjection, most: number): Promise<ProjectionStep> {
  const { name, store, streams = '', on } = projection;
  return inHandlerTransaction(pool, { label: `txn:projection:${name}` }, async (tx): Promise<ProjectionStep> => {
    const { rows } = await tx.query<{ position: string }>(LOCK, [name]);
    const [found] = rows;
    if (!found) return { kind: 'busy' };
    let position = Number(found.position);
    let applied = 0;
    const events = await readNumbered(tx, position, most);
    for (const [before, row] of events.entries()) {
      try {
        if (row.stream.startsWith(streams)) {
          const event = readEvent(store.types, row);
          const handler = on[event.type];
          if (handler) applied++;
          await handler?.(tx, event as never);
        }
      } catch (error) {
        const { stream, version, id, type } = row;
        const at = row.position ?? position + 1;
        throw new FailedAt(before, { event: { stream, version, id, type, position: at }, error });
      }
      position = row.position ?? position;
    }
    if (events.length > 0) await tx.query(ADVANCE, [name, position]);
    return { kind: 'stepped', position, applied, read: events.length };
  });
}
