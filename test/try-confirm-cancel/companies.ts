/** Three travel companies with databases of their own, asked as a coordinator's activities ask. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Pool, QueryResultRow } from 'pg';
import { defineParticipant, migrate, operation, participantActivities, refuse } from 'temporal-txn/participant';
import type { ParticipantActivities } from 'temporal-txn/participant';
import { PostgresServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, expect } from 'vitest';
import { z } from 'zod';
import { quietPool } from '../quiet-pool';
import { applySchema } from '../../activities/database';
import { violations } from '../../activities/invariants';
import { travel } from '../../activities/travel/operations';

const QUIET = new DefaultLogger('ERROR');
const TIMEOUTS = { lockMs: 300, statementMs: 2_000, idleInTransactionMs: 4_000, startToCloseMs: 9_000 };
const PAUSE_MS = 20;
const MOST_ATTEMPTS = 100;

/** The company's own operation, one that only reads, and one whose confirmation says "no" for as long as a test wants. */
export const stubborn = { refuses: false };
const offered = defineParticipant('travel', {
  ...travel.operations,
  grumpy: operation({
    input: z.object({ offer: z.string() }),
    try: async () => ({ kept: true }),
    async confirm() {
      if (stubborn.refuses) refuse('mood', 'Not today.');
    },
    async cancel() {
      if (stubborn.refuses) refuse('mood', 'Not today.');
    },
  }),
  look: operation({
    input: z.object({ offer: z.string() }),
    readOnly: true,
    execute: async () => null,
  }),
});

export interface Asking {
  readonly transaction: string;
  readonly input?: unknown;
  readonly attempt?: number;
  readonly [more: string]: unknown;
}

export class Company {
  readonly activities: ParticipantActivities;

  constructor(
    readonly name: string,
    readonly pool: Pool,
    readonly url: string,
    /** What asks: behind a faulty network, where a test has one. */
    asking: Pool = pool,
  ) {
    this.activities = participantActivities(offered, { pool: asking, timeouts: TIMEOUTS });
  }

  /** One activity, as Temporal would run it. */
  ask(question: string, { attempt = 1, ...more }: Asking): Promise<unknown> {
    const activity = this.activities[question] as ((request: object) => Promise<unknown>) | undefined;
    if (!activity) throw new Error(`There is no activity ${question}.`);
    const request = { branch: 'place', register: 'airline', branches: [], ...more };
    const info = { startToCloseTimeoutMs: 9_000, attempt, taskQueue: this.name };
    return new MockActivityEnvironment(info, { logger: QUIET }).run(activity, request);
  }

  /** As Temporal does: tries again until there is an answer. */
  async insist(question: string, asking: Asking): Promise<unknown> {
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const [ended] = await Promise.allSettled([this.ask(question, { ...asking, attempt })]);
      if (ended.status === 'fulfilled') return ended.value;
      expect(ended.reason).toMatchObject({ nonRetryable: false });
      await sleep(PAUSE_MS);
    }
    throw new Error(`${this.name} never answered ${question}.`);
  }

  async rows(sql: string, values: unknown[] = []): Promise<QueryResultRow[]> {
    return (await this.pool.query<QueryResultRow>(sql, values)).rows;
  }

  /** A new offer, and a wish for one place of it. */
  async offer(capacity = 1): Promise<{ offer: string; quantity: number }> {
    const offer = `O-${randomUUID().slice(0, 13).toUpperCase()}`;
    await this.rows('insert into offer (id, capacity, available) values ($1, $2, $2)', [offer, capacity]);
    return { offer, quantity: 1 };
  }

  /** Available, pending and booked places. */
  async places(offer: string): Promise<readonly number[]> {
    const [row] = await this.rows('select available, pending, booked from offer where id = $1', [offer]);
    return [row?.['available'], row?.['pending'], row?.['booked']].map(Number);
  }

  async state(transaction: string): Promise<string | undefined> {
    const [row] = await this.rows('select state from txn.branch where transaction_id = $1', [transaction]);
    return row?.['state'] as string | undefined; // Cast: a text column.
  }

  async reservations(transaction: string): Promise<number> {
    return (await this.rows('select from txn.reservation where transaction_id = $1', [transaction])).length;
  }

  /** Whatever happened: no service's own rule is broken. */
  async expectSound(): Promise<void> {
    expect(await violations(this.pool)).toEqual([]);
  }
}

export interface Companies {
  readonly airline: Company;
  readonly hotel: Company;
  readonly server: PostgresServer;
}

/** A server with two companies for the tests of one file. */
export function useCompanies(): Companies {
  let server: PostgresServer | undefined;
  let directory = '';
  const companies = new Map<string, Company>();
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'txn-companies-'));
    server = await PostgresServer.start({ directory, durable: false });
    for (const name of ['airline', 'hotel'] as const) {
      const url = await server.createService(name);
      const pool = quietPool({ connectionString: url, max: 40 });
      await migrate(pool);
      await applySchema(pool, name);
      companies.set(name, new Company(name, pool, url));
    }
  });
  afterAll(async () => {
    await Promise.all([...companies.values()].map(({ pool }) => pool.end()));
    await server?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  const the = (name: string): Company => {
    const found = companies.get(name);
    if (!found) throw new Error('The companies are there once the hooks have run.');
    return found;
  };
  return {
    get airline() {
      return the('airline');
    },
    get hotel() {
      return the('hotel');
    },
    get server() {
      if (!server) throw new Error('The server is there once the hooks have run.');
      return server;
    },
  };
}

export const newId = (): string => `t-${randomUUID()}`;
