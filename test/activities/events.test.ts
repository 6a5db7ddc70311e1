/** Orders on account: what the two services tell each other, delivered by hand, twice and in the wrong order of arrival. */
import { randomUUID } from 'node:crypto';
import { rebuildProjection, runProjections } from 'temporal-txn/outbox';
import { describe, expect, it } from 'vitest';
import { inventory } from '../../activities/inventory/operations';
import { violations } from '../../activities/invariants';
import { orderSummaries } from '../../activities/orders/history';
import { orders } from '../../activities/orders/operations';
import { refusal, useService } from './fixture';

const shop = useService('orders', orders);
const warehouse = useService('inventory', inventory);

const envelope = (source: string, type: string, order: string, sequence: number, data: object) => ({
  specversion: '1.0',
  id: randomUUID(),
  source,
  type,
  time: new Date().toISOString(),
  datacontenttype: 'application/json',
  partitionkey: order,
  sequence: String(sequence).padStart(19, '0'),
  data,
});

const place = async (order: string): Promise<void> => {
  const items = [{ sku: 'BOOK-1', quantity: 2 }];
  const branch = shop.branch('place', { order, customer: 'C-1', items, total: 500, currency: 'EUR' });
  await branch.execute();
  await shop.releaseLocks(branch.transaction);
};

const toldBy = (service: typeof shop, key: string): Promise<unknown[]> =>
  service.rows('select type, version::int, data from txn.outbox where key = $1 order by version', [key]);

const reservations = async (): Promise<number> =>
  ((await warehouse.rows('select count(*)::int as n from reservation')) as { n: number }[])[0]!.n;

describe('placing an order', () => {
  it('writes the order and tells of it in one transaction', async () => {
    await place('E-1');
    expect(await toldBy(shop, 'E-1')).toEqual([
      {
        type: 'OrderCreated',
        version: 1,
        data: { customer: 'C-1', items: [{ sku: 'BOOK-1', quantity: 2 }], total: 500, currency: 'EUR' },
      },
      { type: 'InventoryReservationRequested', version: 2, data: { items: [{ sku: 'BOOK-1', quantity: 2 }] } },
    ]);
  });

  it('that is refused tells nothing', async () => {
    await place('E-2');
    const items = [{ sku: 'LAMP-1', quantity: 1 }];
    const again = shop.branch('place', { order: 'E-2', customer: 'C-2', items, total: 1, currency: 'EUR' });
    await expect(again.execute()).rejects.toMatchObject(refusal('order-exists'));
    expect(await toldBy(shop, 'E-2')).toHaveLength(2);
  });
});

describe('the inventory', () => {
  const request = (order: string, sku: string) =>
    envelope('/orders', 'InventoryReservationRequested', order, 1, { items: [{ sku, quantity: 1 }] });

  it('acts once on a request that is delivered twice, by two transactions', async () => {
    const before = await reservations();
    const event = request('E-3', 'BOOK-1');
    expect(await warehouse.branch('hear', event).execute()).toMatchObject({ result: { duplicate: false } });
    expect(await warehouse.branch('hear', event).execute()).toMatchObject({ result: { duplicate: true } });
    expect(await reservations()).toBe(before + 1);
    expect(await toldBy(warehouse, 'E-3')).toMatchObject([{ type: 'InventoryReserved', version: 1 }]);
    expect(await violations(warehouse.pool)).toEqual([]);
  });

  it('answers with a refusal where there is not enough, and keeps nothing', async () => {
    const before = await reservations();
    await warehouse.branch('hear', request('E-4', 'SOFA-1')).execute();
    expect(await toldBy(warehouse, 'E-4')).toEqual([
      { type: 'InventoryRefused', version: 1, data: { reason: 'There is not enough SOFA-1 (0 of 1)' } },
    ]);
    expect(await reservations()).toBe(before);
  });

  it('notices what was left out, or came in another order', async () => {
    const late = envelope('/orders', 'OrderConfirmed', 'E-5', 3, { reservation: randomUUID() });
    await warehouse.branch('hear', late).execute();
    expect(await violations(warehouse.pool)).toMatchObject([
      { subject: 'E-5', details: 'sequence 3 came as number 1' },
    ]);
    await warehouse.rows("delete from heard where customer_order = 'E-5'");
  });

  it('takes no event that is not one', async () => {
    const forged = { ...request('E-6', 'BOOK-1'), source: '/elsewhere' };
    await expect(warehouse.branch('hear', forged).execute()).rejects.toMatchObject(refusal('invalid-input'));
  });
});

describe('the order', () => {
  const answer = (order: string, type: 'InventoryReserved' | 'InventoryRefused') =>
    envelope(
      '/inventory',
      type,
      order,
      1,
      type === 'InventoryReserved' ? { reservation: randomUUID() } : { reason: 'no' },
    );

  it('is confirmed, or cancelled, once, and says so', async () => {
    await place('E-7');
    await place('E-8');
    const yes = answer('E-7', 'InventoryReserved');
    for (let i = 0; i < 2; i++)
      expect(await shop.branch('hear', yes).execute()).toMatchObject({ result: { order: 'E-7', status: 'CONFIRMED' } });
    await shop.branch('hear', answer('E-8', 'InventoryRefused')).execute();
    expect(await toldBy(shop, 'E-7')).toMatchObject([{}, {}, { type: 'OrderConfirmed', version: 3 }]);
    expect(await toldBy(shop, 'E-8')).toMatchObject([{}, {}, { type: 'OrderCancelled', version: 3 }]);
  });

  it('that nobody has placed is not made by an answer', async () => {
    const hear = shop.branch('hear', answer('E-NONE', 'InventoryReserved'));
    await expect(hear.execute()).rejects.toMatchObject(refusal('unknown-order'));
    expect(await toldBy(shop, 'E-NONE')).toEqual([]);
  });

  it('has a summary that is what the order is, live and rebuilt', async () => {
    const stop = new AbortController();
    const running = runProjections({
      pool: shop.pool,
      projections: [orderSummaries],
      stop: stop.signal,
      onStopped: (_, { error }) => stop.abort(error),
      onTrouble: (_, error) => stop.abort(error),
    });
    const summaries = (): Promise<unknown[]> => shop.rows('select * from order_summary order by id');
    await expect.poll(summaries, { timeout: 10_000 }).toHaveLength(4);
    await expect.poll(summaries, { timeout: 10_000 }).toMatchObject([
      { id: 'E-1', status: 'PENDING', pieces: 2, total: '500' },
      { id: 'E-2', status: 'PENDING' },
      { id: 'E-7', status: 'CONFIRMED', note: null },
      { id: 'E-8', status: 'CANCELLED', note: 'no' },
    ]);
    const live = await summaries();
    stop.abort();
    await running;
    await rebuildProjection(shop.pool, orderSummaries);
    expect(await summaries()).toEqual(live);
  });
});
