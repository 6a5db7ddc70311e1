/** One shop for a test file, and the questions that the end-to-end tests ask of it when the dust has settled. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SagaReport, TransactionHandle } from 'temporal-txn/client';
import { TransactionCompensated } from 'temporal-txn/client';
import { afterAll, beforeAll, expect } from 'vitest';
import type { ServiceName } from '../../activities/services';
import { audit, readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import { openShop, serviceNames } from '../../demo/shop';
import type { Shop, ShopOptions, WorkerName } from '../../demo/shop';
import type { CrashOrder } from '../../src/testing';
import type { Transfer } from '../../workflows/bank-transfer';
import type { Cart } from '../../workflows/checkout';
import type { OrderRequest } from '../../workflows/order-processing';

/** Opens a shop before the tests of a file and closes it after them. Call the result in a test. */
export function useShop(options: Partial<ShopOptions> = {}): () => Shop {
  let shop: Shop | undefined;
  let directory = '';
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'temporal-txn-shop-'));
    shop = await openShop({ directory, durable: false, restartAfterMs: 200, ...options });
  });
  afterAll(async () => {
    await shop?.stop();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);
  return () => {
    if (!shop) throw new Error('The shop is open only while tests run.');
    return shop;
  };
}

const run = Date.now().toString(36);
let count = 0;

/** A transaction id that no test has used. */
export const newId = (name: string): string => `${name}-${run}-${++count}`;

export const transferOf = (amount: number, to = 'bob'): Transfer => ({
  from: { bank: 'north-bank', account: 'alice' },
  to: { bank: 'south-bank', account: to },
  amount,
  currency: 'EUR',
});

export const cartOf = (id: string, card = 'tok_visa'): Cart => ({
  order: id.toUpperCase(),
  customer: 'C-1',
  email: 'ann@customer.example',
  items: [{ sku: 'BOOK-1', quantity: 1 }],
  total: 2990,
  currency: 'EUR',
  card,
});

export const orderOf = (id: string, region = 'DE'): OrderRequest => ({
  order: id.toUpperCase(),
  customer: 'C-2',
  items: [{ sku: 'BOOK-1', quantity: 2 }],
  total: 5980,
  currency: 'EUR',
  card: 'tok_visa',
  region,
});

/** Gives the worker orders for its crash points. Returns what it noted when it died. */
export async function arm(shop: Shop, worker: WorkerName, order: CrashOrder): Promise<() => string> {
  const log = join(shop.stack.directory, `${newId(`crash-${worker}`)}.log`);
  await shop.arm(worker, [order], log);
  return () => readIfThere(log);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => Promise<boolean>, patienceMs = 60_000): Promise<void> {
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(150)) if (await isSo()) return;
  throw new Error(`Waited ${patienceMs / 1000} s until ${what}, in vain.`);
}

/** Waits until the transaction reports something. */
export const untilReport = (
  handle: TransactionHandle,
  what: string,
  reached: (report: SagaReport) => boolean,
): Promise<void> =>
  until(`${handle.id}: ${what}`, async () => {
    const [report] = await handle.reports<'saga'>();
    return report !== undefined && reached(report);
  });

/** Waits for the end, in spite of servers that are away for a while. Anything but these two ends is an error. */
export async function endOf(shop: Shop, id: string, patienceMs = 60_000): Promise<'committed' | 'compensated'> {
  const handle = shop.transactions.handle(id);
  await until(
    `${id} ends`,
    async () => {
      const status = await handle.status().catch(() => 'away');
      return status !== 'RUNNING' && status !== 'away';
    },
    patienceMs,
  );
  try {
    await handle.result();
    return 'committed';
  } catch (error) {
    if (error instanceof TransactionCompensated) return 'compensated';
    throw error;
  }
}

interface LoggedBranch {
  readonly service: ServiceName;
  readonly branch: string;
  readonly state: string;
}

