/**
 * Two-phase commit is atomic, but is not seen to be: between the COMMIT PREPARED at one bank and that at the other, whoever
 * reads both banks finds money missing. Whoever locks what he reads, at both banks at once, waits for the end and never does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { expect, it } from 'vitest';
import { totalMoney } from '../../activities/invariants';
import { readBooks } from '../../demo/books';
import type { Transfer } from '../../workflows/bank-transfer';
import { depth } from '../depth';
import { countOf, expectSoundBooks, newId, transferOf, until, useShop } from './fixture';
import { armAll, ATOMICALLY, expectObeyed } from './two-phase-fixture';

const shop = useShop({ open: ['north-bank', 'south-bank', 'audit'] });
const banks = (): [Pool, Pool] => [shop().databases['north-bank'], shop().databases['south-bank']];

const plainTotal = async (): Promise<number> => Number(await totalMoney(banks(), 'EUR'));

/** How long a reader waits for one lock, so that readers and transfers that wait for each other get out of it. */
const LOCK_TIMEOUT_MS = 50;

/** One try: locks all accounts of both banks and keeps them until both are read. Undefined when something else has one. */
async function lockedTotal(): Promise<number | undefined> {
  const clients: PoolClient[] = [];
  try {
    let total = 0;
    for (const bank of banks()) {
      const client = await bank.connect();
      clients.push(client);
      await client.query(`begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
      const { rows } = await client.query<{ balance: string }>(
        "select balance from account where currency = 'EUR' order by id for share",
      );
      total += rows.reduce((sum, { balance }) => sum + Number(balance), 0);
    }
    return total;
  } catch (error) {
    if ((error as { code?: string }).code === '55P03') return undefined;
    throw error;
  } finally {
    await Promise.all(clients.map(async (client) => client.query('rollback').finally(() => client.release())));
  }
}

/** Tries until it has all locks. Says how often it had to. */
async function lockingRead(): Promise<{ total: number; tries: number }> {
  for (let tries = 1; ; tries++) {
    const total = await lockedTotal();
    if (total !== undefined) return { total, tries };
    await sleep(50 + Math.random() * 150);
  }
}

/** North Bank, the primary, has committed, and for so long South Bank has not been told to. */
const window = (passage: number, ms: number) =>
  ({ at: 'two-phase.finished-before-report', action: { kind: 'delay', ms }, passage }) as const;

it('a plain reader sees the money missing between the two commits; a locking one waits for the second', async () => {
  const before = await readBooks(shop());
  const total = await plainTotal();
  await armAll(shop(), { 'north-bank': [window(1, 5_000)] });
  const id = newId('fractured');
  const handle = await shop().transactions.start(ATOMICALLY, { id, input: transferOf(700) });
  await until('North Bank has committed', async () => {
    return (await countOf(shop(), 'north-bank', 'entry where transaction_id = $1', [id])) === 1;
  });
  expect(await plainTotal()).toBe(total - 700);
  const locked = await lockingRead();
  expect(locked.total).toBe(total);
  expect(locked.tries).toBeGreaterThan(1);
  await handle.result();
  expect(await expectObeyed(shop(), id, transferOf(700))).toBe('commit');
  await expectSoundBooks(shop(), before);
});

const READS = depth({ sample: 60, campaign: 120 });
const READERS = 2;
/** At least among so many transfers. */
const TRANSFERS = 6;

it(`of ${READS} reads each among transfers, plain ones see fractures and locking ones none`, async () => {
  const before = await readBooks(shop());
  const total = await plainTotal();
  await armAll(shop(), { 'north-bank': Array.from({ length: 500 }, (_, i) => window(i + 1, 80)) });
  const seen = { plain: 0, plainFractured: 0, locked: 0, lockedFractured: 0, waited: 0 };
  let reading = true;
  const done: [string, Transfer][] = [];
  const transfers = async (): Promise<void> => {
    while (reading) {
      const id = newId('seen');
      const input = transferOf(1);
      await shop().transactions.execute(ATOMICALLY, { id, input });
      done.push([id, input]);
    }
  };
  const plainReader = async (): Promise<void> => {
    for (; reading; seen.plain++) {
      if ((await plainTotal()) !== total) seen.plainFractured++;
      await sleep(10);
    }
  };
  const lockingReader = async (): Promise<void> => {
    // On a slow machine they have read enough before there was enough to see.
    while (reading && (seen.locked < READS || seen.plain < READS || done.length < TRANSFERS)) {
      const { total: found, tries } = await lockingRead();
      seen.locked++;
      if (found !== total) seen.lockedFractured++;
      if (tries > 1) seen.waited++;
      await sleep(Math.random() * 100);
    }
  };
  const lockingReaders = Promise.all(Array.from({ length: READERS }, lockingReader)).finally(() => (reading = false));
  // Nobody goes on reading after one that has failed.
  await Promise.all([lockingReaders, plainReader(), transfers()].map((work) => work.finally(() => (reading = false))));
  console.log(`visibility: ${JSON.stringify(seen)} among ${done.length} transfers`);
  expect(seen.locked).toBeGreaterThanOrEqual(READS);
  expect(seen.plain).toBeGreaterThanOrEqual(READS);
  expect(seen.plainFractured).toBeGreaterThan(0);
  expect(seen.lockedFractured).toBe(0);
  for (const [id, input] of done) expect(await expectObeyed(shop(), id, input)).toBe('commit');
  await expectSoundBooks(shop(), before);
}, 90_000);
