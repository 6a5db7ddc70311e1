/** Two banks on two PostgreSQL servers and a coordinator, each a process of its own, that a test breaks. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { quietPool } from '../quiet-pool';
import { setUpService } from '../../activities/setup';
import { RESERVABLE } from '../../bench/protocols/operations';
import type { Bank } from '../../bench/transfer';
import { connectTemporal, TransactionClient } from '../../src/client';
import { ServiceProcess, startStack } from '../../src/dev';
import type { Stack } from '../../src/dev';
import { searchAttributeList } from '../../src/observability';
import type { CrashOrder } from '../../src/testing';

export const BANKS = ['north-bank', 'south-bank'] as const satisfies readonly Bank[];

/** How long recovery leaves a branch to its coordinator: longer than a slow machine takes to bring all four protocols to their points. */
const GRACE_MS = 15_000;

/** Each transfer has an account of its own at both banks. */
const OPEN_ACCOUNTS = `
  with opened as (
    insert into account (id, owner, currency, balance)
    select 'account-' || n, 'Nobody', 'EUR', 1000 from generate_series(0, 299) n
    returning id, balance
  )
  insert into entry (account, kind, amount, transaction_id, branch_id)
  select id, 'opening', balance, 'opening', id from opened`;

type WorkerName = Bank | 'coordinator';

export interface Company {
  /** `a` has the database of North Bank, and with it the register; `b` that of South Bank. */
  readonly stack: Stack<string>;
  readonly client: Client;
  readonly transactions: TransactionClient;
  readonly banks: Readonly<Record<Bank, Pool>>;
  readonly workers: Readonly<Record<WorkerName, ServiceProcess>>;
  stop(): Promise<void>;
}

/** A worker that is killed stays down until it is started. */
export async function openCompany(): Promise<Company> {
  const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-protocols-'));
  const closing: (() => Promise<unknown>)[] = [async () => rmSync(directory, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    const stack = await startStack<string>({
      directory,
      databases: { north_bank: 'a', south_bank: 'b' },
      searchAttributes: searchAttributeList(),
      durable: false,
    });
    closing.push(() => stack.stop());
    const urlOf = (bank: Bank): string => stack.databaseUrl(bank.replace('-', '_'));
    const banks = {
      'north-bank': await openBank('north-bank', stack),
      'south-bank': await openBank('south-bank', stack),
    };
    closing.push(() => Promise.all(BANKS.map((bank) => banks[bank].end())));
    const workers = await startWorkers(stack, urlOf);
    closing.push(() => Promise.all(Object.values(workers).map((worker) => worker.stop())));
    const { address, namespace } = stack.temporal;
    const client = await connectTemporal({ address, namespace });
    closing.push(() => client.connection.close());
    return { stack, client, transactions: new TransactionClient({ client }), banks, workers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function openBank(bank: Bank, stack: Stack<string>): Promise<Pool> {
  const database = bank.replace('-', '_');
  const connectionString = stack.ownerUrl(database);
  await setUpService(bank, connectionString, `${database}_worker`);
  const pool = quietPool({ connectionString, max: 4, connectionTimeoutMillis: 2_000 });
  await pool.query(RESERVABLE);
  await pool.query(OPEN_ACCOUNTS);
  return pool;
}

async function startWorkers(stack: Stack<string>, urlOf: (bank: Bank) => string) {
  const logs = join(stack.directory, 'logs');
  mkdirSync(logs);
  const compiled = join(__dirname, '../../dist');
  const { address, namespace } = stack.temporal;
  const start = (name: WorkerName, script: string, env: Readonly<Record<string, string>> = {}) =>
    ServiceProcess.start({
      name,
      script: join(compiled, script),
      env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, ...env },
      log: join(logs, `${name}.log`),
      preload: [join(compiled, 'src/testing/crashpoints-preload.js')],
      restartAfterMs: 'never',
    });
  const startBank = (bank: Bank) =>
    start(bank, 'bench/protocols/participant-worker.js', {
      SERVICE_NAME: bank,
      DATABASE_URL: urlOf(bank),
      TXN_RECOVERY_GRACE_MS: String(GRACE_MS),
      TXN_RECOVERY_EVERY_MS: '500',
    });
  const [coordinator, north, south] = await Promise.all([
    start('coordinator', 'test/protocols/workflow-worker.js'),
    startBank('north-bank'),
    startBank('south-bank'),
  ]);
  return { coordinator, 'north-bank': north, 'south-bank': south };
}

export async function kill(worker: ServiceProcess): Promise<void> {
  await worker.kill();
  await worker.died();
}

/** Starts a worker again, with orders for its crash points. */
export async function startAgain(worker: ServiceProcess, orders: readonly CrashOrder[] = []): Promise<void> {
  await kill(worker);
  await worker.start(orders.length === 0 ? {} : { TXN_CRASHPOINT: JSON.stringify(orders) });
}
