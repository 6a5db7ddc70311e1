/**
 * Orders on account, settled by events between two services, whose relays are killed at each of their points and whose services and
 * deliveries are killed in the middle: every event arrives, in order, and has its effect once. And money that moves into a savings
 * account that is nothing but events.
 */
import { rebuildProjection } from 'temporal-txn/outbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlaceOrderInput } from '../../activities/orders/operations';
import { orderSummaries } from '../../activities/orders/history';
import { balanceAsOf, statement } from '../../activities/savings/audit-trail';
import { readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import type { ServiceName } from '../../activities/services';
import type { CrashpointName } from '../../src/protocol';
import { some } from '../depth';
import { arm, countOf, expectSoundBooks, newId, until, useShop } from './fixture';

const shop = useShop({ open: ['north-bank', 'orders', 'inventory', 'savings'] });

let before: Books;
beforeEach(async () => {
  before = await readBooks(shop());
});
afterEach(async () => {
  await expectSoundBooks(shop(), before);
});

async function place(id: string, sku = 'BOOK-1'): Promise<void> {
  const items = [{ sku, quantity: 1 }];
  const input: PlaceOrderInput = { order: id.toUpperCase(), customer: 'C-1', items, total: 2_990, currency: 'EUR' };
  await shop().transactions.start('createOrder', { id, input });
}

const untilSummaryIs = (id: string, status: string): Promise<void> =>
  until(
    `the summary of ${id} is ${status}`,
    async () =>
      (await countOf(shop(), 'orders', 'order_summary where id = $1 and status = $2', [id.toUpperCase(), status])) ===
      1,
  );

async function heard(id: string): Promise<string[]> {
  const { rows } = await shop().databases.inventory.query<{ type: string }>(
    'select type from heard where customer_order = $1 order by arrival',
    [id.toUpperCase()],
  );
  return rows.map(({ type }) => type);
}

async function expectConfirmedOnce(id: string): Promise<void> {
  await untilSummaryIs(id, 'CONFIRMED');
  await until('all is told', async () => (await heard(id)).length === 3);
  expect(await heard(id)).toEqual(['OrderCreated', 'InventoryReservationRequested', 'OrderConfirmed']);
}

const KILLS: readonly [ServiceName, CrashpointName][] = [
  ['orders', 'outbox.claimed-before-publish'],
  ['orders', 'outbox.published-before-mark'],
  ['inventory', 'outbox.published-before-mark'],
  ['inventory', 'branch.committed-before-report'],
  ['orders', 'branch.committed-before-report'],
];

describe('an order on account', () => {
  it.each(some(KILLS, 1, 'services killed with events under way'))(
    'is settled once, though %s is killed at %s',
    async (service, at) => {
      const crashed = await arm(shop(), service, { at, action: { kind: 'kill' } });
      // Asked before it can die: later the answer may be about the process that was started in its place.
      const died = shop().workers[service].died();
      const ids = [newId('killed'), newId('killed'), newId('killed')];
      await Promise.all(ids.map((id) => place(id)));
      await died;
      for (const id of ids) await expectConfirmedOnce(id);
      expect(crashed()).toContain(at);
    },
  );

  it('is cancelled where there is no stock, and its summary is the same when it is made anew', async () => {
    const id = newId('refused');
    await place(id, 'SOFA-1');
    await untilSummaryIs(id, 'CANCELLED');
    const { orders } = shop().databases;
    const summaries = async (): Promise<unknown[]> =>
      (await orders.query<object>('select * from order_summary order by id')).rows;
    const live = await summaries();
    await rebuildProjection(orders, orderSummaries);
    expect(await summaries()).toEqual(live);
    expect(
      await countOf(shop(), 'orders', "customer_order where id = $1 and status = 'CANCELLED'", [id.toUpperCase()]),
    ).toBe(1);
    await until('all is told', async () => (await heard(id)).length === 3);
  });
});

describe('money for a savings account', () => {
  const save = (id: string, amount: number) =>
    shop().transactions.execute('saveMoney', {
      id,
      input: { from: { bank: 'north-bank', account: 'alice' }, to: 'alice', amount, currency: 'EUR' },
    });

  it('leaves the bank and becomes an event in one transaction, though the service is killed when it has prepared', async () => {
    await arm(shop(), 'savings', { at: 'two-phase.prepared-before-vote', action: { kind: 'kill' } });
    const id = newId('save');
    const { rows } = await shop().databases.savings.query<{ now: Date }>('select clock_timestamp() as now');
    const then = await balanceAsOf(shop().databases.savings, 'alice', rows[0]!.now);
    expect(await save(id, 700)).toEqual({ saved: then + 700 });
    const entries = await statement(shop().databases.savings, 'alice');
    expect(entries.filter(({ transaction }) => transaction === id)).toMatchObject([
      { amount: 700, balance: then + 700 },
    ]);
    expect(await balanceAsOf(shop().databases.savings, 'alice', rows[0]!.now)).toBe(then);
  });

  it('stays where it is when the bank refuses', async () => {
    const id = newId('save');
    await expect(save(id, 10_000_000_000)).rejects.toThrow();
    const entries = await statement(shop().databases.savings, 'alice');
    expect(entries.filter(({ transaction }) => transaction === id)).toEqual([]);
  });
});
