/**
 * With a synchronous standby, what was answered is on the standby too. PostgreSQL gives the wait for it up when COMMIT PREPARED
 * runs into a statement timeout, and then answers as if all was well (Q2). COMMIT and PREPARE TRANSACTION wait after the timeout
 * has been disarmed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import { onCrashpoint } from '../../src/protocol';
import { Bank, newId, SHORT, useBanks } from './fixture';

const banks = useBanks();

/** Shorter than any wait for a standby that is away. */
const HASTE_MS = 200;

const asAdmin = async (...statements: string[]): Promise<void> => {
  const admin = new Client({ connectionString: banks.server.adminUrl });
  await admin.connect();
  try {
    for (const statement of statements) await admin.query(statement);
  } finally {
    await admin.end();
  }
};

/** It returns when every session knows: a transaction that would have to wait is given up, and PostgreSQL says so. */
async function standbyGoes(): Promise<void> {
  const admin = new Client({ connectionString: banks.server.adminUrl });
  let waits = false;
  admin.on('notice', ({ message }) => (waits ||= /synchronous replication/.test(message ?? '')));
  await admin.connect();
  try {
    await admin.query(`alter system set synchronous_standby_names = 'away'`);
    await admin.query('select pg_reload_conf()');
    for (let tries = 0; !waits && tries < 100; tries++) {
      const { rows } = await admin.query<{ pid: number }>('select pg_backend_pid() as pid');
      const probe = admin.query(`select pg_logical_emit_message(true, '', '')`);
      await Promise.race([probe, sleep(30)]);
      await asAdmin(`select pg_cancel_backend(${rows[0]?.pid})`);
      await probe.catch(() => undefined);
    }
    expect(waits).toBe(true);
  } finally {
    await admin.end();
  }
}
const standbyReturns = (): Promise<void> =>
  asAdmin('alter system reset synchronous_standby_names', 'select pg_reload_conf()');

/** South, whose role has a statement timeout, as many a DBA gives one to all roles. */
let hasty: Bank;
let pool: Pool;
beforeEach(async () => {
  await asAdmin(`alter role south set statement_timeout = ${HASTE_MS}`);
  pool = quietPool({ connectionString: banks.south.url, max: 4 });
  hasty = new Bank('south', pool, banks.south.url);
});
afterEach(async () => {
  onCrashpoint(undefined);
  await standbyReturns();
  await pool.end();
  await asAdmin('alter role south reset statement_timeout');
});

const request = async () => ({
  transaction: newId(),
  register: 'south',
  input: { account: await account(), amount: 30 },
});
const account = (): Promise<string> => banks.south.account();

/** It has no answer as long as the standby is away, and this one when it is back. */
async function expectOnlyWithStandby(asked: Promise<unknown>, forMs: number, answer: object): Promise<void> {
  asked.catch(() => undefined);
  expect(await Promise.race([asked, sleep(forMs).then(() => 'no answer')])).toBe('no answer');
  await standbyReturns();
  expect(await asked).toMatchObject(answer);
}

describe('while the synchronous standby is away', () => {
  it('a prepared branch does not vote', async () => {
    onCrashpoint((passed) => (passed === 'two-phase.before-prepare' ? standbyGoes() : undefined));
    const asked = hasty.ask('debit.prepare', await request());
    await expectOnlyWithStandby(asked, SHORT.statementMs + 500, { vote: 'commit' });
  });

  it('nobody is told a decision', async () => {
    const asked = await request();
    await hasty.ask('debit.prepare', asked);
    await standbyGoes();
    await expectOnlyWithStandby(hasty.ask('debit.decide', { ...asked, propose: 'commit' }), HASTE_MS + 500, {
      decision: 'commit',
      ack: { kind: 'applied' },
    });
  });

  it('no branch is acknowledged', async () => {
    const asked = await request();
    await hasty.ask('debit.prepare', asked);
    await standbyGoes();
    await expectOnlyWithStandby(hasty.ask('debit.commit', asked), HASTE_MS + 500, { kind: 'applied' });
  });
});
