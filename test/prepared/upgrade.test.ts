/** A database that a release without two-phase commit has used becomes one that prepares, with all that it has. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Pool } from 'pg';
import { checkSchema, migrate } from 'temporal-txn/participant';
import { expect, it, onTestFinished } from 'vitest';
import { hashOf } from '../../src/participant/hash';
import { quietPool } from '../quiet-pool';
import { Bank, newId, useBanks } from './fixture';

const MIGRATIONS = resolve(__dirname, '../../src/participant/migrations');
const FIRST = readFileSync(join(MIGRATIONS, '000001-branch-log.sql'), 'utf8');
const LATEST = readdirSync(MIGRATIONS).length;

const banks = useBanks();

/** As migrate() of the first release left it. */
async function old(name: string): Promise<{ pool: Pool; bank: Bank; account: string }> {
  const url = await banks.server.createService(name);
  const pool = quietPool({ connectionString: url, max: 10 });
  onTestFinished(() => pool.end());
  await pool.query(`
    create schema txn;
    create table txn.migration (
      version integer primary key, name text not null, applied_at timestamptz not null default clock_timestamp());
    ${FIRST};
    insert into txn.migration (version, name) values (1, 'branch-log')`);
  await pool.query('create table account (id text primary key, balance int not null)');
  const bank = new Bank(name, pool, url);
  return { pool, bank, account: await bank.account() };
}

/** As a worker of that release does a branch, which goes on with its connections while the schema is brought up to date. */
async function debitAsThen(pool: Pool, transaction: string, input: { account: string; amount: number }): Promise<void> {
  const client = await pool.connect();
  const branch = [transaction, 'debit'];
  try {
    await client.query('begin');
    await client.query(
      `insert into txn.branch (transaction_id, branch_id, operation, state, input_hash) values ($1, $2, 'debit', 'applied', decode($3, 'hex'))`,
      [...branch, hashOf(input)],
    );
    const { rows } = await client.query<{ balance: number }>(
      'update account set balance = balance - $2 where id = $1 returning balance',
      [input.account, input.amount],
    );
    await client.query('update txn.branch set result = $3 where transaction_id = $1 and branch_id = $2', [
      ...branch,
      JSON.stringify(rows[0]),
    ]);
    await client.query('commit');
  } finally {
    client.release();
  }
}

it('keeps its branches, and they are found by what comes later', async () => {
  const { pool, bank, account } = await old('kept');
  const step = { transaction: newId(), input: { account, amount: 10 } };
  await debitAsThen(pool, step.transaction, step.input);
  await expect(checkSchema(pool)).rejects.toMatchObject({ name: 'SchemaVersionError', found: 1 });
  expect(await migrate(pool)).toBe(LATEST);
  await checkSchema(pool);
  expect(await bank.ask('debit', step)).toMatchObject({ answer: 'applied-before', result: { balance: 90 } });
  const transfer = { transaction: newId(), register: 'kept', input: { account, amount: 10 } };
  expect(await bank.ask('debit.prepare', transfer)).toMatchObject({ vote: 'commit' });
  expect(await bank.ask('debit.decide', { ...transfer, propose: 'commit' })).toMatchObject({
    ack: { kind: 'applied' },
  });
  expect(await bank.balance(account)).toBe(80);
});

it('is upgraded once, however many workers start at the same time, while branches run', async () => {
  const { pool, bank, account } = await old('busy');
  const steps = Array.from({ length: 20 }, () => debitAsThen(pool, newId(), { account, amount: 1 }));
  expect(await Promise.all([1, 2, 3, 4].map(() => migrate(pool)))).toEqual(Array(4).fill(LATEST));
  for (const step of await Promise.allSettled(steps)) expect(step).toMatchObject({ status: 'fulfilled' });
  expect(await bank.balance(account)).toBe(80);
  expect((await pool.query('select version from txn.migration order by version')).rows).toEqual(
    Array.from({ length: LATEST }, (_, i) => ({ version: i + 1 })),
  );
});

it('refuses to prepare before it is upgraded, and nothing is left of the attempt', async () => {
  const { bank, account } = await old('early');
  const request = { transaction: newId(), register: 'early', input: { account, amount: 10 } };
  await expect(bank.ask('debit.prepare', request)).rejects.toMatchObject({
    nonRetryable: false,
    message: expect.stringContaining('42P01') as string,
  });
  expect(await bank.rows('select * from txn.branch')).toEqual([]);
  expect(await bank.prepared()).toEqual([]);
});

it('does not wait for ever for a prepared transaction, which ends only when a worker runs', async () => {
  const { pool } = await old('blocked');
  const client = await pool.connect();
  await client.query('begin');
  await client.query(
    `insert into txn.branch (transaction_id, branch_id, operation, state) values ('t', 'b', 'debit', 'applied')`,
  );
  await client.query(`prepare transaction 'in the way'`);
  client.release();
  await expect(migrate(pool)).rejects.toMatchObject({ name: 'MigrationBlockedError' });
  await pool.query(`rollback prepared 'in the way'`);
  expect(await migrate(pool)).toBe(LATEST);
});
