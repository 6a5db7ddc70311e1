/** Two banks on two PostgreSQL servers, Temporal, and what the books say of a transfer. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { costOf } from '../../bench/cost';
import type { Cost, History } from '../../bench/cost';
import type { Bank, Transfer } from '../../bench/transfer';
import { connectTemporal, TransactionClient } from '../../src/client';
import type { TemporalSettings } from '../../src/client';
import { ServiceProcess, startStack } from '../../src/dev';
import type { Stack, StackOptions } from '../../src/dev';
import { searchAttributeList } from '../../src/observability';
import { until } from '../end-to-end/fixture';
import { BANKS, openBank } from '../protocols/company';
import type * as HouseModule from './house';
import type { House, HouseOptions } from './house';

export const WORKFLOWS = ['transferBySaga', 'transferByTwoPhaseCommit', 'transferByTryConfirmCancel'] as const;

/** How many travel together. */
const GROUP = 8;

/** Committed entries of a transfer, and what waits at either bank. */
const BOOKS = `
  select (select coalesce(sum(amount), 0)::int from entry where transaction_id = $1) as net,
         (select count(*)::int from entry where transaction_id = $1) as entries,
         (select count(*)::int from pg_prepared_xacts where database = current_database())
           + (select count(*)::int from txn.branch where transaction_id = $1 and state = 'tried') as waiting`;

export interface Book {
  readonly net: number;
  readonly entries: number;
  readonly waiting: number;
}

/** The workers of a house are compiled ones: so is what starts them. */
export async function openCompiledHouse(options: HouseOptions): Promise<House> {
  const compiled = join(__dirname, '../../dist/test/colocated/house.js');
  const { openHouse } = (await import(compiled)) as typeof HouseModule; // Cast: compiled from it.
  return openHouse(options);
}

export class Town {
  #count = 0;

  private constructor(
    readonly stack: Stack<string>,
    readonly client: Client,
    private readonly banks: Readonly<Record<Bank, Pool>>,
    private readonly directory: string,
  ) {
    this.transactions = new TransactionClient({ client });
    this.grouped = new TransactionClient({ client, grouping: true });
  }

  readonly transactions: TransactionClient;
  /** Whose transactions travel in groups when several come at once. */
  readonly grouped: TransactionClient;

  static async open(more: Pick<StackOptions<string>, 'temporalMetricsPort'> = {}): Promise<Town> {
    const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-colocated-'));
    const stack = await startStack<string>({
      directory,
      databases: { north_bank: 'a', south_bank: 'b' },
      searchAttributes: searchAttributeList(),
      durable: false,
      ...more,
    });
    const banks = {
      'north-bank': await openBank('north-bank', stack),
      'south-bank': await openBank('south-bank', stack),
    };
    mkdirSync(join(directory, 'logs'));
    return new Town(stack, await connectTemporal(stack.temporal), banks, directory);
  }

  get temporal(): TemporalSettings {
    const { address, namespace } = this.stack.temporal;
    return { address, namespace };
  }

  get databases(): Readonly<Record<Bank, string>> {
    return { 'north-bank': this.stack.databaseUrl('north_bank'), 'south-bank': this.stack.databaseUrl('south_bank') };
  }

  /** Each transfer has an account of its own. */
  newTransfer(more: Partial<Transfer> = {}): { readonly id: string; readonly input: Transfer } {
    const account = `account-${this.#count}`;
    return {
      id: `transfer-${this.#count++}`,
      input: { from: account, to: account, amount: 100, currency: 'EUR', ...more },
    };
  }

  async books(id: string): Promise<Record<Bank, Book>> {
    const [north, south] = await Promise.all(
      BANKS.map(async (bank) => (await this.banks[bank].query<Book>(BOOKS, [id])).rows[0] as Book), // Cast: one row.
    );
    return { 'north-bank': north as Book, 'south-bank': south as Book }; // Cast: there are two.
  }

  /** Makes as many transfers as travel in one group. @returns the transfers, their answers, and the group */
  async makeTogether(
    workflow: string,
    transfers = Array.from({ length: GROUP }, () => this.newTransfer()),
    by = this.grouped,
  ) {
    const since = new Date().toISOString();
    const answers = await Promise.all(transfers.map((transfer) => by.execute(workflow, transfer)));
    const groups: string[] = [];
    const query = `WorkflowType = 'runGroup' and StartTime >= '${since}'`;
    // Visibility comes a little later than what it shows.
    await until('a group is listed', async () => {
      for await (const { workflowId } of this.client.workflow.list({ query })) groups.push(workflowId);
      return groups.length > 0;
    });
    return { ids: transfers.map(({ id }) => id), answers, groups };
  }

  historyOf(id: string): Promise<History> {
    return this.client.workflow.getHandle(id).fetchHistory();
  }

  async costOf(id: string): Promise<Cost> {
    return costOf(await this.historyOf(id));
  }

  startHouse(): Promise<ServiceProcess> {
    const compiled = join(__dirname, '../../dist');
    const { address, namespace } = this.stack.temporal;
    const { 'north-bank': north, 'south-bank': south } = this.databases;
    return ServiceProcess.start({
      name: 'house',
      script: join(compiled, 'test/colocated/house-worker.js'),
      env: {
        TEMPORAL_ADDRESS: address,
        TEMPORAL_NAMESPACE: namespace,
        NORTH_DATABASE_URL: north,
        SOUTH_DATABASE_URL: south,
      },
      log: join(this.directory, 'logs/house.log'),
      preload: [join(compiled, 'src/testing/crashpoints-preload.js')],
      restartAfterMs: 'never',
    });
  }

  async close(): Promise<void> {
    await this.client.connection.close();
    await Promise.all(BANKS.map((bank) => this.banks[bank].end()));
    await this.stack.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
