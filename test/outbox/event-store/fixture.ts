/** A database with the schema, and an account in an event store. */
import { randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import { migrate } from 'temporal-txn/participant';
import { afterAll, beforeAll } from 'vitest';
import { quietPool } from '../../quiet-pool';
import type { Decider } from '../../../src/outbox/event-store/decider';
import type { EventOf } from '../../../src/outbox/event-store/events';
import { defineEventStore } from '../../../src/outbox/event-store/store';

export type AccountEvents = {
  Opened: { owner: string };
  Deposited: { amount: number };
  Withdrawn: { amount: number };
};

export const store = defineEventStore<AccountEvents>({ Opened: [], Deposited: [], Withdrawn: [] });

export interface AccountState {
  readonly owner: string | null;
  readonly balance: number;
}

export type AccountCommand =
  | { readonly kind: 'open'; readonly owner: string }
  | { readonly kind: 'deposit' | 'withdraw'; readonly amount: number };

export const account: Decider<AccountState, AccountCommand, AccountEvents> = {
  initialState: { owner: null, balance: 0 },
  decide(command, state) {
    switch (command.kind) {
      case 'open':
        return state.owner === null ? [{ type: 'Opened', data: { owner: command.owner } }] : [];
      case 'deposit':
        return [{ type: 'Deposited', data: { amount: command.amount } }];
      case 'withdraw':
        if (state.balance < command.amount) throw new Error(`only ${state.balance} are there`);
        return [{ type: 'Withdrawn', data: { amount: command.amount } }];
    }
  },
  evolve(state, event) {
    switch (event.type) {
      case 'Opened':
        return { ...state, owner: event.data.owner };
      case 'Deposited':
        return { ...state, balance: state.balance + event.data.amount };
      case 'Withdrawn':
        return { ...state, balance: state.balance - event.data.amount };
    }
  },
};

export const deposited = (amount: number, id?: string): EventOf<AccountEvents> & { id?: string } => ({
  type: 'Deposited',
  data: { amount },
  ...(id === undefined ? {} : { id }),
});

export const newStream = (): string => `account-${randomUUID()}`;

/** A database of its own, for the tests of one file. */
export function useDatabase(
  postgres: { createService(name: string): Promise<string> },
  name: string,
  prepare: string = 'select 1',
): { readonly pool: Pool; readonly url: string } {
  let pool: Pool;
  let url: string;
  beforeAll(async () => {
    url = await postgres.createService(name);
    pool = quietPool({ connectionString: url, max: 30 });
    // Tests end sessions.
    await migrate(pool);
    await pool.query(prepare);
  });
  afterAll(() => pool.end());
  return {
    get pool() {
      return pool;
    },
    get url() {
      return url;
    },
  };
}

/** A transaction of the test's own. */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  client.on('error', () => undefined);
  let broken = false;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => (broken = true));
    throw error;
  } finally {
    client.removeAllListeners('error');
    client.release(broken);
  }
}

/** Leaves the work prepared, as an in-doubt branch does. */
export async function inDoubt(pool: Pool, gid: string, work: (client: PoolClient) => Promise<unknown>): Promise<void> {
  const client = await pool.connect();
  let prepared = false;
  try {
    await client.query('begin');
    await work(client);
    await client.query(`prepare transaction '${gid}'`);
    prepared = true;
  } finally {
    client.release(!prepared);
  }
}

/** Numbers from a seed, which the test prints: a run can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
