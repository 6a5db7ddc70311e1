/** Banks, travel companies and an auditor, each with a database of its own on one real PostgreSQL. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pool, QueryResultRow } from 'pg';
import { quietPool } from '../quiet-pool';
import { accounts } from '../../activities/accounts/operations';
import { audit } from '../../activities/audit/operations';
import { violations } from '../../activities/invariants';
import { setUpService } from '../../activities/setup';
import { travel } from '../../activities/travel/operations';
import { participantActivities } from '../../src/participant';
import { PostgresServer } from '../../src/testing';
import type { Activities } from '../../src/testing';

const PARTICIPANTS = {
  airline: travel,
  hotel: travel,
  'car-rental': travel,
  'north-bank': accounts,
  'south-bank': accounts,
  audit,
};
export type Service = keyof typeof PARTICIPANTS;
export const COMPANIES = ['airline', 'hotel', 'car-rental'] as const;
export const BANKS = ['north-bank', 'south-bank'] as const;

export class World {
  private constructor(
    private readonly directory: string,
    private readonly server: PostgresServer,
    private readonly pools: ReadonlyMap<Service, Pool>,
  ) {}

  static async open(services: readonly Service[]): Promise<World> {
    const directory = mkdtempSync(join(tmpdir(), 'txn-world-'));
    chmodSync(directory, 0o711);
    const server = await PostgresServer.start({ directory, durable: false });
    const pools = new Map<Service, Pool>();
    for (const name of services) {
      const connectionString = await server.createService(name.replace('-', '_'));
      await setUpService(name, connectionString);
      pools.set(name, quietPool({ connectionString, max: 25 }));
    }
    return new World(directory, server, pools);
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.end()));
    await this.server.stop();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  activities(): Readonly<Record<string, Activities>> {
    return Object.fromEntries(
      [...this.pools].map(([name, pool]) => [name, participantActivities(PARTICIPANTS[name], { pool })]),
    );
  }

  async rows(service: Service, sql: string, values: unknown[] = []): Promise<QueryResultRow[]> {
    const pool = this.pools.get(service);
    if (!pool) throw new Error(`There is no ${service} here.`);
    return (await pool.query<QueryResultRow>(sql, values)).rows;
  }

  /** The same of every service that there is, each as `<service> <columns>`. */
  async all(
    sql: string,
    values: unknown[] = [],
    services: readonly Service[] = [...this.pools.keys()],
  ): Promise<string[]> {
    const found = await Promise.all(
      services.map(async (service) =>
        (await this.rows(service, sql, values)).map((row) => [service, ...Object.values(row)].join(' ')),
      ),
    );
    return found.flat();
  }

  /** What is neither done nor undone: prepared, reserved, or said to be under way in a branch log. */
  async pending(transaction?: string): Promise<string[]> {
    const [mine, values] =
      transaction === undefined
        ? ['true', []]
        : ['(transaction_id = $1 or starts_with(transaction_id, $2))', [transaction, `${transaction}/`]];
    return [
      ...(transaction === undefined
        ? await this.all('select gid from pg_prepared_xacts where database = current_database()')
        : []),
      ...(await this.all(`select transaction_id from txn.reservation where ${mine}`, values)),
      ...(await this.all(`select transaction_id, state from txn.branch where state = 'tried' and ${mine}`, values)),
    ];
  }

  decisions(transaction: string): Promise<string[]> {
    return this.all('select outcome from txn.decision where transaction_id = $1', [transaction]);
  }

  /** Bookings of a transaction, such as `hotel DOUBLE CONFIRMED`. */
  bookings(transaction: string): Promise<string[]> {
    return this.all('select offer, status from booking where transaction_id = $1', [transaction], COMPANIES);
  }

  /** Of a transaction and those in it, such as `north-bank sale/1 debit -100`. */
  entries(transaction: string): Promise<string[]> {
    return this.all(
      'select transaction_id, kind, amount from entry where starts_with(transaction_id, $1) order by id',
      [`${transaction}/`],
      BANKS,
    );
  }

  /** States in the branch logs, such as `hotel place confirmed`. */
  branches(transaction: string): Promise<string[]> {
    return this.all('select branch_id, state from txn.branch where transaction_id = $1 order by branch_id', [
      transaction,
    ]);
  }

  /** Available, pending and booked places of an offer. */
  async places(service: Service, offer: string): Promise<readonly number[]> {
    const [row] = await this.rows(service, 'select available, pending, booked from offer where id = $1', [offer]);
    return Object.values(row ?? {}).map(Number);
  }

  async balance(bank: Service, account: string): Promise<number> {
    const [row] = await this.rows(bank, 'select balance from account where id = $1', [account]);
    return Number(row?.['balance']);
  }

  /** Every service's own rules that are broken. */
  async violations(): Promise<unknown[]> {
    const telling = [...this.pools].filter(([name]) => name !== 'audit').map(([, pool]) => violations(pool));
    return (await Promise.all(telling)).flat();
  }
}
