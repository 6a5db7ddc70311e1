/** What has happened to orders that were placed: kept as events, told to others, and projected into what can be queried. */
import { defineEventStore, defineOutbox, defineProjection } from 'temporal-txn/outbox';
import type { OrderEvents } from '../events';

/** Who wants to know what happens to orders gets it from here. */
export const outbox = defineOutbox<OrderEvents>('/orders');

/** A stream for each order, named by its id. */
export const history = defineEventStore<OrderEvents>({
  OrderCreated: [],
  InventoryReservationRequested: [],
  OrderConfirmed: [],
  OrderCancelled: [],
});

const CREATED = `
  insert into order_summary (id, customer, pieces, total, currency, status, created_at)
  values ($1, $2, $3, $4, $5, 'PENDING', $6)`;

const SETTLED = 'update order_summary set status = $2, note = $3, settled_at = $4 where id = $1';

/** The orders as the shop's staff see them. */
export const orderSummaries = defineProjection<OrderEvents>({
  name: 'order-summaries',
  store: history,
  on: {
    OrderCreated: (tx, { stream, time, data: { customer, items, total, currency } }) =>
      tx.query(CREATED, [stream, customer, items.reduce((sum, item) => sum + item.quantity, 0), total, currency, time]),
    OrderConfirmed: (tx, { stream, time }) => tx.query(SETTLED, [stream, 'CONFIRMED', null, time]),
    OrderCancelled: (tx, { stream, time, data }) => tx.query(SETTLED, [stream, 'CANCELLED', data.reason, time]),
  },
  reset: (tx) => tx.query('delete from order_summary'),
});
