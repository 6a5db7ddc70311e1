/**
 * Appends events inside a local transaction, so that they exist exactly when it commits.
 *
 * @see Richardson: Microservices Patterns, 2018, 3.3.7: the transactional outbox
 */
import { traceContext } from '../observability';
import { show } from '../protocol';
import { writeEvents } from './event';
import type { NewEvent } from './event';
import { InvalidEventError } from './errors';

/**
 * A transaction that events can be appended in: the `tx` of an operation, a client of node-postgres on which `begin` was sent,
 * or what one of the adapters makes of another library's transaction.
 */
export interface EventTransaction {
  query(text: string, values: string[]): Promise<unknown>;
  /** The branch, if it is one of a participant. */
  readonly transaction?: string;
  readonly branch?: string;
  /** Has relays look as soon as the transaction has committed. */
  wakeRelay?(): void;
}

/** The types of a service's events, with the data of each. */
export type EventTypes = Readonly<Record<string, unknown>>;

type Appendable<Types extends EventTypes> = {
  readonly [Type in keyof Types & string]: NewEvent<Type, Types[Type]>;
}[keyof Types & string];

/** Where a service appends its events. */
export interface Outbox<Types extends EventTypes = EventTypes> {
  /** Who the events come from, as consumers see it. */
  readonly source: string;
  /**
   * Appends events, in this order, to the transaction; they are published once it has committed. With the `tx` of an operation
   * relays look at once; after a transaction of your own, call {@link wakeRelays}, or they look when they next poll.
   *
   * Where somebody traces, they belong to the trace that is active, unless they say otherwise.
   *
   * @throws {InvalidEventError} nothing was sent then
   * @example
   * await outbox.append(tx, [{ type: 'OrderCreated', key: order.id, data: { total: order.total } }]);
   */
  append(tx: EventTransaction, events: readonly Appendable<Types>[]): Promise<void>;
}

/**
 * Declares the outbox of a service.
 *
 * @param source a URI reference that tells consumers where the events come from: `/orders`; 1 to 200 characters
 * @throws {InvalidEventError} when the source is none
 * @example
 * const outbox = defineOutbox<{ OrderCreated: { total: number } }>('/orders');
 */
export function defineOutbox<Types extends EventTypes = EventTypes>(source: string): Outbox<Types> {
  if (typeof source !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(source))
    throw new InvalidEventError('source', `is ${show(source)}`, 'a URI reference of 1 to 200 characters: /orders');
  return {
    source,
    async append(tx, events) {
      const { transaction, branch } = tx;
      const common = {
        source,
        ...(transaction === undefined ? {} : { transaction_id: transaction }),
        ...(branch === undefined ? {} : { branch_id: branch }),
      };
      const rows = writeEvents(events, common, traceContext());
      if (events.length === 0) return;
      await tx.query('select txn.append_events($1::text::json)', [rows]);
      tx.wakeRelay?.();
    },
  };
}
