/**
 * Transfers in both directions and checkouts, all at once, while somebody kills workers and databases at random.
 * TXN_SEED repeats a run's choices (not its timing), TXN_NEMESIS_SECONDS makes it longer.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readBooks } from '../../demo/books';
import { serviceNames } from '../../demo/shop';
import type { WorkerName } from '../../demo/shop';
import type { AccountRef, Transfer } from '../../workflows/bank-transfer';
import { CAMPAIGN, depth, isTurnOf } from '../depth';
import {
  branchesOf,
  cartOf,
  endOf,
  expectAllOrNothing,
  expectOrderOnce,
  expectSoundBooks,
  expectTransferOnce,
  newId,
  useShop,
} from './fixture';
import { useWay, WAYS } from './ways';

const SEED = Number(process.env['TXN_SEED'] ?? randomInt(2 ** 31));
const SECONDS = Number(process.env['TXN_NEMESIS_SECONDS'] ?? depth({ sample: 12, campaign: 300 }));
const TRANSFERS = Math.ceil((60 * SECONDS) / 25);
const CHECKOUTS = Math.ceil((8 * SECONDS) / 25);
/** After the last fault. A step's retries are at most 10 s apart. */
const SETTLE_MS = 90_000;

/** Mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const north: readonly AccountRef[] = ['alice', 'carol'].map((account) => ({ bank: 'north-bank', account }));
const south: readonly AccountRef[] = ['bob', 'dave'].map((account) => ({ bank: 'south-bank', account }));

function anyTransfer(random: (below: number) => number): Transfer {
  const there = [north[random(2)]!, south[random(2)]!] as const;
  const [from, to] = random(2) === 0 ? there : ([there[1], there[0]] as const);
  // Carol and Dave have little: some of these are refused for lack of funds. One in ten goes to nobody.
  const nobody = random(10) === 0;
  return {
    from,
    to: nobody ? { ...to, account: 'nobody' } : to,
    amount: 1 + random(2_000),
    currency: 'EUR',
  };
}

const company = useShop({
  open: ['north-bank', 'south-bank', 'audit', 'inventory', 'payments', 'shipping', 'orders', 'notifications'],
});

// In groups `test/groups/nemesis.test.ts` does the like.
describe.skipIf(!isTurnOf('nemesis', 'sagas')).each(CAMPAIGN ? WAYS : (['alone'] as const))('%s', (way) => {
  const shop = useWay(way, company);

  it(
    'all that is under way when workers and databases die ends, and the books add up',
    async () => {
      console.log(`nemesis: TXN_SEED=${SEED} TXN_NEMESIS_SECONDS=${SECONDS}`);
      const { transactions, workers, stack } = shop();
      const before = await readBooks(shop());
      const chooser = randomOf(SEED);
      const work = [
        ...Array.from({ length: TRANSFERS }, () => ({ id: newId('nemesis-t'), transfer: anyTransfer(chooser) })),
        ...Array.from({ length: CHECKOUTS }, () => ({ id: newId('nemesis-c'), transfer: undefined })),
      ].sort(() => chooser(2) - 0.5);

      const started = Date.now();
      const startWork = async (): Promise<void> => {
        for (const [i, { id, transfer }] of work.entries()) {
          const due = started + (i / work.length) * SECONDS * 900;
          await sleep(Math.max(0, due - Date.now()));
          if (transfer) await transactions.start('transferMoney', { id, input: transfer });
          else
            await transactions.start('checkout', {
              id,
              input: cartOf(id, chooser(4) === 0 ? 'tok_declined' : 'tok_visa'),
            });
        }
      };
      const deaths: string[] = [];
      const breakThings = async (): Promise<void> => {
        const random = randomOf(SEED ^ 0x5bd1e995);
        // Cast: they are named so.
        const names = Object.keys(workers) as readonly WorkerName[];
        const crashEvery = Math.max(1, Math.round(SECONDS / 2 / 0.9));
        for (let n = 1; Date.now() - started < SECONDS * 1_000; n++) {
          await sleep(500 + random(800));
          const name = names[random(names.length)]!;
          await workers[name].kill();
          deaths.push(name);
          if (n % crashEvery !== Math.ceil(crashEvery / 2)) continue;
          const which = random(2) === 0 ? 'a' : 'b';
          await stack.postgres[which].kill();
          deaths.push(`PostgreSQL ${which}`);
          await sleep(random(1_500));
          await stack.postgres[which].restart();
        }
      };
      await Promise.all([startWork(), breakThings()]);

      const ends = await Promise.all(work.map(({ id }) => endOf(shop(), id, SETTLE_MS)));
      const settledAfter = (Date.now() - started) / 1_000 - SECONDS;
      const committed = ends.filter((end) => end === 'committed').length;
      console.log(
        `nemesis: ${work.length} transactions, ${committed} committed, ${ends.length - committed} compensated; ` +
          `killed ${deaths.join(', ')}; all ended ${settledAfter.toFixed(1)} s after the last fault`,
      );
      // Otherwise nothing was tested.
      expect(committed).toBeGreaterThan(work.length / 4);
      expect(ends.length - committed).toBeGreaterThan(0);
      expect(deaths.length).toBeGreaterThan(SECONDS / 4);
      expect(deaths.some((name) => name.startsWith('PostgreSQL'))).toBe(true);

      for (const [i, { id, transfer }] of work.entries()) {
        const end = ends[i]!;
        if (transfer) await expectTransferOnce(shop(), id, transfer, end);
        else await expectOrderOnce(shop(), id, end, 0);
        if (end === 'committed' || (await branchesOf(shop(), id)).length > 0) await expectAllOrNothing(shop(), id, end);
      }
      await expectSoundBooks(shop(), before);
      for (const [account, { balance }] of (await readBooks(shop())).balances) {
        expect(balance, account).toBeGreaterThanOrEqual(0);
      }
      for (const service of serviceNames) {
        const { rows } = await shop().databases[service].query(
          "select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
        );
        expect(rows, `open local transactions at ${service}`).toEqual([]);
      }
    },
    SECONDS * 1_000 + SETTLE_MS + 60_000,
  );
});
