/** Three small services on one real PostgreSQL, for the tests of two-phase commit that ask databases. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { quietPool } from '../quiet-pool';
import { accounts } from '../../activities/accounts/operations';
import { audit } from '../../activities/audit/operations';
import { setUpService } from '../../activities/setup';
import { participantActivities } from '../../src/participant';
import { PostgresServer } from '../../src/testing';
import type { Activities } from '../../src/testing';
import type { Transfer } from '../../workflows/bank-transfer';

export const SERVICES = ['north-bank', 'south-bank', 'audit'] as const;
export type Service = (typeof SERVICES)[number];

export const transferOf = (amount: number, other: Partial<Transfer> = {}): Transfer => ({
  from: { bank: 'north-bank', account: 'alice' },
  to: { bank: 'south-bank', account: 'bob' },
  amount,
  currency: 'EUR',
  ...other,
});

interface BranchRow {
  readonly service: Service;
  readonly branch: string;
  readonly state: string;
}

export class Bank {
  private constructor(
    private readonly directory: string,
    private readonly server: PostgresServer,
    readonly pools: Readonly<Record<Service, Pool>>,
  ) {}

  static async open(): Promise<Bank> {
    const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-bank-'));
    chmodSync(directory, 0o711);
    const server = await PostgresServer.start({ directory, durable: false });
    const pools: Partial<Record<Service, Pool>> = {};
    for (const name of SERVICES) {
      const connectionString = await server.createService(name.replace('-', '_'));
      await setUpService(name, connectionString);
      pools[name] = quietPool({ connectionString, max: 30 });
    }
    return new Bank(directory, server, pools as Record<Service, Pool>); // Cast: the loop has filled it.
  }

  /** The activities of every service, by its name. */
  activities(): Readonly<Record<Service, Activities>> {
    const of = (name: Service): Activities =>
      participantActivities(name === 'audit' ? audit : accounts, { pool: this.pools[name] });
    return { 'north-bank': of('north-bank'), 'south-bank': of('south-bank'), audit: of('audit') };
  }

  async close(): Promise<void> {
    await Promise.all(SERVICES.map((name) => this.pools[name].end()));
    await this.server.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #all<Row extends object>(query: string, values: unknown[] = []): Promise<(Row & { service: Service })[]> {
    const found = await Promise.all(
      SERVICES.map(async (service) => {
        const { rows } = await this.pools[service].query<Row>(query, values);
        return rows.map((row) => ({ ...row, service }));
      }),
    );
    return found.flat();
  }

  /** The gids that are prepared now. The server lists those of all its databases. */
  async prepared(): Promise<string[]> {
    const rows = await this.#all<{ gid: string }>(
      'select gid from pg_prepared_xacts where database = current_database()',
    );
    return rows.map(({ gid }) => gid);
  }

  /** What the registers say of a transaction, and where. */
  decisions(transaction: string): Promise<{ service: Service; outcome: string }[]> {
    return this.#all<{ outcome: string }>(
      'select outcome from txn.decision where transaction_id = $1 order by transaction_id',
      [transaction],
    );
  }

  branches(transaction: string): Promise<BranchRow[]> {
    return this.#all<{ branch: string; state: string }>(
      'select branch_id as branch, state from txn.branch where transaction_id = $1 order by branch_id',
      [transaction],
    );
  }

  /** Entries of the ledgers, such as `north-bank debit -100`. */
  async entries(transaction: string): Promise<string[]> {
    const banks = ['north-bank', 'south-bank'] as const;
    const found = await Promise.all(
      banks.map(async (bank) => {
        const { rows } = await this.pools[bank].query<{ kind: string; amount: string }>(
          'select kind, amount from entry where transaction_id = $1 order by id',
          [transaction],
        );
        return rows.map(({ kind, amount }) => `${bank} ${kind} ${amount}`);
      }),
    );
    return found.flat();
  }

  /** All money in both banks. */
  async money(): Promise<number> {
    const sums = await Promise.all(
      (['north-bank', 'south-bank'] as const).map(async (bank) => {
        const { rows } = await this.pools[bank].query<{ sum: string }>('select sum(balance) as sum from account');
        return Number(rows[0]?.sum);
      }),
    );
    return sums.reduce((a, b) => a + b, 0);
  }
}
