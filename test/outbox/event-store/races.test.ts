/**
 * Many appenders at once, at every expected version, with sessions that are killed between and during statements, transactions
 * that are rolled back or prepared and decided later, and a projection that runs meanwhile. Then rules E1 to E5 and E8 must hold.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import { expect, it } from 'vitest';
import { EventIdInUseError, WrongExpectedVersionError } from '../../../src/outbox/errors';
import { defineProjection } from '../../../src/outbox/event-store/projection';
import { headPosition } from '../../../src/outbox/event-store/read';
import { runProjections } from '../../../src/outbox/event-store/run-projections';
import { projectionStatus } from '../../../src/outbox/event-store/status';
import { usePostgres } from '../../participant/fixture';
import { deposited, seeded, store, useDatabase } from './fixture';
import type { AccountEvents } from './fixture';

const postgres = usePostgres();
const database = useDatabase(
  postgres,
  'races',
  'create table seen (n bigint generated always as identity, position bigint, stream text, version int)',
);

/** Not idempotent: an event that is applied twice is there twice. */
const seen = defineProjection<AccountEvents>({
  name: 'seen',
  store,
  on: {
    Deposited: (tx, { position, stream, version }) =>
      tx.query('insert into seen (position, stream, version) values ($1, $2, $3)', [position, stream, version]),
  },
  reset: (tx) => tx.query('delete from seen'),
});

const STREAMS = 4;
const WORKERS = 10;
const BATCHES_EACH = 15;

it('append 1..n without a gap, each batch once and whole, and none is skipped or blocked', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`appenders: SEED=${seed}`);
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const { pool } = database;
  const run = randomUUID().slice(0, 8);
  const streams = Array.from({ length: STREAMS }, (_, i) => `s${i}-${run}`);
  const known = new Map(streams.map((stream) => [stream, 0]));
  const tally = { killed: 0, doubtful: 0, version: 0, stored: 0, rolledBack: 0 };
  const deciding: Promise<unknown>[] = [];

  const kill = async (client: PoolClient): Promise<void> => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    tally.killed++;
    // Between two statements, or while the next one runs or waits.
    const strike = (): Promise<unknown> => pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    if (random() < 0.5) await strike();
    else deciding.push(sleep(random() * 5).then(strike));
  };

  /** One attempt. Answers whether the caller knows that it is in the stream. */
  const attempt = async (stream: string, batch: ReturnType<typeof deposited>[]): Promise<boolean> => {
    const expected = pick(['any', 'none', known.get(stream) ?? 0, Math.floor(random() * 10)] as const);
    const client = await pool.connect();
    client.on('error', () => undefined);
    const chance = random();
    try {
      await client.query(`begin; set local lock_timeout = '1s'`);
      if (random() < 0.1) await kill(client);
      const { outcome, last } = await store.appendToStream(client, stream, expected, batch);
      if (outcome === 'stored') tally.stored++;
      known.set(stream, Math.max(last, known.get(stream) ?? 0));
      if (random() < 0.1) await kill(client);
      if (chance < 0.15) {
        tally.rolledBack++;
        return false;
      }
      if (chance < 0.3) {
        const gid = randomUUID();
        await client.query(`prepare transaction '${gid}'`);
        tally.doubtful++;
        const end = pick(['commit', 'rollback']);
        deciding.push(sleep(random() * 60).then(() => pool.query(`${end} prepared '${gid}'`)));
        // Nobody told the caller what became of it.
        return false;
      }
      const { command } = await client.query('commit');
      return command === 'COMMIT' && random() > 0.1;
    } catch (error) {
      if (error instanceof WrongExpectedVersionError) {
        tally.version++;
        known.set(stream, error.actual);
      }
      if (error instanceof EventIdInUseError) throw error;
      return false;
    } finally {
      client.removeAllListeners('error');
      client.release(true);
    }
  };

  const stop = new AbortController();
  const projecting = Array.from({ length: 3 }, () =>
    runProjections({
      pool,
      projections: [seen],
      stop: stop.signal,
      pollMs: 5,
      batch: 7,
      onStopped: (_, { error }) => expect.fail(String(error)),
      // Several that number at the same time wait for each other.
      onTrouble: () => undefined,
    }),
  );
  const batches: { stream: string; ids: string[] }[] = [];
  await Promise.all(
    Array.from({ length: WORKERS }, async (_, w) => {
      for (let b = 0; b < BATCHES_EACH; b++) {
        const stream = pick(streams);
        const batch = Array.from({ length: 1 + Math.floor(random() * 4) }, (__, i) =>
          deposited(i, `${run}-${w}-${b}-${i}`),
        );
        batches.push({ stream, ids: batch.map(({ id }) => id ?? '') });
        while (!(await attempt(stream, batch)));
      }
    }),
  );
  await Promise.all(deciding);

  const { rows: prepared } = await pool.query('select from pg_prepared_xacts');
  expect(prepared).toHaveLength(0);
  const { rows } = await pool.query<{ id: string; stream: string; version: number }>(
    'select id, stream, version from txn.event where stream = any($1) order by stream, version',
    [streams],
  );
  const place = new Map(rows.map(({ id, stream, version }) => [id, { stream, version }]));
  // E1
  for (const stream of streams) {
    const versions = rows.filter((row) => row.stream === stream).map(({ version }) => version);
    expect(versions).toEqual(versions.map((_, i) => i + 1));
  }
  // E2 to E4: every batch is there once, whole and in its order.
  expect(rows).toHaveLength(batches.reduce((sum, { ids }) => sum + ids.length, 0));
  for (const { stream, ids } of batches) {
    const first = place.get(ids[0] ?? '')?.version ?? 0;
    expect(ids.map((id) => place.get(id))).toEqual(ids.map((_, i) => ({ stream, version: first + i })));
  }
  // E5 and E8: the projection has every event once, in the order of positions, and of each stream in that of its versions.
  await expect.poll(async () => (await projectionStatus(pool))[0]?.position, { timeout: 30_000 }).toBe(rows.length);
  expect(await headPosition(pool)).toBe(rows.length);
  stop.abort();
  await Promise.all(projecting);
  const { rows: order } = await pool.query<{ position: number; stream: string; version: number }>(
    'select position::int as position, stream, version from seen order by n',
  );
  expect(order.map(({ position }) => position)).toEqual(rows.map((_, i) => i + 1));
  for (const stream of streams) {
    const versions = order.filter((row) => row.stream === stream).map(({ version }) => version);
    expect(versions).toEqual(versions.map((_, i) => i + 1));
  }
  // A schedule in which nothing went wrong proves nothing.
  expect(Math.min(...Object.values(tally)), JSON.stringify(tally)).toBeGreaterThan(3);
}, 90_000);
