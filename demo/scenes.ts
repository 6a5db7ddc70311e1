/**
 * What the demo plays: money and orders that move, refusals, a service that crashes in the middle, an answer that never comes,
 * and a compensation that a person has to help. Each scene says what it expects, and fails when something else happens.
 */
import type { TransactionHandle } from 'temporal-txn/client';
import type { Cart } from '../workflows/checkout';
import type { OrderRequest } from '../workflows/order-processing';
import { eventScenes } from './event-scenes';
import { euros, killAt, north, south, transfer, untilReport } from './staging';
import type { Scene, Stage } from './staging';
import { threePhaseScenes } from './three-phase-scenes';
import { tripScenes } from './trip-scenes';
import { twoPhaseScenes } from './two-phase-scenes';

const buy =
  (sku: string, card: string) =>
  ({ transactions }: Stage, id: string): Promise<TransactionHandle> => {
    const order = id.toUpperCase();
    const input: Cart = {
      order,
      customer: 'C-1',
      email: 'ann@customer.example',
      items: [{ sku, quantity: 1 }],
      total: 2990,
      currency: 'EUR',
      card,
    };
    return transactions.start('checkout', { id, input });
  };

const orderTo = (stage: Stage, id: string, region: string): Promise<TransactionHandle> => {
  const order = id.toUpperCase();
  const input: OrderRequest = {
    order,
    customer: 'C-2',
    items: [{ sku: 'BOOK-1', quantity: 2 }],
    total: 5980,
    currency: 'EUR',
    card: 'tok_visa',
    region,
  };
  return stage.transactions.start('processOrder', { id, input });
};

export const scenes: readonly Scene[] = [
  {
    name: 'transfer',
    story: 'Alice sends Bob 25 EUR, from one bank to the other',
    expect: 'committed',
    because: 'all three databases agreed',
    play: transfer(euros(north('alice'), south('bob'), 25)),
  },
  {
    name: 'transfer-back',
    story: 'Bob sends them back',
    expect: 'committed',
    because: 'all three databases agreed',
    play: transfer(euros(south('bob'), north('alice'), 25)),
  },
  {
    name: 'too-much',
    story: 'Alice sends a million that she does not have',
    expect: 'compensated',
    because: 'insufficient-funds',
    play: transfer(euros(north('alice'), south('bob'), 1_000_000)),
  },
  {
    name: 'nobody',
    story: 'Alice sends money to an account that does not exist: the debit is undone',
    expect: 'compensated',
    because: 'unknown-account',
    play: transfer(euros(north('alice'), south('nobody'), 25)),
  },
  {
    name: 'checkout',
    story: 'Ann buys a book',
    expect: 'committed',
    because: 'it was in stock and paid',
    play: buy('BOOK-1', 'tok_visa'),
  },
  {
    name: 'declined',
    story: 'Ann buys a lamp with a card that is declined: the lamp is released',
    expect: 'compensated',
    because: 'card-declined',
    play: buy('LAMP-1', 'tok_declined'),
  },
  {
    name: 'sold-out',
    story: 'Ann buys a sofa that is not in stock',
    expect: 'compensated',
    because: 'out-of-stock',
    play: buy('SOFA-1', 'tok_visa'),
  },
  {
    name: 'order',
    story: 'An order of two books goes through the company',
    expect: 'committed',
    because: 'everyone did their part',
    play: (stage, id) => orderTo(stage, id, 'DE'),
  },
  {
    name: 'antarctica',
    story: 'An order to where the carrier does not go: refund, release, CANCELLED',
    expect: 'compensated',
    because: 'undeliverable',
    play: (stage, id) => orderTo(stage, id, 'AQ'),
  },
  {
    name: 'crash',
    story: 'South Bank is killed (SIGKILL) after it has booked the credit and before it can say so',
    expect: 'committed',
    because: 'the bank came back and answered from its branch log: one credit, not two',
    play: crashInTheMiddle,
  },
  {
    name: 'silence',
    story: 'The carrier is killed after it has made the parcel and stays away: nobody knows whether there is one',
    expect: 'compensated',
    because: 'an unknown outcome is undone: the parcel is cancelled when the carrier is back',
    play: answerThatNeverComes,
  },
  {
    name: 'stuck',
    story: 'A transfer is called off, but the money has been spent already: its compensation waits for a person',
    expect: 'compensated',
    because: 'a person brought the money back and had the step tried again',
    play: stuckCompensation,
  },
  ...twoPhaseScenes,
  ...threePhaseScenes,
  ...tripScenes,
  ...eventScenes,
];

async function crashInTheMiddle(stage: Stage, id: string): Promise<TransactionHandle> {
  const bank = stage.workers['south-bank'];
  await stage.arm('south-bank', killAt('branch.committed-before-report'));
  const handle = await transfer(euros(north('alice'), south('bob'), 10))(stage, id);
  await bank.died();
  stage.say('South Bank is dead; it is started again in a second');
  return handle;
}

async function answerThatNeverComes(stage: Stage, id: string): Promise<TransactionHandle> {
  const carrier = stage.workers.shipping;
  await stage.arm('shipping', killAt('branch.committed-before-report'));
  const handle = await orderTo(stage, id, 'DE');
  await carrier.died();
  await carrier.stop();
  stage.say('the carrier is dead and stays away; the order gives it 15 seconds');
  await untilReport(handle, 'the order turns back', (report) => report.outcome !== 'running');
  stage.say('the outcome is unknown, so everything is undone; the parcel as soon as the carrier is back');
  await carrier.start();
  return handle;
}

/** All by the public API: the money that was credited is sent on before the transfer is called off. */
async function stuckCompensation(stage: Stage, id: string): Promise<TransactionHandle> {
  const { transactions, workers, say } = stage;
  const balance = await daveHas(stage);
  await workers.audit.stop();
  const handle = await transfer(euros(north('alice'), south('dave'), 10))(stage, id);
  await untilReport(handle, 'Dave has the money', ({ steps }) => steps[1]?.fate.kind === 'done');
  const spent = await transactions.start('transferMoney', {
    id: `${id}-spent`,
    input: { ...euros(south('dave'), north('alice'), 0), amount: balance + 1_000 },
  });
  await untilReport(spent, 'Dave has spent it', ({ steps }) => steps[1]?.fate.kind === 'done');
  await handle.cancel();
  await workers.audit.start();
  await spent.result();
  await untilReport(handle, 'the compensation is held', ({ outcome }) => outcome === 'held');
  say(
    'held: Dave has spent the money. The Web UI shows it under TxnNeedsAttention = true, with the command that settles it',
  );
  await transactions.execute('transferMoney', {
    id: `${id}-repaid`,
    input: { ...euros(north('alice'), south('dave'), 0), amount: balance + 1_000 },
  });
  await handle.retryStep({ step: 'south-bank.credit', reason: 'Dave has paid the money in again', by: 'demo' });
  say('a person has seen to it that Dave paid it in again, and sent the update retryStep');
  return handle;
}

async function daveHas({ databases }: Stage): Promise<number> {
  const { rows } = await databases['south-bank'].query<{ balance: string }>(
    "select balance from account where id = 'dave'",
  );
  return Number(rows[0]?.balance);
}
