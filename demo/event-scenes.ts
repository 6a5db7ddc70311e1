/**
 * What services tell each other through their outboxes: orders on account, with a relay that is killed; and a savings account of
 * which nothing is kept but its events.
 */
import type { TransactionHandle } from 'temporal-txn/client';
import { formatAmount } from '../activities/money';
import { balanceAsOf } from '../activities/savings/audit-trail';
import type { PlacedOrder } from '../workflows/create-order';
import type { Saving, SavingReceipt } from '../workflows/save-money';
import type { PlaceOrderInput } from '../activities/orders/operations';
import { killAt, north, until } from './staging';
import type { Scene, Stage } from './staging';

const place = ({ transactions }: Stage, id: string, sku: string): Promise<TransactionHandle<PlacedOrder>> => {
  const input: PlaceOrderInput = {
    order: id.toUpperCase(),
    customer: 'C-3',
    items: [{ sku, quantity: 1 }],
    total: 4900,
    currency: 'EUR',
  };
  return transactions.start<PlaceOrderInput, PlacedOrder>('createOrder', { id, input });
};

export const eventScenes: readonly Scene[] = [
  {
    name: 'events',
    story: 'An order on account: the order service tells the inventory by an event, and hears from it by another one',
    expect: 'committed',
    because: 'the events were written with the order, and the inventory put the piece aside',
    play: (stage, id) => settled(stage, id, 'BOOK-1', 'CONFIRMED'),
  },
  {
    name: 'events-refused',
    story: 'The same for a sofa, of which there is none',
    expect: 'committed',
    because: 'the order was placed, and cancelled when the inventory said no',
    play: (stage, id) => settled(stage, id, 'SOFA-1', 'CANCELLED'),
  },
  {
    name: 'relay-killed',
    story: 'Five orders, and the relay is killed (SIGKILL) after it has published an event and before it has noted so',
    expect: 'committed',
    because: 'the event was published again, and the inbox knew it: each order has one reservation',
    play: relayKilled,
  },
  {
    name: 'savings',
    story: 'Alice puts 15 EUR into her savings account, of which nothing is kept but its events',
    expect: 'committed',
    because: 'the debit and the event were prepared and committed together',
    play: save,
  },
];

async function settled(stage: Stage, id: string, sku: string, expected: string): Promise<TransactionHandle> {
  const handle = await place(stage, id, sku);
  await untilOrderIs(stage, id, expected);
  stage.say(`the read model says ${expected}`);
  return handle;
}

async function relayKilled(stage: Stage, id: string): Promise<TransactionHandle> {
  const service = stage.workers.orders;
  await stage.arm('orders', killAt('outbox.published-before-mark'));
  const ids = Array.from({ length: 5 }, (_, i) => `${id}-${i + 1}`);
  const handles = await Promise.all(ids.map((one) => place(stage, one, 'BOOK-1')));
  await service.died();
  stage.say('the order service is dead, with its relay; it is started again in a second');
  for (const one of ids) await untilOrderIs(stage, one, 'CONFIRMED');
  const { rows } = await stage.databases.inventory.query<{ n: number }>(
    "select count(*)::int as n from heard where customer_order like $1 || '-%' and type = 'InventoryReservationRequested'",
    [id.toUpperCase()],
  );
  stage.say(`five orders are confirmed; the inventory has acted on ${rows[0]?.n} requests`);
  return handles[0]!;
}

async function save(stage: Stage, id: string): Promise<TransactionHandle> {
  const before = await now(stage);
  const input: Saving = { from: north('alice'), to: 'alice', amount: 1_500, currency: 'EUR' };
  const handle = await stage.transactions.start<Saving, SavingReceipt>('saveMoney', { id, input });
  const { saved } = await handle.result();
  const asOfThen = await balanceAsOf(stage.databases.savings, 'alice', before);
  stage.say(`she has ${formatAmount(saved, 'EUR')} EUR there, and as of a moment ago ${formatAmount(asOfThen, 'EUR')}`);
  if (saved - asOfThen !== 1_500) throw new Error(`The trail does not add up: ${asOfThen} and 1500 are not ${saved}.`);
  return handle;
}

/** By the clock of the database, which gives events their time. */
async function now({ databases }: Stage): Promise<Date> {
  const { rows } = await databases.savings.query<{ now: Date }>('select clock_timestamp() as now');
  return rows[0]!.now;
}

const untilOrderIs = ({ databases }: Stage, id: string, status: string): Promise<void> =>
  until(`the order ${id} is ${status}`, async () => {
    const { rows } = await databases.orders.query('select from order_summary where id = $1 and status = $2', [
      id.toUpperCase(),
      status,
    ]);
    return rows.length === 1;
  });
