/** Every place where a process or a server can die in a transaction: each time all of it happens, or nothing, once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import type { Books } from '../../demo/books';
import type { WorkerName } from '../../demo/shop';
import { isTurnOf, some } from '../depth';
import {
  arm,
  cartOf,
  endOf,
  entriesOf,
  expectAllOrNothing,
  expectOrderOnce,
  expectSoundBooks,
  expectTransferOnce,
  newId,
  orderOf,
  transferOf,
  until,
  untilReport,
  useShop,
} from './fixture';
import { useWay, WAYS } from './ways';

const company = useShop({
  open: ['north-bank', 'south-bank', 'audit', 'inventory', 'payments', 'shipping', 'orders', 'notifications'],
});

describe.each(WAYS.filter((way) => isTurnOf('faults of sagas', way)))('%s', (way) => {
  const shop = useWay(way, company);
  let before: Books;
  beforeEach(async () => {
    before = await readBooks(shop());
  });

  const kill = { kind: 'kill' } as const;

  /** Starts one transaction of each workflow. Those that are to fail are refused at their last but one step. */
  async function startAll(name: string, fail = false): Promise<{ transfer: string; cart: string; order: string }> {
    const { transactions } = shop();
    const ids = { transfer: newId(`${name}-t`), cart: newId(`${name}-c`), order: newId(`${name}-o`) };
    await Promise.all([
      transactions.start('transferMoney', { id: ids.transfer, input: transferOf(500, fail ? 'nobody' : 'bob') }),
      transactions.start('checkout', { id: ids.cart, input: cartOf(ids.cart, fail ? 'tok_declined' : 'tok_visa') }),
      transactions.start('processOrder', { id: ids.order, input: orderOf(ids.order, fail ? 'AQ' : 'DE') }),
    ]);
    return ids;
  }

  /** An order gives its carrier 15 seconds, so under load a crash there may turn it back. The others have time enough. */
  async function expectAllEnded(
    { transfer, cart, order }: { transfer: string; cart: string; order: string },
    expected: 'committed' | 'compensated',
  ): Promise<void> {
    const [transferEnd, cartEnd, orderEnd] = await Promise.all([transfer, cart, order].map((id) => endOf(shop(), id)));
    expect({ transferEnd, cartEnd }).toEqual({ transferEnd: expected, cartEnd: expected });
    if (expected === 'compensated') expect(orderEnd).toBe('compensated');
    await expectTransferOnce(shop(), transfer, transferOf(500, expected === 'committed' ? 'bob' : 'nobody'), expected);
    await expectOrderOnce(shop(), cart, expected, 0);
    await expectOrderOnce(shop(), order, orderEnd!, 1);
    await expectAllOrNothing(shop(), transfer, expected);
    await expectAllOrNothing(shop(), cart, expected);
    await expectAllOrNothing(shop(), order, orderEnd!);
    await expectSoundBooks(shop(), before);
  }

  const KILLS_ON_THE_WAY = [
    ['branch.logged-before-work', ['south-bank', 'inventory', 'shipping']],
    ['branch.before-commit', ['north-bank', 'payments', 'orders']],
    ['branch.committed-before-report', ['audit', 'notifications', 'shipping']],
  ] as const;

  const KILLS_ON_THE_WAY_BACK = [
    ['compensation.before-commit', ['north-bank', 'inventory', 'payments']],
    ['compensation.committed-before-report', ['north-bank', 'inventory', 'orders']],
  ] as const;

  describe('a service that is killed', () => {
    it.each(some(KILLS_ON_THE_WAY, 1, `services killed on the way, ${way}`))(
      'at %s (%j) has worked once when it is back',
      async (at, workers) => {
        const notes = await Promise.all(workers.map((worker) => arm(shop(), worker, { at, action: kill })));
        const ids = await startAll('forward');
        await expectAllEnded(ids, 'committed');
        expect(notes.map((note) => note())).toEqual(workers.map(() => `${at}\n`));
      },
      90_000,
    );

    // What is undone is undone by workflows of their own: in groups that is for campaigns.
    it.each(some(KILLS_ON_THE_WAY_BACK, way === 'alone' ? 1 : 0, `services killed on the way back, ${way}`))(
      'at %s (%j) has undone its part once when it is back',
      async (at, workers) => {
        const notes = await Promise.all(workers.map((worker) => arm(shop(), worker, { at, action: kill })));
        const ids = await startAll('back', true);
        await expectAllEnded(ids, 'compensated');
        expect(notes.map((note) => note())).toEqual(workers.map(() => `${at}\n`));
        expect(await entriesOf(shop(), ids.transfer)).toEqual(['north-bank debit -500', 'north-bank reversal 500']);
      },
      90_000,
    );
  });

  /** Starts all three and holds them up at their last steps, so that something else can happen in the middle. */
  async function inTheMiddle(name: string, what: () => Promise<void>): Promise<void> {
    const late: WorkerName[] = ['audit', 'notifications', 'shipping'];
    await Promise.all(late.map((worker) => shop().workers[worker].stop()));
    const ids = await startAll(name);
    const stepsDone = async (id: string, n: number): Promise<void> =>
      untilReport(
        shop().transactions.handle(id),
        `${n} steps are done`,
        ({ steps }) => steps.filter(({ fate }) => fate.kind === 'done').length >= n,
      );
    await Promise.all([stepsDone(ids.transfer, 2), stepsDone(ids.cart, 3), stepsDone(ids.order, 3)]);
    await what();
    await Promise.all(late.map((worker) => shop().workers[worker].start()));
    await expectAllEnded(ids, 'committed');
  }

  const MIDDLE = [
    [
      'the worker of the workflows is killed, and another one goes on',
      async () => {
        const worker = shop().workers.transactions;
        const { restarts } = worker;
        await inTheMiddle('coordinator', () => worker.kill());
        expect(worker.restarts).toBe(restarts + 1);
      },
    ],
    [
      'both PostgreSQL servers crash and come back',
      async () => {
        const { a, b } = shop().stack.postgres;
        await inTheMiddle('postgres', async () => {
          await Promise.all([a.kill(), b.kill()]);
          await Promise.all([a.restart(), b.restart()]);
        });
      },
    ],
    [
      'Temporal crashes and comes back',
      async () => {
        const { temporal } = shop().stack;
        await inTheMiddle('temporal', async () => {
          await temporal.kill();
          await temporal.restart();
        });
      },
    ],
    [
      'PostgreSQL crashes under an open local transaction, of which nothing stays, and the branch is done once',
      async () => {
        await arm(shop(), 'south-bank', { at: 'branch.before-commit', action: { kind: 'delay', ms: 6_000 } });
        const ids = await startAll('uncommitted');
        const server = shop().stack.postgres.b;
        const bank = shop().databases['south-bank'];
        let open: string | undefined;
        // For a while already: it is the one that is held up, and none that just passes.
        await until('the credit is written and not committed', async () => {
          const { rows } = await bank.query<{ xid: string }>(
            `select backend_xid::text as xid from pg_stat_activity
              where state = 'idle in transaction' and datname = current_database() and backend_xid is not null
                and state_change < clock_timestamp() - interval '500 milliseconds'`,
          );
          open = rows[0]?.xid;
          return open !== undefined;
        });
        // With this commit the log has what was written before. Otherwise the crash might lose that the number was ever given away, and
        // the next attempt get it again.
        await bank.query("select pg_logical_emit_message(true, 'test', 'the crash comes')");
        await server.kill();
        await server.restart();
        // Not its entry, which the next attempt may have written already.
        const { rows } = await bank.query('select pg_xact_status($1::xid8) as fate', [open]);
        expect(rows).toEqual([{ fate: 'aborted' }]);
        await expectAllEnded(ids, 'committed');
      },
    ],
    [
      'Temporal is away while a branch commits, and the answer that nobody heard is given again',
      async () => {
        await arm(shop(), 'south-bank', { at: 'branch.committed-before-report', action: { kind: 'delay', ms: 3_000 } });
        const ids = await startAll('unheard');
        await until('the credit is committed', async () => (await entriesOf(shop(), ids.transfer)).length === 2);
        await shop().stack.temporal.kill();
        await shop().stack.temporal.restart();
        await expectAllEnded(ids, 'committed');
      },
    ],
  ] as const;

  describe('in the middle of transactions', () => {
    it.each(some(MIDDLE, way === 'alone' ? 2 : 1, `in the middle, ${way}`))(
      '%s',
      async (_, happens) => happens(),
      90_000,
    );
  });
});
