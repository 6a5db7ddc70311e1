/** The books of the company before and after: balances, stock, charges, orders, and whether they add up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { outboxStatus } from 'temporal-txn/outbox';
import { totalMoney, violations } from '../activities/invariants';
import { formatAmount } from '../activities/money';
import { table } from '../clients/lib/table';
import type { Shop } from './shop';

export interface Books {
  /** Account by `bank/account`, in minor units. */
  readonly balances: ReadonlyMap<string, { readonly balance: number; readonly currency: string }>;
  readonly stock: ReadonlyMap<string, number>;
  /** All that cards were charged, less refunds, in minor units. */
  readonly charged: number;
  /** Total of the orders that stand and are paid by card, in minor units. */
  readonly ordered: number;
  /** Pieces that are reserved or sold. */
  readonly taken: number;
  /** Pieces in the orders that stand. */
  readonly orderedPieces: number;
  readonly parcels: number;
  /** Places of each travel company, by offer. */
  readonly places: ReadonlyMap<string, { readonly pending: number; readonly booked: number }>;
}

const TRAVEL = ['airline', 'hotel', 'car-rental'] as const;

export async function readBooks({ databases }: Shop): Promise<Books> {
  const balances = new Map<string, { balance: number; currency: string }>();
  for (const bank of ['north-bank', 'south-bank'] as const) {
    const { rows } = await databases[bank].query<{ id: string; balance: string; currency: string }>(
      'select id, balance, currency from account order by id',
    );
    for (const { id, balance, currency } of rows) balances.set(`${bank}/${id}`, { balance: Number(balance), currency });
  }
  const stock = await databases.inventory.query<{ sku: string; available: number; taken: number }>(
    'select sku, available, reserved + sold as taken from stock order by sku',
  );
  const [charged, ordered, pieces, parcels] = await Promise.all([
    one(databases.payments, 'select coalesce(sum(charged), 0) as n from card'),
    one(
      databases.orders,
      "select coalesce(sum(total), 0) as n from customer_order where status <> 'CANCELLED' and terms = 'CARD'",
    ),
    one(
      databases.orders,
      "select coalesce(sum(quantity), 0) as n from order_item join customer_order o on o.id = customer_order where o.status <> 'CANCELLED'",
    ),
    one(databases.shipping, "select count(*) as n from shipment where status = 'CREATED'"),
  ]);
  const places = new Map<string, { pending: number; booked: number }>();
  for (const company of TRAVEL) {
    const { rows } = await databases[company].query<{ id: string; pending: number; booked: number }>(
      'select id, pending, booked from offer order by id',
    );
    for (const { id, ...counts } of rows) places.set(`${company}/${id}`, counts);
  }
  const { rows: savings } = await databases.savings.query<{ id: string; balance: string }>(
    'select account as id, sum(amount) as balance from movement group by account order by account',
  );
  for (const { id, balance } of savings) balances.set(`savings/${id}`, { balance: Number(balance), currency: 'EUR' });
  return {
    places,
    balances,
    stock: new Map(stock.rows.map(({ sku, available }) => [sku, available])),
    taken: stock.rows.reduce((sum, row) => sum + row.taken, 0),
    charged,
    ordered,
    orderedPieces: pieces,
    parcels,
  };
}

const one = async (pool: Shop['databases']['orders'], sql: string): Promise<number> => {
  const { rows } = await pool.query<{ n: string }>(sql);
  return Number(rows[0]?.n);
};

/** Both states side by side. */
export function booksTable(before: Books, after: Books): string {
  const accounts = [...after.balances].map(([account, { balance, currency }]) => [
    account,
    `${formatAmount(before.balances.get(account)?.balance ?? 0, currency)} ${currency}`,
    `${formatAmount(balance, currency)} ${currency}`,
  ]);
  const stock = [...after.stock].map(([sku, available]) => [
    `${sku} in stock`,
    String(before.stock.get(sku) ?? 0),
    String(available),
  ]);
  const places = [...after.places].map(([offer, { booked }]) => [
    `${offer} booked`,
    String(before.places.get(offer)?.booked ?? 0),
    String(booked),
  ]);
  const sums = [
    ['charged to cards', `${formatAmount(before.charged, 'EUR')} EUR`, `${formatAmount(after.charged, 'EUR')} EUR`],
    ['orders that stand', `${formatAmount(before.ordered, 'EUR')} EUR`, `${formatAmount(after.ordered, 'EUR')} EUR`],
    ['parcels', String(before.parcels), String(after.parcels)],
  ];
  return table(['', 'before', 'after'], [...accounts, ...stock, ...places, ...sums]);
}

