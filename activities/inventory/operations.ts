/**
 * The warehouse. A reservation puts pieces aside, and later they are either sold or back in stock.
 *
 * All changes of the stock are additions, so they commute with those of other orders; rows are locked in the order of their
 * sku, so two orders for the same articles wait for each other and never deadlock.
 */
import { defineInbox, defineOutbox } from 'temporal-txn/outbox';
import { addTo, defineParticipant, operation, refuse } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { OrderEvent } from '../events';
import type { InventoryEvents } from '../events';
import { Items, Uuid } from '../values';
import type { Item } from '../values';

export const ReserveInput = z.strictObject({ items: Items });
export type ReserveInput = z.infer<typeof ReserveInput>;

export const CommitReservationInput = z.strictObject({ reservation: Uuid });
export type CommitReservationInput = z.infer<typeof CommitReservationInput>;

/** Handles each event of other services once, however often it is delivered. */
const inbox = defineInbox('inventory');
const outbox = defineOutbox<InventoryEvents>('/inventory');

export const inventory = defineParticipant('inventory', {
  /** Puts pieces aside for an order: all of them, or none. */
  reserve: operation({
    input: ReserveInput,
    async execute(tx, { items }) {
      const missing = await lockStock(tx, items);
      if (missing) refuse(missing.code, missing.message, missing.details);
      return { id: await reserve(tx, items) };
    },
    async compensate(tx, _input, { id }) {
      await settle(tx, id, 'RELEASED', 'available');
    },
  }),

  /** Hears what happens to orders. Where stock is asked for it puts it aside, or not, and answers with an event of its own. */
  hear: operation({
    input: OrderEvent,
    async execute(tx, event) {
      const order = event.partitionkey;
      const { duplicate } = await inbox.receive(tx, event, async () => {
        await tx.query('insert into heard (customer_order, sequence, type) values ($1, $2, $3)', [
          order,
          BigInt(event.sequence),
          event.type,
        ]);
        if (event.type !== 'InventoryReservationRequested') return;
        const { items } = event.data;
        const missing = await lockStock(tx, items);
        if (missing) {
          const reason = missing.message.slice(0, 200);
          await outbox.append(tx, [{ type: 'InventoryRefused', key: order, data: { reason } }]);
        } else {
          const reservation = await reserve(tx, items);
          await outbox.append(tx, [{ type: 'InventoryReserved', key: order, data: { reservation } }]);
        }
      });
      return { duplicate };
    },
  }),

  /** Sells what was put aside. There is no way back from here: a returned article is a new delivery. */
  commitReservation: operation({
    input: CommitReservationInput,
    async execute(tx, { reservation }) {
      return { items: await settle(tx, reservation, 'COMMITTED', 'sold') };
    },
  }),
});

interface Missing {
  readonly code: 'unknown-sku' | 'out-of-stock';
  readonly message: string;
  readonly details: Parameters<typeof refuse>[2];
}

/** Locks the articles. Unless there is enough of each, it says what is missing. */
async function lockStock(tx: Tx, items: readonly Item[]): Promise<Missing | undefined> {
  const { rows } = await tx.query<{ sku: string; available: number }>(
    'select sku, available from stock where sku = any($1) order by sku for no key update',
    [items.map(({ sku }) => sku)],
  );
  const available = new Map(rows.map((row) => [row.sku, row.available]));
  const unknown = items.filter(({ sku }) => !available.has(sku)).map(({ sku }) => sku);
  if (unknown.length > 0)
    return { code: 'unknown-sku', message: `There is no ${unknown.join(', ')}`, details: { skus: unknown } };
  const short = items
    .map(({ sku, quantity }) => ({ sku, requested: quantity, available: available.get(sku) ?? 0 }))
    .filter((item) => item.available < item.requested);
  if (short.length === 0) return undefined;
  const list = short.map((item) => `${item.sku} (${item.available} of ${item.requested})`).join(', ');
  return { code: 'out-of-stock', message: `There is not enough ${list}`, details: { items: short } };
}

/** Puts pieces aside whose articles are locked. @returns the reservation */
async function reserve(tx: Tx, items: readonly Item[]): Promise<string> {
  for (const item of items) await move(tx, item, 'available', 'reserved');
  const { rows } = await tx.query<{ id: string }>(
    'insert into reservation (transaction_id, branch_id) values ($1, $2) returning id',
    [tx.transaction, tx.branch],
  );
  const { id } = rows[0]!;
  await tx.query(
    'insert into reservation_item (reservation, sku, quantity) select $1, * from unnest($2::text[], $3::integer[])',
    [id, items.map(({ sku }) => sku), items.map(({ quantity }) => quantity)],
  );
  return id;
}

/** Ends a reservation and moves its pieces to where they now belong. */
async function settle(
  tx: Tx,
  reservation: string,
  status: 'RELEASED' | 'COMMITTED',
  to: 'available' | 'sold',
): Promise<Item[]> {
  const { rows } = await tx.query<{ status: string }>(
    'select status from reservation where id = $1 for no key update',
    [reservation],
  );
  if (!rows[0]) refuse('unknown-reservation', `There is no reservation ${reservation}`);
  if (rows[0].status !== 'RESERVED') {
    refuse('reservation-settled', `Reservation ${reservation} is ${rows[0].status} already`);
  }
  await tx.query('update reservation set status = $2 where id = $1', [reservation, status]);
  const { rows: items } = await tx.query<Item>(
    'select sku, quantity from reservation_item where reservation = $1 order by sku',
    [reservation],
  );
  for (const item of items) await move(tx, item, 'reserved', to);
  return items;
}

type Shelf = 'available' | 'reserved' | 'sold';

async function move(tx: Tx, { sku, quantity }: Item, from: Shelf, to: Shelf): Promise<void> {
  await addTo(tx, { table: 'stock', key: { sku }, column: from, amount: -quantity, atLeast: 0 });
  await addTo(tx, { table: 'stock', key: { sku }, column: to, amount: quantity });
}
