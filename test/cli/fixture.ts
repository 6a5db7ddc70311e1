/**
 * Two participants with a database each, and the command. Branches are prepared by the activities that
 * a worker would run; what the command prints is searched for passwords every time.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Pool, QueryResultRow } from 'pg';
import { PostgresServer } from 'temporal-txn/testing';
import { defineParticipant, gidOf, migrate, operation, participantActivities } from 'temporal-txn/participant';
import type { ParticipantActivities } from 'temporal-txn/participant';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { z } from 'zod';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import type { RegisteredBranch } from '../../src/protocol';
import { quietPool } from '../quiet-pool';
import { runInProcess } from './in-process';

const QUIET = new DefaultLogger('ERROR');
const MAIN = resolve(__dirname, '../../dist/src/cli/main.js');
/** Nothing listens there. */
export const NOWHERE = '127.0.0.1:1';

const accounts = defineParticipant('accounts', {
  book: operation({
    input: z.object({ amount: z.number() }),
    async execute(tx, { amount }) {
      await tx.query('insert into entry (amount) values ($1)', [amount]);
    },
    async compensate() {},
  }),
});

export type Name = 'north-bank' | 'south-bank';
const NAMES: readonly Name[] = ['north-bank', 'south-bank'];

export interface Printed {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Bank {
  readonly pool: Pool;
  readonly url: string;
  /** Of a superuser, in this bank's database. */
  readonly admin: Pool;
  rows(sql: string, values?: unknown[]): Promise<QueryResultRow[]>;
}

/** What one phase of one branch is asked with. */
export interface BranchAt {
  readonly at: Name;
  /** Whose database it shares; by default it has its own. */
  readonly in?: Name;
  readonly transaction: string;
  readonly branch?: string;
  readonly register?: Name;
  readonly workflowId?: string;
}

export function useBanks() {
  const banks = new Map<Name, Bank & { readonly activities: ParticipantActivities }>();
  let server: PostgresServer;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'txn-cli-'));
    // As root, the server runs as a user of its own and has to get there.
    chmodSync(directory, 0o711);
    server = await PostgresServer.start({ directory, durable: false });
    for (const name of NAMES) {
      const database = name.replace('-', '_');
      const url = await server.createService(database);
      const pool = quietPool({ connectionString: url });
      const adminUrl = new URL(server.adminUrl);
      adminUrl.pathname = `/${database}`;
      const admin = quietPool({ connectionString: adminUrl.href });
      await migrate(pool);
      await pool.query('create table entry (amount bigint not null)');
      banks.set(name, {
        pool,
        url,
        admin,
        activities: participantActivities(accounts, { pool }),
        rows: async (sql, values = []) => (await pool.query<QueryResultRow>(sql, values)).rows,
      });
    }
  });
  afterEach(async () => {
    for (const { admin } of banks.values()) {
      const { rows } = await admin.query<{ gid: string }>(
        'select gid from pg_prepared_xacts where database = current_database()',
      );
      for (const { gid } of rows) await admin.query(`rollback prepared '${gid.replaceAll("'", "''")}'`);
      await admin.query(
        "set txn.purging = 'on'; delete from txn.decision; reset txn.purging; truncate txn.branch, txn.preparation, txn.heuristic, txn.acceptance, entry",
      );
    }
  });
  afterAll(async () => {
    for (const { pool, admin } of banks.values()) await Promise.all([pool.end(), admin.end()]);
    await server?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  const bank = (name: Name) => {
    const found = banks.get(name);
    if (!found) throw new Error('The banks are there once the hooks have run.');
    return found;
  };
  /** Asks a participant's worker, as its coordinator would. */
  const ask = (
    phase: string,
    { at, in: database = at, transaction, branch = `book-${at}`, register, workflowId }: BranchAt,
    more = {},
  ) => {
    const environment = new MockActivityEnvironment(
      {
        taskQueue: at,
        startToCloseTimeoutMs: 10_000,
        workflowExecution: { workflowId: workflowId ?? transaction, runId: randomUUID() },
      },
      { logger: QUIET },
    );
    const request = { transaction, branch, input: { amount: 100 }, register: register ?? 'north-bank', ...more };
    const activity = bank(database).activities[`book.${phase}`] as (request: object) => Promise<unknown>;
    return environment.run(activity, request);
  };
  const decide = async (transaction: string, propose: 'commit' | 'abort', branches: RegisteredBranch[]) =>
    ask('decide', { at: 'north-bank', transaction }, { propose, branches });
  return {
    bank,
    server: () => server,
    prepare: (branch: BranchAt) => ask('prepare', branch, { token: 'token', votes: 'answer' }),
    commit: (branch: BranchAt) => ask('commit', branch),
    abort: (branch: BranchAt) => ask('abort', branch),
    /** Decides at north-bank and finishes its branch, as the coordinator of a transaction of both banks. */
    decide: (transaction: string, propose: 'commit' | 'abort') =>
      decide(
        transaction,
        propose,
        NAMES.map((at) => registered(at)),
      ),
    gid: ({ at, transaction, branch = `book-${at}`, register = 'north-bank' }: BranchAt, namespace = 'default') =>
      gidOf(
        { transaction: parseTransactionId(transaction), branch: parseBranchId(branch), input: { amount: 100 } },
        { operation: 'book', register, participant: at, namespace },
      ),
    /** Runs the command. */
    txn: async (args: readonly string[], environment: Record<string, string> = {}): Promise<Printed> => {
      const printed = await runInProcess(args, {
        TEMPORAL_ADDRESS: NOWHERE,
        TXN_DATABASE_NORTH_BANK: bank('north-bank').url,
        TXN_DATABASE_SOUTH_BANK: bank('south-bank').url,
        ...environment,
      });
      for (const name of NAMES) expect(printed.stdout + printed.stderr).not.toContain(new URL(bank(name).url).password);
      return printed;
    },
  };
}

const registered = (at: Name): RegisteredBranch => ({
  branch: parseBranchId(`book-${at}`),
  participant: at,
  vote: 'commit',
});

export const newTransaction = (): string => `transfer-${randomUUID()}`;

/** Runs the command as it was built. Nothing of our own environment reaches it but what it needs to start. */
export function runCommand(args: readonly string[], environment: Record<string, string>): Promise<Printed> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [MAIN, ...args],
      {
        cwd: tmpdir(),
        env: { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), TEMPORAL_ADDRESS: NOWHERE, ...environment },
        timeout: 25_000,
      },
      (error, stdout, stderr) =>
        done({ exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr }),
    );
  });
}
