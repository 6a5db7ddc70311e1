/** Participants for the tests of one file, and how to hold up one attempt while others run. */
import { afterAll, beforeAll } from 'vitest';
import type { Pool } from 'pg';
import { quietPool } from '../quiet-pool';
import { Ledger, prepareLedger } from './ledger';
import type { LedgerOptions } from './ledger';

export interface TestLedger {
  readonly url: string;
  readonly ledger: Ledger;
  /** Another process: connections and timeouts of its own, on the same database. Ends with the file. */
  another(options?: LedgerOptions & { readonly max?: number }): Ledger;
}

/** A participant with a database of its own for the tests of one file. */
export function useLedger(
  postgres: { createService(name: string): Promise<string> },
  name: string,
  options: LedgerOptions = {},
): TestLedger {
  const pools: Pool[] = [];
  let url: string;
  let ledger: Ledger;
  const open = (given: LedgerOptions, max: number): Ledger => {
    const pool = quietPool({ connectionString: url, max });
    pools.push(pool);
    return new Ledger(pool, given);
  };
  beforeAll(async () => {
    url = await postgres.createService(name);
    ledger = open(options, 25);
    await prepareLedger(ledger.pool);
  });
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
  });
  return {
    get url() {
      return url;
    },
    get ledger() {
      return ledger;
    },
    another: ({ max = 5, ...given } = {}) => open(given, max),
  };
}

/** A place where an attempt stops until the test lets it go on. */
export interface Gate {
  /** For the attempt: says that it is here, and waits. */
  readonly pass: () => Promise<void>;
  /** For the test: it is here. */
  readonly reached: Promise<void>;
  readonly open: () => void;
}

export function gate(): Gate {
  let open: () => void = () => undefined;
  let arrive: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  return {
    reached,
    open,
    pass: async () => {
      arrive();
      await opened;
    },
  };
}

/** What a promise comes to, for attempts that may fail. The reason is what they failed with. */
export const settled = async (promise: Promise<unknown>): Promise<unknown> => {
  const [result] = await Promise.allSettled([promise]);
  return result.status === 'fulfilled' ? result.value : result.reason;
};
