/**
 * The pool of a participant: a connection goes back to it clean or not at all, and losing connections, idle or in use, costs
 * attempts but never the process.
 */
import {
  defineParticipant,
  migrate,
  migrations,
  operation,
  participantActivities,
  participantHealth,
  refuse,
} from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { PostgresFaultProxy } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { usePostgres } from '../participant/fixture';
import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import { z } from 'zod';
import { gate, settled, useLedger } from './fixture';
import type { Ledger } from './ledger';

const test = useLedger(usePostgres(), 'pool');

const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);
beforeAll(() => {
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
});
afterAll(() => {
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
});

const idOf = async (tx: Tx): Promise<number> => {
  const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
};
const kill = (pid: number): Promise<unknown> => test.ledger.rows('select pg_terminate_backend($1, 5000)', [pid]);

/** What the next user of the one connection of a ledger finds. */
async function found(ledger: Ledger): Promise<object | undefined> {
  const rows = await ledger.rows(
    `select (select string_agg(name, ',') from pg_settings where source = 'session' and name <> 'application_name') as settings,
            current_setting('application_name') as name, current_setting('lock_timeout') as lock,
            now() = statement_timestamp() as "ownTransaction"`,
  );
  return rows[0];
}
const CLEAN = { settings: null, name: '', lock: '0', ownTransaction: true };

it('loses no connection to health checks of a database that has fallen silent', async () => {
  const { hostname: host, port } = new URL(test.url);
  const proxy = await PostgresFaultProxy.start({ target: { host, port: Number(port) } });
  onTestFinished(() => proxy.stop());
  const pool = quietPool({ connectionString: proxy.url(test.url), max: 2, connectionTimeoutMillis: 2_000 });
  onTestFinished(() => pool.end());
  for (let i = 0; i < 4; i++) {
    proxy.inject({ statement: /pg_is_in_recovery/, fault: { kind: 'delay-answer', ms: 60_000 } });
    expect(await participantHealth(pool, 300)).toEqual({
      status: 'unhealthy',
      reason: 'The database did not answer within 300 ms.',
    });
  }
  expect(await participantHealth(pool, 10_000)).toMatchObject({ status: 'healthy' });
});

it('writes what it reports to disk, where the role is careless too', async () => {
  const { ledger } = test;
  await ledger.rows('alter role current_user set synchronous_commit = off');
  onTestFinished(async () => void (await ledger.rows('alter role current_user reset synchronous_commit')));
  const setting = async (tx: Tx): Promise<unknown> =>
    (await tx.query("select current_setting('synchronous_commit') as set")).rows[0];
  const careless = test.another({ max: 1 });
  expect(await careless.rows("select current_setting('synchronous_commit') as set")).toEqual([{ set: 'off' }]);
  expect(await careless.branch().execute(setting)).toMatchObject({ result: { set: 'on' } });
});

describe('the connection that the next one gets', () => {
  const settings = 'set local lock_timeout = 1';
  it.each<[string, (ledger: Ledger) => Promise<unknown>]>([
    ['an applied branch', (ledger) => ledger.branch().execute((tx) => tx.query(settings).then(() => null))],
    ['a refusal', (ledger) => ledger.branch().execute(async () => refuse('no', 'No'))],
    [
      'an error of the operation',
      (ledger) =>
        ledger.branch().execute(async (tx) => {
          await tx.query(settings);
          throw new Error('no');
        }),
    ],
    ['a failed statement', (ledger) => ledger.branch().execute((tx) => tx.query('select 1 / 0'))],
    [
      'a failed statement that was caught',
      (ledger) => ledger.branch().execute((tx) => settled(tx.query('select 1 / 0'))),
    ],
    ['a malformed statement', (ledger) => ledger.branch().execute((tx) => tx.query('select 1; select 2'))],
    ['a forbidden statement', (ledger) => ledger.branch().execute((tx) => tx.query('commit'))],
    ['a wrong number of values', (ledger) => ledger.branch().execute((tx) => tx.query('select $1::int', []))],
    ['a COPY that nobody feeds', (ledger) => ledger.branch().execute((tx) => tx.query('copy mark from stdin'))],
    ['a result that cannot be told', (ledger) => ledger.branch().execute(async () => 1n)],
    ['an input that is refused', (ledger) => ledger.branch({ operation: 'strictMark' }).execute()],
    ['an empty compensation', (ledger) => ledger.branch().compensate()],
    [
      'a failed compensation',
      async (ledger) => {
        const branch = ledger.branch();
        await branch.execute();
        await branch.compensate((tx) => tx.query('select 1 / 0'));
      },
    ],
    [
      'a mismatch',
      async (ledger) => {
        const branch = ledger.branch();
        await branch.execute();
        await branch.as({ input: { key: 'other' } }).compensate();
      },
    ],
    [
      'a write of an operation that only reads',
      (ledger) => ledger.branch({ operation: 'look' }).execute((tx) => tx.query('create table t ()')),
    ],
  ])('after %s is as new', async (_, leave) => {
    const ledger = test.another({ max: 1 });
    await settled(leave(ledger));
    expect(await found(ledger)).toEqual(CLEAN);
    expect(await ledger.branch().execute()).toMatchObject({ answer: 'applied' });
    expect(ledger.pool.idleCount).toBe(ledger.pool.totalCount);
  });

  it('is the same one after ordinary failures, which need no new connection', async () => {
    const ledger = test.another({ max: 1 });
    const ids: unknown[] = [];
    const see = async (tx: Tx): Promise<void> => void ids.push(await idOf(tx));
    await ledger.branch().execute(see);
    await settled(
      ledger.branch().execute(async (tx) => {
        await see(tx);
        await tx.query('select 1 / 0');
      }),
    );
    await ledger.branch().execute(see);
    expect(new Set(ids).size).toBe(1);
  });

  it('is a new one when the old one could not be rolled back', async () => {
    const ledger = test.another({ max: 1 });
    let lost = 0;
    await settled(
      ledger.branch().execute(async (tx) => {
        lost = await idOf(tx);
        await kill(lost);
        throw new Error('of the operation, which knows nothing of this');
      }),
    );
    expect(await ledger.branch().execute((tx) => idOf(tx))).not.toMatchObject({ result: lost });
  });

  it('is a new one when the rollback is refused, however well the connection looks', async () => {
    const ledger = test.another({ max: 1 });
    ledger.pool.once('connect', (client) => {
      const query = (client as PoolClient).query.bind(client) as (...all: unknown[]) => Promise<unknown>;
      const refusing = (...all: unknown[]): Promise<unknown> =>
        all[0] === 'rollback' ? Promise.reject(new Error('no answer')) : query(...all);
      Object.assign(client, { query: refusing });
    });
    const branch = ledger.branch();
    await expect(branch.execute((tx) => tx.query('select 1 / 0'))).rejects.toMatchObject({ type: 'OperationFailed' });
    expect(await found(ledger)).toEqual(CLEAN);
    expect(await branch.execute()).toMatchObject({ answer: 'applied' });
  });
});

