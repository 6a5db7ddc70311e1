/** An outbox in a database, and relays in this process whose topic the test reads, holds up and breaks. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient, PoolConfig } from 'pg';
import { defineOutbox, relay } from 'temporal-txn/outbox';
import type { NewEvent, OutboxEvent, Publisher, RelayShare } from 'temporal-txn/outbox';
import { beforeEach, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { inTransaction, useDatabase } from './event-store/fixture';

export { inDoubt, inTransaction } from './event-store/fixture';

export const outbox = defineOutbox('/shop');

/** Events of one key each, in this order. */
export const eventsOf = (...keys: readonly string[]): NewEvent[] =>
  keys.map((key) => ({ type: 'Happened', key, data: { key } }));

export interface TestOutbox {
  readonly pool: Pool;
  readonly url: string;
  append(...keys: readonly string[]): Promise<void>;
  rows<Row extends object>(sql: string, values?: unknown[]): Promise<Row[]>;
}

const CLEAR = `
  truncate txn.outbox, txn.outbox_key, txn.outbox_queue, txn.outbox_dead_letter, txn.outbox_intervention restart identity;
  update txn.outbox_partition set epoch = 0, owner = null`;

/** An outbox for the tests of one file, empty at each. */
export function useOutbox(postgres: { createService(name: string): Promise<string> }, name: string): TestOutbox {
  const database = useDatabase(postgres, name);
  beforeEach(async () => {
    await database.pool.query(CLEAR);
  });
  return {
    get pool() {
      return database.pool;
    },
    get url() {
      return database.url;
    },
    append: (...keys) => inTransaction(database.pool, (tx) => outbox.append(tx, eventsOf(...keys))),
    rows: async <Row extends object>(sql: string, values: unknown[] = []) =>
      (await database.pool.query<Row>(sql, values)).rows,
  };
}

export interface OpenTransaction {
  readonly tx: PoolClient;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** A transaction that stays open until the test ends it, or is over. */
export async function openTransaction(pool: Pool): Promise<OpenTransaction> {
  const tx = await pool.connect();
  let over = false;
  const release = (broken: boolean): void => {
    if (!over) tx.release(broken);
    over = true;
  };
  const end = async (how: string): Promise<void> => {
    await tx.query(how);
    release(false);
  };
  onTestFinished(() => release(true));
  await tx.query('begin');
  return { tx, commit: () => end('commit'), rollback: () => end('rollback') };
}

/** What relays publish to. */
export class Topic implements Publisher {
  /** In the order in which it was safe. */
  readonly received: OutboxEvent[] = [];
  /** In the order in which it was tried. */
  readonly tried: OutboxEvent[] = [];

  /** @param before runs before an event is received, and keeps it from that by throwing */
  constructor(public before: (event: OutboxEvent, signal: AbortSignal) => Promise<void> | void = () => undefined) {}

  async publish(event: OutboxEvent, signal: AbortSignal): Promise<void> {
    this.tried.push(event);
    await this.before(event, signal);
    this.received.push(event);
  }

  /** The versions of a key. */
  of(key: string): number[] {
    return this.received.filter((event) => event.key === key).map(({ version }) => version);
  }

  /** All of it, as `key/version`. */
  get log(): string[] {
    return this.received.map(({ key, version }) => `${key}/${version}`);
  }
}

export interface RunningRelay {
  readonly pool: Pool;
  /** What it comes to: nothing when it was stopped, or its error. */
  readonly over: Promise<unknown>;
  stop(): Promise<unknown>;
}

/** A relay as a process runs it, with connections of its own. Ends with the test. */
export function startRelay(
  { url }: { readonly url: string },
  topic: Publisher,
  options: Partial<RelayShare> & { readonly poolOptions?: PoolConfig } = {},
): RunningRelay {
  const { poolOptions, ...share } = options;
  const pool = share.pool ?? quietPool({ connectionString: url, max: 4, application_name: 'relay', ...poolOptions });
  const end = new AbortController();
  const running = relay({
    pool,
    owner: 'test',
    publisher: topic,
    pollMs: 50,
    backoff: { firstMs: 5, longestMs: 50 },
    stop: end.signal,
    ...share,
  });
  const over = running.catch((error: unknown) => error);
  const stop = async (): Promise<unknown> => {
    end.abort();
    return over;
  };
  onTestFinished(async () => {
    await stop();
    if (share.pool === undefined) await pool.end();
  });
  return { pool, over, stop };
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, mostMs = 30_000): Promise<void> {
  for (const deadline = Date.now() + mostMs; Date.now() < deadline; await sleep(5)) if (await isSo()) return;
  throw new Error(`Waited ${mostMs} ms in vain until ${what}.`);
}

/** Waits until the queue has no more rows than this. */
export const untilLeft = ({ pool }: { readonly pool: Pool }, left = 0, mostMs?: number): Promise<void> =>
  until(
    `${left} are left in the queue`,
    async () => {
      const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from txn.outbox_queue');
      return (rows[0]?.n ?? Infinity) <= left;
    },
    mostMs,
  );
