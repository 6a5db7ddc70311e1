/** The life of the schema: brought up to date once, checked at every start, asked for its health, and purged of old rows. */
import {
  checkSchema,
  migrate,
  migrations,
  participantHealth,
  purge,
  SchemaVersionError,
} from 'temporal-txn/participant';
import type { PurgeOptions } from 'temporal-txn/participant';
import type { Pool } from 'pg';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { usePostgres } from '../participant/fixture';
import { useLedger } from './fixture';

const postgres = usePostgres();
const test = useLedger(postgres, 'purged');

let databases = 0;
async function emptyDatabase(): Promise<string> {
  return postgres.createService(`schema_${++databases}`);
}

function poolOf(connectionString: string): Pool {
  const pool = quietPool({ connectionString, max: 2 });
  onTestFinished(() => pool.end());
  return pool;
}

const NEWEST = Math.max(...migrations().map(({ version }) => version));
const tables = async (pool: Pool): Promise<unknown[]> =>
  (
    await pool.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'txn' order by 1`)
  ).rows.map(({ name }) => name);

describe('the steps of the schema', () => {
  it('are numbered from 1 without gaps, each with a name and its statements', () => {
    expect(migrations().map(({ version }) => version)).toEqual(migrations().map((_, i) => i + 1));
    for (const { name, sql } of migrations()) {
      expect(name).toMatch(/^[a-z-]+$/);
      expect(sql).toMatch(/\b(create|alter) table\b/);
    }
  });

  it('are all that another tool needs', async () => {
    const pool = poolOf(await emptyDatabase());
    for (const { sql } of migrations()) await pool.query(`begin; ${sql} commit;`);
    await expect(checkSchema(pool)).resolves.toBeUndefined();
    expect(await migrate(pool)).toBe(NEWEST);
    const { rows } = await pool.query('select version, name from txn.migration order by version');
    expect(rows).toEqual(migrations().map(({ version, name }) => ({ version, name })));
  });
});

describe('migrate', () => {
  it('runs each step once, for ten processes that start at the same time', async () => {
    const url = await emptyDatabase();
    const versions = await Promise.all(Array.from({ length: 10 }, () => migrate(poolOf(url))));
    expect(versions).toEqual(Array.from({ length: 10 }, () => NEWEST));
    const pool = poolOf(url);
    const { rows } = await pool.query('select version from txn.migration order by version');
    expect(rows).toEqual(migrations().map(({ version }) => ({ version })));
    expect((await pool.query(`select from pg_locks where locktype = 'advisory'`)).rowCount).toBe(0);
  });

  it('keeps what is there', async () => {
    await test.ledger.branch().execute();
    const [before] = await test.ledger.rows('select count(*) from txn.branch');
    expect(await migrate(test.ledger.pool)).toBe(NEWEST);
    expect((await test.ledger.rows('select count(*) from txn.branch'))[0]).toEqual(before);
  });

  it('does not touch a schema that is newer than the package', async () => {
    const pool = poolOf(await emptyDatabase());
    await migrate(pool);
    await pool.query(`insert into txn.migration (version, name) values ($1, 'of-the-future')`, [NEWEST + 1]);
    const newer = { name: 'SchemaVersionError', found: NEWEST + 1, needed: NEWEST };
    await expect(migrate(pool)).rejects.toMatchObject(newer);
    await expect(checkSchema(pool)).rejects.toMatchObject({
      ...newer,
      message: expect.stringContaining('newer') as string,
    });
  });

  it('says what is missing when the role may not create a schema, and leaves nothing', async () => {
    const url = await emptyDatabase();
    const pool = poolOf(url);
    await pool.query(
      `do $$ begin execute format('revoke create on database %I from %I', current_database(), current_user); end $$`,
    );
    await expect(migrate(pool)).rejects.toThrow(/^permission denied for database schema_/);
    expect((await pool.query(`select from pg_namespace where nspname = 'txn'`)).rowCount).toBe(0);
  });

  it('leaves nothing of a step that failed half-way, and can be run again', async () => {
    const pool = poolOf(await emptyDatabase());
    await pool.query('create schema txn; create table txn.semantic_lock (in_the_way int)');
    await expect(migrate(pool)).rejects.toThrow(/semantic_lock.*already exists/);
    expect(await tables(pool)).toEqual(['migration', 'semantic_lock']);
    await expect(checkSchema(pool)).rejects.toMatchObject({ found: 0, needed: NEWEST });
    await pool.query('drop table txn.semantic_lock');
    expect(await migrate(pool)).toBe(NEWEST);
    expect(await tables(pool)).toEqual([
      'acceptance',
      'branch',
      'circuit',
      'circuit_ruling',
      'decision',
      'event',
      'event_counter',
      'heuristic',
      'inbox',
      'migration',
      'outbox',
      'outbox_dead_letter',
      'outbox_intervention',
      'outbox_key',
      'outbox_partition',
      'outbox_queue',
      'preparation',
      'projection',
      'reservation',
      'semantic_lock',
      'snapshot',
      'stream',
    ]);
  });
});

describe('checkSchema', () => {
  it('accepts the version of this package', async () => {
    await expect(checkSchema(test.ledger.pool)).resolves.toBeUndefined();
  });

  it('tells a database without schema what to do', async () => {
    const failed = checkSchema(poolOf(await emptyDatabase()));
    await expect(failed).rejects.toBeInstanceOf(SchemaVersionError);
    await expect(failed).rejects.toThrow(/at version 0.*Run migrate\(pool\)/);
  });
});

describe('participantHealth', () => {
  it('is healthy when the schema is there', async () => {
    expect(await participantHealth(test.ledger.pool)).toMatchObject({ status: 'healthy', slots: { limit: 64 } });
  });

  it('is healthy on the schema of a later version, as a worker that runs while it is migrated', async () => {
    const pool = poolOf(await emptyDatabase());
    await migrate(pool);
    await pool.query(`insert into txn.migration (version, name) values ($1, 'of-the-future')`, [NEWEST + 1]);
    expect(await participantHealth(pool)).toMatchObject({ status: 'healthy' });
    await pool.query('delete from txn.migration where version >= $1', [NEWEST]);
    expect(await participantHealth(pool)).toMatchObject({ status: 'unhealthy' });
  });

  it('is unhealthy without the schema', async () => {
    const health = await participantHealth(poolOf(await emptyDatabase()));
    expect(health).toEqual({ status: 'unhealthy', reason: expect.stringContaining('version 0') as string });
  });

  it('is unhealthy when nobody answers at the address', async () => {
    const health = await participantHealth(poolOf('postgresql://nobody@127.0.0.1:1/nothing'));
    expect(health).toEqual({ status: 'unhealthy', reason: expect.stringMatching(/ECONNREFUSED/) as string });
  });

  it('is unhealthy when the answer takes too long, and says so in time', async () => {
    const holder = await test.ledger.pool.connect();
    await holder.query('begin; lock table txn.migration in access exclusive mode');
    const asked = Date.now();
    const health = await participantHealth(test.ledger.pool, 100);
    expect(Date.now() - asked).toBeLessThan(10_000);
    expect(health).toEqual({ status: 'unhealthy', reason: 'The database did not answer within 100 ms.' });
    await holder.query('rollback');
    holder.release();
    expect(await participantHealth(test.ledger.pool, 1_000)).toMatchObject({ status: 'healthy', slots: { limit: 64 } });
  });
});

describe('purge', () => {
  interface Old {
    readonly days: number;
    readonly endedDays?: number;
    readonly branch?: string;
    readonly workflow?: string | null;
  }

  async function put(
    transaction: string,
    { days, endedDays, branch = 'b', workflow = transaction }: Old,
  ): Promise<void> {
    await test.ledger.rows(
      `insert into txn.branch (transaction_id, branch_id, operation, state, namespace, workflow_id, created_at, ended_at)
       values ($1, $2, 'mark', 'applied', case when $3::text is not null then 'ns' end, $3,
               clock_timestamp() - make_interval(days => $4), clock_timestamp() - make_interval(days => $5))`,
      [transaction, branch, workflow, days, endedDays ?? null],
    );
  }
  const left = async (): Promise<unknown[]> =>
    (await test.ledger.rows('select distinct transaction_id as id from txn.branch order by 1')).map(
      (row): unknown => row['id'],
    );
  const run = (options: Partial<PurgeOptions> = {}): Promise<number> =>
    purge(test.ledger.pool, { olderThanDays: 30, isOpen: async () => false, ...options });

  beforeEach(async () => {
    await test.ledger.rows('truncate txn.branch, txn.semantic_lock');
  });

  it('removes what is older than the given days, and no younger', async () => {
    await put('old', { days: 31 });
    await put('young', { days: 29 });
    expect(await run()).toBe(1);
    expect(await left()).toEqual(['young']);
  });

  it('counts the age from the last change', async () => {
    await put('undone-lately', { days: 90, endedDays: 5 });
    await put('undone-long-ago', { days: 90, endedDays: 40 });
    expect(await run()).toBe(1);
    expect(await left()).toEqual(['undone-lately']);
  });

  it('keeps a transaction whole while one of its branches is young', async () => {
    await put('long', { days: 90, branch: 'first' });
    await put('long', { days: 1, branch: 'last' });
    await put('short', { days: 90, branch: 'first' });
    await put('short', { days: 80, branch: 'last' });
    expect(await run()).toBe(2);
    expect(await left()).toEqual(['long']);
  });

  it('keeps what is still open, and asks by the workflow', async () => {
    await put('open', { days: 90, workflow: 'workflow-1' });
    await put('closed', { days: 90, workflow: 'workflow-2' });
    const asked: unknown[] = [];
    const isOpen: PurgeOptions['isOpen'] = async (caller) => {
      asked.push(caller);
      return caller.workflowId === 'workflow-1';
    };
    expect(await run({ isOpen })).toBe(1);
    expect(await left()).toEqual(['open']);
    expect(asked).toEqual([
      { namespace: 'ns', workflowId: 'workflow-2' },
      { namespace: 'ns', workflowId: 'workflow-1' },
    ]);
  });

  it('keeps a transaction while any of the workflows that asked for it is open', async () => {
    await put('shared', { days: 90, branch: 'first', workflow: 'a-open' });
    await put('shared', { days: 90, branch: 'second', workflow: 'b-closed' });
    expect(await run({ isOpen: async ({ workflowId }) => workflowId === 'a-open' })).toBe(0);
    expect(await left()).toEqual(['shared']);
  });

  it('stops where it cannot find out', async () => {
    await put('a', { days: 90 });
    await put('b', { days: 90 });
    const isOpen = async ({ workflowId }: { workflowId: string }): Promise<boolean> => {
      if (workflowId === 'b') throw new Error('Temporal does not answer');
      return false;
    };
    await expect(run({ isOpen })).rejects.toThrow('Temporal does not answer');
    expect(await left()).toContain('b');
  });

  it('keeps what holds semantic locks', async () => {
    await put('locking', { days: 90 });
    await test.ledger.rows(`insert into txn.semantic_lock values ('r', 'locking', 'b')`);
    expect(await run()).toBe(0);
    await test.ledger.rows('delete from txn.semantic_lock');
    expect(await run()).toBe(1);
  });

  it('asks about nothing that no workflow started', async () => {
    await put('by-hand', { days: 90, workflow: null });
    expect(await run({ isOpen: () => Promise.reject(new Error('nobody to ask about')) })).toBe(1);
  });

  it.each([1, 2, 3, 7, 8, 100])('comes to the end in batches of %i', async (batch) => {
    for (let i = 0; i < 7; i++) await put(`t-${i}`, { days: 90 });
    await put('t-3', { days: 90, branch: 'another' });
    expect(await run({ batch, isOpen: async ({ workflowId }) => workflowId === 't-5' })).toBe(7);
    expect(await left()).toEqual(['t-5']);
  });

  it.each([0, -1, 0.5, NaN, Infinity])('removes nothing when it is told %d days', async (olderThanDays) => {
    await put('old', { days: 4_000 });
    await expect(run({ olderThanDays })).rejects.toThrow(RangeError);
    expect(await left()).toEqual(['old']);
  });

  it.each([0, -1, 0.5, NaN])('removes nothing, and ends, with batches of %d', async (batch) => {
    await put('old', { days: 4_000 });
    await expect(run({ batch })).rejects.toThrow(RangeError);
    expect(await left()).toEqual(['old']);
  });
});