/** For what comes by itself: events that are under way, and what recovery does. In milliseconds. */
const PATIENCE_MS = 30_000;

/** One line for each thing that must be true, with what is wrong if it is not. */
export interface Check {
  readonly promise: string;
  readonly broken: readonly string[];
}

export async function audit(shop: Shop, before: Books, after: Books): Promise<Check[]> {
  const { databases } = shop;
  const banks = [databases['north-bank'], databases['south-bank']];
  const saved = [...after.balances].reduce(
    (sum, [account, { balance }]) => sum + (account.startsWith('savings/') ? balance : 0),
    0,
  );
  const moneyBefore = totalOf(before, 'EUR');
  const moneyAfter = Number(await totalMoney(banks, 'EUR')) + saved;
  const views = await Promise.all(
    (['north-bank', 'south-bank', 'inventory', 'payments', 'orders', 'savings', ...TRAVEL] as const).map(
      async (service) =>
        (await violations(databases[service])).map(
          ({ invariant, subject, details }) => `${service}: ${invariant}: ${subject}: ${details}`,
        ),
    ),
  );
  return [
    {
      promise: 'banks and savings hold the same money together',
      broken:
        moneyBefore === moneyAfter
          ? []
          : [`${formatAmount(moneyBefore, 'EUR')} EUR before, ${formatAmount(moneyAfter, 'EUR')} after`],
    },
    {
      promise: 'cards are charged what the standing orders cost that are paid by card',
      broken: after.charged === after.ordered ? [] : [`charged ${after.charged}, ordered ${after.ordered}`],
    },
    {
      promise: 'the pieces taken from stock are those in the standing orders',
      broken: after.taken === after.orderedPieces ? [] : [`taken ${after.taken}, ordered ${after.orderedPieces}`],
    },
    { promise: "every service's own invariants hold", broken: views.flat() },
    { promise: 'no transaction waits for a person', broken: await waiting(shop) },
    { promise: 'every event has arrived, in order and once', broken: await undelivered(shop) },
    { promise: 'nothing is left prepared', broken: await leftPrepared(shop) },
    { promise: 'nothing is left reserved', broken: leftReserved(after) },
  ];
}

const totalOf = ({ balances }: Books, currency: string): number =>
  [...balances.values()].reduce((sum, account) => sum + (account.currency === currency ? account.balance : 0), 0);

/** That none came twice or out of order is an invariant of the inventory's. */
async function undelivered(shop: Shop): Promise<string[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(500)) {
    const found = await waitingEvents(shop);
    if (found.length === 0 || Date.now() > deadline) return found;
  }
}

async function waitingEvents({ databases }: Shop): Promise<string[]> {
  const told = await Promise.all(
    (['orders', 'inventory'] as const).map(async (service) => {
      const { pending, deadLetters } = await outboxStatus(databases[service]);
      return pending + deadLetters === 0 ? [] : [`${service}: ${pending} wait, ${deadLetters} keys are parked`];
    }),
  );
  const { rows: pending } = await databases.orders.query<{ id: string }>(
    "select id from customer_order where terms = 'ACCOUNT' and status = 'PENDING'",
  );
  return [...told.flat(), ...pending.map(({ id }) => `${id}: nobody has said whether there is stock`)];
}

async function leftPrepared({ databases }: Shop): Promise<string[]> {
  const { rows } = await databases['north-bank'].query<{ gid: string }>('select gid from pg_prepared_xacts');
  const others = await databases['south-bank'].query<{ gid: string }>('select gid from pg_prepared_xacts');
  return [...rows, ...others.rows].map(({ gid }) => gid);
}

const leftReserved = ({ places }: Books): string[] =>
  [...places].flatMap(([offer, { pending }]) => (pending > 0 ? [`${offer}: ${pending}`] : []));

/** The list is a moment behind, and recovery asks for a person from when it looks until it looks again. */
async function waiting({ transactions }: Shop): Promise<string[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(500)) {
    const found: string[] = [];
    for await (const { id, status } of transactions.list({ needsAttention: true }))
      if (status === 'RUNNING') found.push(id);
    if (found.length === 0 || Date.now() > deadline) return found;
  }
}
