/**
 * The orders of the shop. While a transaction works on an order, the order is under its semantic lock, so that no other
 * transaction builds on a status that may yet be taken back.
 */
import { randomUUID } from 'node:crypto';
import { defineInbox } from 'temporal-txn/outbox';
import { defineParticipant, operation, refuse, reread, semanticLock } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { InventoryEvent } from '../events';
import { Amount, Currency, Items, OrderId, Reference } from '../values';
import { history, outbox } from './history';

export const Status = z.enum(['PENDING', 'CONFIRMED', 'SHIPPED', 'CANCELLED']);
export type Status = z.infer<typeof Status>;

export const CreateOrderInput = z.strictObject({
  /** A new one unless given. */
  order: OrderId.optional(),
  /** The customer's number, not their name. */
  customer: Reference,
  items: Items,
  total: Amount,
  currency: Currency,
  payment: Reference.optional(),
  reservation: Reference.optional(),
});
export type CreateOrderInput = z.infer<typeof CreateOrderInput>;

export const SetStatusInput = z.strictObject({
  order: OrderId,
  status: Status,
  /** What the caller has read. When given, the order must not have changed since. */
  version: z
    .int({ error: 'must be a version that was read' })
    .positive({ error: 'must be a version that was read' })
    .optional(),
});
export type SetStatusInput = z.infer<typeof SetStatusInput>;

export const PlaceOrderInput = CreateOrderInput.omit({ payment: true, reservation: true });
export type PlaceOrderInput = z.infer<typeof PlaceOrderInput>;

export const GetOrderInput = z.strictObject({ order: OrderId });
export type GetOrderInput = z.infer<typeof GetOrderInput>;

/** Handles each event of other services once, however often it is delivered. */
const inbox = defineInbox('orders');

/** What each status can become. */
const NEXT: Readonly<Record<Status, readonly Status[]>> = {
  PENDING: ['CONFIRMED', 'CANCELLED'],
  CONFIRMED: ['SHIPPED', 'CANCELLED'],
  SHIPPED: [],
  CANCELLED: [],
};

export const orders = defineParticipant('orders', {
  /** Writes a new order. */
  create: operation({
    input: CreateOrderInput,
    async execute(tx, { order: id = newId(), items, ...order }) {
      return insert(tx, { ...order, id, items, terms: 'CARD' });
    },
    async compensate(tx, _input, { id }) {
      await write(tx, id, 'CANCELLED');
    },
  }),

  /**
   * Writes a new order on account and says so: the order and its events are there together, or not at all. Nobody waits for the
   * stock here; what the inventory says of it comes as an event, see {@link orders.hear}.
   */
  place: operation({
    input: PlaceOrderInput,
    async execute(tx, { order: id = newId(), ...order }) {
      const placed = await insert(tx, { ...order, id, terms: 'ACCOUNT' });
      const { customer, items, total, currency } = order;
      const created = { type: 'OrderCreated', data: { customer, items, total, currency } } as const;
      await history.appendToStream(tx, id, 'none', [created], { outbox });
      await outbox.append(tx, [{ type: 'InventoryReservationRequested', key: id, data: { items } }]);
      return placed;
    },
  }),

  /** Hears from the inventory whether there is stock for an order. */
  hear: operation({
    input: InventoryEvent,
    async execute(tx, event) {
      const id = event.partitionkey;
      const { outcome } = await inbox.receive(tx, event, async () => {
        const { rows } = await tx.query(`${SELECT} for no key update`, [id]);
        if (!rows[0]) refuse('unknown-order', `There is no order ${id}`);
        const confirmed = event.type === 'InventoryReserved';
        const happened = confirmed
          ? ({ type: 'OrderConfirmed', data: event.data } as const)
          : ({ type: 'OrderCancelled', data: event.data } as const);
        await history.appendToStream(tx, id, 'any', [happened], { outbox });
        const { status } = await write(tx, id, confirmed ? 'CONFIRMED' : 'CANCELLED');
        return { order: id, status };
      });
      return outcome;
    },
  }),

  /** Moves an order on. */
  setStatus: operation({
    input: SetStatusInput,
    async execute(tx, { order, status, version }) {
      await semanticLock(tx, `order/${order}`);
      const { rows } = await tx.query<OrderState>(`${SELECT} for no key update`, [order]);
      if (!rows[0]) refuse('unknown-order', `There is no order ${order}`);
      if (version !== undefined) {
        await reread(tx, { table: 'customer_order', key: { id: order }, expected: version });
      }
      const previous = rows[0].status;
      if (!NEXT[previous].includes(status)) {
        refuse('invalid-transition', `Order ${order} is ${previous} and cannot become ${status}`);
      }
      return { ...(await write(tx, order, status)), previous };
    },
    // The lock is still ours, so nobody has moved the order on from the status that is taken back. The version is not: who
    // has read the order in between must find that it has changed again.
    async compensate(tx, { order }, { previous }) {
      await write(tx, order, previous);
    },
  }),

  /** Tells how an order stands. */
  get: operation({
    input: GetOrderInput,
    readOnly: true,
    async execute(tx, { order }) {
      const { rows } = await tx.query<OrderState & { total: string; currency: string }>(SELECT, [order]);
      if (!rows[0]) refuse('unknown-order', `There is no order ${order}`);
      return { ...rows[0], total: Number(rows[0].total) };
    },
  }),
});

interface OrderState {
  status: Status;
  version: number;
}

interface NewOrder extends Omit<CreateOrderInput, 'order'> {
  readonly id: string;
  readonly terms: 'CARD' | 'ACCOUNT';
}

const newId = (): string => `ORD-${randomUUID().toUpperCase()}`;

const INSERT = `
  insert into customer_order (id, customer, total, currency, payment, reservation, terms, transaction_id, branch_id)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  on conflict (id) do nothing
  returning status, version`;

const SELECT = 'select status, version, total, currency from customer_order where id = $1';

async function insert(tx: Tx, { id, items, ...order }: NewOrder): Promise<OrderState & { id: string }> {
  await semanticLock(tx, `order/${id}`);
  const { rows } = await tx.query<OrderState>(INSERT, [
    id,
    order.customer,
    order.total,
    order.currency,
    order.payment ?? null,
    order.reservation ?? null,
    order.terms,
    tx.transaction,
    tx.branch,
  ]);
  if (!rows[0]) refuse('order-exists', `There is an order ${id} already`);
  await tx.query(
    'insert into order_item (customer_order, sku, quantity) select $1, * from unnest($2::text[], $3::integer[])',
    [id, items.map(({ sku }) => sku), items.map(({ quantity }) => quantity)],
  );
  return { id, ...rows[0] };
}

async function write(tx: Tx, order: string, status: Status): Promise<OrderState> {
  const { rows } = await tx.query<OrderState>(
    'update customer_order set status = $2, version = version + 1 where id = $1 returning status, version',
    [order, status],
  );
  return rows[0]!;
}
