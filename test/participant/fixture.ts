/**
 * A participant under test: its operations as activities, on a real database, without a Temporal server. What runs is what a
 * worker would run: every call goes through the branch log.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import type { Pool, QueryResultRow } from 'pg';
import { PostgresServer } from 'temporal-txn/testing';
import { migrate, participantActivities } from 'temporal-txn/participant';
import type { Participant, ParticipantActivities } from 'temporal-txn/participant';
import { afterAll, beforeAll } from 'vitest';
import { quietPool } from '../quiet-pool';

/** Refused attempts are what the tests are about: no warning for each. */
const QUIET = new DefaultLogger('ERROR');

/** A PostgreSQL server for the tests of one file: that of the process, which is empty before and after. */
export function usePostgres(): { createService(name: string): Promise<string> } {
  let server: PostgresServer | undefined;
  beforeAll(async () => {
    server = await serverOfProcess();
  });
  afterAll(() => (server ? leaveEmpty(server) : undefined));
  return {
    createService: async (name) => {
      if (!server) throw new Error('The server is there once the hooks have run.');
      return server.createService(name);
    },
  };
}

let ofProcess: Promise<PostgresServer> | undefined;

/** To start one takes a second of a processor, and dozens of files want one. It ends with the process. */
function serverOfProcess(): Promise<PostgresServer> {
  ofProcess ??= startServer();
  // The next file tries again.
  ofProcess.catch(() => (ofProcess = undefined));
  return ofProcess;
}

async function startServer(): Promise<PostgresServer> {
  const directory = mkdtempSync(join(process.env['TXN_TEST_DIRECTORY'] ?? tmpdir(), 'txn-test-'));
  // As root, the server runs as a user of its own and has to get there.
  chmodSync(directory, 0o711);
  return PostgresServer.start({ directory, durable: false });
}

/** Whatever a file has left behind, prepared transactions too, is nothing to the next one. */
async function leaveEmpty(server: PostgresServer): Promise<void> {
  try {
    await empty(server);
  } catch (error) {
    ofProcess = undefined;
    await server.stop();
    throw error;
  }
}

async function empty(server: PostgresServer): Promise<void> {
  const services = await asAdmin(server, 'postgres', async (admin) => {
    const { rows } = await admin.query<{ name: string }>(
      `select datname as name from pg_database where not datistemplate and datname <> 'postgres'`,
    );
    return rows.map(({ name }) => name);
  });
  for (const service of services) await asAdmin(server, service, rollBackPrepared);
  await asAdmin(server, 'postgres', async (admin) => {
    for (const service of services) await admin.query(`drop database ${escapeIdentifier(service)} with (force)`);
    const { rows } = await admin.query<{ name: string }>(
      `select rolname as name from pg_roles where not rolsuper and rolname not like 'pg\\_%'`,
    );
    for (const { name } of rows) await admin.query(`drop role ${escapeIdentifier(name)}`);
  });
}

async function rollBackPrepared(admin: Client): Promise<void> {
  const { rows } = await admin.query<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database()',
  );
  for (const { gid } of rows) await admin.query(`rollback prepared ${escapeLiteral(gid)}`);
}

async function asAdmin<T>(server: PostgresServer, database: string, work: (admin: Client) => Promise<T>): Promise<T> {
  const url = new URL(server.adminUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  const admin = new Client({ connectionString: url.href });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

/** One operation of one transaction, and what can be asked of it. */
export interface TestBranch {
  readonly transaction: string;
  readonly branch: string;
  execute(): Promise<unknown>;
  compensate(): Promise<unknown>;
}

export interface TestParticipant {
  readonly pool: Pool;
  /** The branch of a transaction, of a new one unless it is named. */
  branch(operation: string, input: unknown, transaction?: string): TestBranch;
  /** What the coordinator does when a transaction that holds locks has completed. */
  releaseLocks(transaction: string): Promise<unknown>;
  rows(sql: string, values?: unknown[]): Promise<QueryResultRow[]>;
}

/** A participant with a database of its own for the tests of one file. */
export function useParticipant(
  postgres: { createService(name: string): Promise<string> },
  name: string,
  declare: () => Participant,
  prepare: (pool: Pool) => Promise<void>,
): TestParticipant {
  let pool: Pool;
  let activities: ParticipantActivities;
  beforeAll(async () => {
    pool = quietPool({ connectionString: await postgres.createService(name.replaceAll('-', '_')), max: 25 });
    activities = participantActivities(declare(), { pool });
    await migrate(pool);
    await prepare(pool);
  });
  afterAll(() => pool.end());

  const call = (type: string, request: object): Promise<unknown> => {
    const activity = activities[type];
    if (!activity) throw new Error(`There is no activity ${type}.`);
    const environment = new MockActivityEnvironment({ startToCloseTimeoutMs: 10_000 }, { logger: QUIET });
    return environment.run(activity as (request: object) => Promise<unknown>, request);
  };
  return {
    get pool() {
      return pool;
    },
    branch: (operation, input, transaction = `test-${randomUUID()}`) => {
      const request = { transaction, branch: operation, input };
      return {
        transaction,
        branch: operation,
        execute: () => call(operation, request),
        compensate: () => call(`${operation}.compensate`, request),
      };
    },
    releaseLocks: (transaction) => call('releaseLocks', { transaction }),
    rows: async (sql, values = []) => (await pool.query<QueryResultRow>(sql, values)).rows,
  };
}

/** What a refused branch fails with. */
export const refusal = (code: string, more: object = {}): object => ({
  type: 'Refusal',
  nonRetryable: true,
  details: [{ code, ...more }],
});
