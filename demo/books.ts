/** The books of the company before and after: balances, stock, charges, orders, and whether they add up. */
import { totalMoney, violations } from '../activities/invariants';
import { formatAmount } from '../clients/lib/money';
import { table } from '../clients/lib/table';
import type { Shop } from './shop';

export interface Books {
  /** Account by `bank/account`, in minor units. */
  readonly balances: ReadonlyMap<string, { readonly balance: number; readonly currency: string }>;
  readonly stock: ReadonlyMap<string, number>;
  /** All that cards were charged, less refunds, in minor units. */
  readonly charged: number;
  /** Total of the orders that stand, in minor units. */
  readonly ordered: number;
  /** Pieces that are reserved or sold. */
  readonly taken: number;
  /** Pieces in the orders that stand. */
  readonly orderedPieces: number;
  readonly parcels: number;
}

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
    one(databases.orders, "select coalesce(sum(total), 0) as n from customer_order where status <> 'CANCELLED'"),
    one(
      databases.orders,
      "select coalesce(sum(quantity), 0) as n from order_item join customer_order o on o.id = customer_order where o.status <> 'CANCELLED'",
    ),
    one(databases.shipping, "select count(*) as n from shipment where status = 'CREATED'"),
  ]);
  return {
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
  const sums = [
    ['charged to cards', `${formatAmount(before.charged, 'EUR')} EUR`, `${formatAmount(after.charged, 'EUR')} EUR`],
    ['orders that stand', `${formatAmount(before.ordered, 'EUR')} EUR`, `${formatAmount(after.ordered, 'EUR')} EUR`],
    ['parcels', String(before.parcels), String(after.parcels)],
  ];
  return table(['', 'before', 'after'], [...accounts, ...stock, ...sums]);
}

/** One line for each thing that must be true, with what is wrong if it is not. */
export interface Check {
  readonly promise: string;
  readonly broken: readonly string[];
}

export async function audit(shop: Shop, before: Books, after: Books): Promise<Check[]> {
  const { databases } = shop;
  const banks = [databases['north-bank'], databases['south-bank']];
  const moneyBefore = totalOf(before, 'EUR');
  const moneyAfter = Number(await totalMoney(banks, 'EUR'));
  const views = await Promise.all(
    (['north-bank', 'south-bank', 'inventory', 'payments', 'orders'] as const).map(async (service) =>
      (await violations(databases[service])).map(
        ({ invariant, subject, details }) => `${service}: ${invariant}: ${subject}: ${details}`,
      ),
    ),
  );
  return [
    {
      promise: 'the banks hold the same money together',
      broken:
        moneyBefore === moneyAfter
          ? []
          : [`${formatAmount(moneyBefore, 'EUR')} EUR before, ${formatAmount(moneyAfter, 'EUR')} after`],
    },
    {
      promise: 'cards are charged what the standing orders cost',
      broken: after.charged === after.ordered ? [] : [`charged ${after.charged}, ordered ${after.ordered}`],
    },
    {
      promise: 'the pieces taken from stock are those in the standing orders',
      broken: after.taken === after.orderedPieces ? [] : [`taken ${after.taken}, ordered ${after.orderedPieces}`],
    },
    { promise: "every service's own invariants hold", broken: views.flat() },
    { promise: 'no transaction waits for a person', broken: await waiting(shop) },
  ];
}

const totalOf = ({ balances }: Books, currency: string): number =>
  [...balances.values()].reduce((sum, account) => sum + (account.currency === currency ? account.balance : 0), 0);

async function waiting({ transactions }: Shop): Promise<string[]> {
  const found: string[] = [];
  for await (const { id, status } of transactions.list({ needsAttention: true }))
    if (status === 'RUNNING') found.push(id);
  return found;
}
