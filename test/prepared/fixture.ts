/** Two banks with prepared transactions: real databases on one server, asked as a coordinator's activities ask. */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { Client } from 'pg';
import type { Pool, QueryResultRow } from 'pg';
import { migrate, participantActivities } from 'temporal-txn/participant';
import type { ParticipantActivities, Survey } from 'temporal-txn/participant';
import { PostgresFaultProxy, PostgresServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { bank } from './bank';

const QUIET = new DefaultLogger('ERROR');
const SCHEMA = `
  create table account (id text primary key, balance int not null);
  create table unique_later (n int unique deferrable initially deferred);
  insert into unique_later values (1)`;

export const SHORT = { lockMs: 200, statementMs: 2_000, idleInTransactionMs: 4_000, startToCloseMs: 9_000 };

const PAUSE_MS = 30;
const MOST_ATTEMPTS = 100;

export interface Asking {
  readonly transaction?: string;
  readonly branch?: string;
  readonly attempt?: number;
  readonly [more: string]: unknown;
}

export interface PreparedBranch {
  readonly account: string;
  readonly request: Asking & { readonly transaction: string; readonly xid: string };
  readonly gid: string;
}

/** A participant with its own database. */
export class Bank {
  readonly #activities: ParticipantActivities;

  constructor(
    readonly name: string,
    readonly pool: Pool,
    readonly url: string,
    timeouts = SHORT,
  ) {
    this.#activities = participantActivities(bank, { pool, timeouts });
  }

  /** One activity, as Temporal would run it. */
  ask(question: string, { attempt = 1, ...more }: Asking): Promise<unknown> {
    const activity = this.#activities[question] as ((request: object) => Promise<unknown>) | undefined;
    if (!activity) throw new Error(`There is no activity ${question}.`);
    const request = { branch: 'debit', token: 'x', votes: 'answer', register: 'north', branches: [], ...more };
    const info = { startToCloseTimeoutMs: 9_000, attempt, taskQueue: this.name };
    return new MockActivityEnvironment(info, { logger: QUIET }).run(activity, request);
  }

  /** As Temporal does: tries again until there is an answer. */
  async insist(question: string, { attempt: first = 1, ...more }: Asking): Promise<unknown> {
    for (let attempt = first; attempt < first + MOST_ATTEMPTS; attempt++) {
      const [ended] = await Promise.allSettled([this.ask(question, { ...more, attempt })]);
      if (ended.status === 'fulfilled') return ended.value;
      expect(ended.reason).toMatchObject({ nonRetryable: false });
      await sleep(PAUSE_MS);
    }
    throw new Error(`${this.name} never answered ${question}.`);
  }

  /** A prepared branch of 30, as whoever has its vote knows it. */
  async prepareBranch(more: Asking = {}): Promise<PreparedBranch> {
    const account = await this.account();
    const asked = { transaction: newId(), input: { account, amount: 30 }, ...more };
    const answer = await this.ask('debit.prepare', asked);
    const { xid } = answer as { xid: string }; // Cast: there is one with each vote to commit.
    return { account, request: { ...asked, xid }, gid: (await this.prepared()).at(-1) ?? '' };
  }

  async rows(sql: string, values: unknown[] = []): Promise<QueryResultRow[]> {
    return (await this.pool.query<QueryResultRow>(sql, values)).rows;
  }

  /** A new account with 100. */
  async account(): Promise<string> {
    const id = randomUUID();
    await this.pool.query('insert into account values ($1, 100)', [id]);
    return id;
  }

  async balance(account: string): Promise<number> {
    const [row] = await this.rows('select balance from account where id = $1', [account]);
    return Number(row?.['balance']);
  }

  /** Gids in this database. */
  async prepared(): Promise<string[]> {
    const rows = await this.rows(
      'select gid from pg_prepared_xacts where database = current_database() order by prepared',
    );
    return rows.map(({ gid }) => String(gid));
  }

  /** As a person in psql would: on a connection of its own, past the package. */
  async byHand(statement: string): Promise<void> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  }
}

export interface Banks {
  readonly north: Bank;
  readonly south: Bank;
  readonly server: PostgresServer;
}

/** What recovery sees at once, unless it is asked to wait. */
export const watch = async (at: Bank, more: object = {}): Promise<Survey> =>
  (await at.ask('recovery.watch', { graceMs: 0, forMs: 0, everyMs: 1, known: [], ...more })) as Survey; // Cast: its answer.

/** @param ids of the branch, as a look at what is prepared tells them */
export const settle = (at: Bank, gid: string, decision: string, ids: object = {}): Promise<unknown> =>
  at.ask('recovery.settle', { ...ids, gid, decision });

/** A bank as a process that reaches its database through a network in which statements get lost. Ends with the test. */
export async function behindProxy({ server }: Banks, { name, url }: Bank, max = 4) {
  const proxy = await PostgresFaultProxy.start({ target: server });
  const pool = quietPool({ connectionString: proxy.url(url), max });
  onTestFinished(async () => {
    await proxy.stop();
    await pool.end();
  });
  return { proxy, pool, bank: new Bank(name, pool, url) };
}

/** A superuser in the database of a bank. Ends with the test. */
export async function superuserIn({ server }: Banks, { name }: Bank): Promise<Client> {
  const client = new Client({ connectionString: server.adminUrl.replace(/\/[^/]*$/, `/${name}`) });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** A server with two banks for the tests of one file. */
export function useBanks(settings: Record<string, string | number> = {}): Banks {
  let server: PostgresServer | undefined;
  let directory = '';
  const banks: Bank[] = [];
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'txn-prepared-'));
    chmodSync(directory, 0o711);
    server = await PostgresServer.start({ directory, durable: false, settings });
    for (const name of ['north', 'south']) {
      const url = await server.createService(name);
      const pool = quietPool({ connectionString: url, max: 25 });
      await migrate(pool);
      await pool.query(SCHEMA);
      banks.push(new Bank(name, pool, url));
    }
  });
  afterAll(async () => {
    await Promise.all(banks.map(({ pool }) => pool.end()));
    await server?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  const the = (index: number): Bank => {
    const found = banks[index];
    if (!found) throw new Error('The banks are there once the hooks have run.');
    return found;
  };
  return {
    get north() {
      return the(0);
    },
    get south() {
      return the(1);
    },
    get server() {
      if (!server) throw new Error('The server is there once the hooks have run.');
      return server;
    },
  };
}

export const newId = (): string => `t-${randomUUID()}`;