describe('losing connections', () => {
  it('does not end the process when they are idle', async () => {
    const pool = new Pool({ connectionString: test.url, max: 3 });
    onTestFinished(() => pool.end());
    // Its only listener is the participant's own.
    const activities = participantActivities(
      defineParticipant('idle', { nothing: operation({ input: z.unknown(), execute: async () => null }) }),
      { pool },
    );
    expect(Object.keys(activities)).toContain('nothing.query');
    await Promise.all([1, 2, 3].map(() => pool.query('select pg_sleep(0.01)')));
    expect(pool.idleCount).toBe(3);
    await test.ledger.rows(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state = 'idle'`,
    );
    await expect.poll(() => pool.totalCount).toBe(0);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect(uncaught).toEqual([]);
  });

  it.each(['while the operation waits for something else', 'while a statement runs'])(
    'fails the attempt that has one, and only that, %s',
    async (when) => {
      const branch = test.ledger.branch();
      const held = gate();
      let pid = 0;
      const attempt = settled(
        branch.execute(async (tx) => {
          pid = await idOf(tx);
          const sleeping = when === 'while a statement runs' ? tx.query('select pg_sleep(10)') : undefined;
          await Promise.all([held.pass(), sleeping]);
        }),
      );
      await held.reached;
      await kill(pid);
      // The process hears of it in an event of its own, with nobody waiting for an answer.
      await new Promise((resolve) => setTimeout(resolve, 20));
      held.open();
      expect(await attempt).toMatchObject({ type: 'OperationFailed', nonRetryable: false });
      expect(await branch.execute()).toMatchObject({ answer: 'applied' });
      expect(uncaught).toEqual([]);
    },
  );

  it('does not end the process while it migrates', async () => {
    const pool = new Pool({ connectionString: test.url, max: 1 });
    pool.on('error', () => undefined);
    onTestFinished(() => pool.end());
    pool.once('connect', (client) => {
      const query = (client as PoolClient).query.bind(client) as (...all: unknown[]) => Promise<unknown>;
      const losing = async (...all: unknown[]): Promise<unknown> => {
        const answer = await query(...all);
        await kill((client as unknown as { processID: number }).processID);
        await new Promise((resolve) => setTimeout(resolve, 20));
        return answer;
      };
      Object.assign(client, { query: losing });
    });
    await expect(migrate(pool)).rejects.toThrow();
    expect(uncaught).toEqual([]);
    expect(await migrate(pool)).toBe(Math.max(...migrations().map(({ version }) => version)));
  });

  it('does not give listeners to the pool for each attempt', async () => {
    const ledger = test.another({ max: 1 });
    const client = await ledger.pool.connect();
    const before = { pool: ledger.pool.listenerCount('error'), client: client.listenerCount('error') };
    client.release();
    for (let i = 0; i < 12; i++)
      await settled(ledger.branch().execute(async () => (i % 2 ? refuse('no', 'No') : null)));
    const same = await ledger.pool.connect();
    expect({ pool: ledger.pool.listenerCount('error'), client: same.listenerCount('error') }).toEqual(before);
    same.release();
  });
});
