/**
 * The orders of the shop. While a transaction works on an order, the order is under its semantic lock, so that no other
 * transaction builds on a status that may yet be taken back.
 */
import { randomUUID } from 'node:crypto';
import { defineParticipant, operation, refuse, reread, semanticLock } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { Amount, Currency, Items, OrderId, Reference } from '../values';

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

export const GetOrderInput = z.strictObject({ order: OrderId });
export type GetOrderInput = z.infer<typeof GetOrderInput>;

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
    async execute(tx, { order: id = `ORD-${randomUUID().toUpperCase()}`, items, ...order }) {
      await semanticLock(tx, `order/${id}`);
      const { rows } = await tx.query<OrderState>(INSERT, [
        id,
        order.customer,
        order.total,
        order.currency,
        order.payment ?? null,
        order.reservation ?? null,
        tx.transaction,
        tx.branch,
      ]);
      if (!rows[0]) refuse('order-exists', `There is an order ${id} already`);
      await tx.query(
        'insert into order_item (customer_order, sku, quantity) select $1, * from unnest($2::text[], $3::integer[])',
        [id, items.map(({ sku }) => sku), items.map(({ quantity }) => quantity)],
      );
      return { id, ...rows[0] };
    },
    async compensate(tx, _input, { id }) {
      await write(tx, id, 'CANCELLED');
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

const INSERT = `
  insert into customer_order (id, customer, total, currency, payment, reservation, transaction_id, branch_id)
  values ($1, $2, $3, $4, $5, $6, $7, $8)
  on conflict (id) do nothing
  returning status, version`;

const SELECT = 'select status, version, total, currency from customer_order where id = $1';

async function write(tx: Tx, order: string, status: Status): Promise<OrderState> {
  const { rows } = await tx.query<OrderState>(
    'update customer_order set status = $2, version = version + 1 where id = $1 returning status, version',
    [order, status],
  );
  return rows[0]!;
}