/** What the branch logs of all services hold of a transaction. */
export async function branchesOf(shop: Shop, id: string): Promise<LoggedBranch[]> {
  const perService = await Promise.all(
    serviceNames.map(async (service) => {
      const { rows } = await shop.databases[service].query<{ branch: string; state: string }>(
        'select branch_id as branch, state from txn.branch where transaction_id = $1 order by branch_id',
        [id],
      );
      return rows.map((row) => ({ service, ...row }));
    }),
  );
  return perService.flat();
}

/** The entries that a transaction left in the ledgers of both banks: `north-bank debit -100`. */
export async function entriesOf(shop: Shop, id: string): Promise<string[]> {
  const perBank = await Promise.all(
    (['north-bank', 'south-bank'] as const).map(async (bank) => {
      const { rows } = await shop.databases[bank].query<{ kind: string; amount: string }>(
        'select kind, amount from entry where transaction_id = $1 order by id',
        [id],
      );
      return rows.map(({ kind, amount }) => `${bank} ${kind} ${amount}`);
    }),
  );
  return perBank.flat();
}

export async function countOf(shop: Shop, service: ServiceName, sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await shop.databases[service].query<{ n: string }>(`select count(*) as n from ${sql}`, values);
  return Number(rows[0]?.n);
}

/** Each branch log agrees with how the transaction ended: all of it stands, or none of it. */
export async function expectAllOrNothing(shop: Shop, id: string, end: 'committed' | 'compensated'): Promise<void> {
  const branches = await branchesOf(shop, id);
  const contradicting = branches.filter(({ state }) => (state === 'applied') !== (end === 'committed'));
  expect(contradicting, `${id} ended ${end}`).toEqual([]);
  expect(branches.length, `${id} left traces`).toBeGreaterThan(0);
}

/** A transfer's money arrived once, or came back once. */
export async function expectTransferOnce(
  shop: Shop,
  id: string,
  { from, to, amount }: Transfer,
  end: 'committed' | 'compensated',
): Promise<void> {
  const entries = await entriesOf(shop, id);
  const records = await countOf(shop, 'audit', 'standing_record where transaction_id = $1', [id]);
  expect(records, `audit records of ${id}`).toBe(end === 'committed' ? 1 : 0);
  if (end === 'committed') {
    const wanted = [`${from.bank} debit ${-amount}`, `${to.bank} credit ${amount}`];
    expect([...entries].sort(), `entries of ${id}`).toEqual(wanted.sort());
    return;
  }
  for (const [bank, kind, sign] of [
    [from.bank, 'debit', -1],
    [to.bank, 'credit', 1],
  ] as const) {
    const reversed = [`${bank} ${kind} ${sign * amount}`, `${bank} reversal ${-sign * amount}`];
    expect([[], reversed], `entries of ${id}`).toContainEqual(entries.filter((entry) => reversed.includes(entry)));
  }
}

/** An order's goods, money and status are there once, or not at all. */
export async function expectOrderOnce(
  shop: Shop,
  id: string,
  end: 'committed' | 'compensated',
  parcels: number,
): Promise<void> {
  const n = end === 'committed' ? 1 : 0;
  const order = id.toUpperCase();
  const found = {
    reservations: await countOf(shop, 'inventory', "reservation where transaction_id = $1 and status = 'RESERVED'", [
      id,
    ]),
    charges: await countOf(
      shop,
      'payments',
      'charge c where transaction_id = $1 and not exists (select from refund r where r.charge = c.id)',
      [id],
    ),
    orders: await countOf(shop, 'orders', "customer_order where id = $1 and status <> 'CANCELLED'", [order]),
    parcels: await countOf(shop, 'shipping', "shipment where order_id = $1 and status = 'CREATED'", [order]),
  };
  expect(found, id).toEqual({ reservations: n, charges: n, orders: n, parcels: n * parcels });
}

/** The books add up, nothing is negative, nobody waits, and no lock is left. */
export async function expectSoundBooks(shop: Shop, before: Books): Promise<void> {
  const checks = await audit(shop, before, await readBooks(shop));
  expect(checks.flatMap(({ promise, broken }) => broken.map((line) => `${promise}: ${line}`))).toEqual([]);
  for (const service of serviceNames) {
    expect(await countOf(shop, service, 'txn.semantic_lock'), `semantic locks at ${service}`).toBe(0);
  }
}
