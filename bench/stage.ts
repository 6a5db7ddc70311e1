/**
 * Where the benchmark plays: the embedded stack, each service with a database of its own on one of two PostgreSQL servers, and
 * worker processes, as they would be deployed.
 */
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { Pool } from 'pg';
import { setUpService } from '../activities/setup';
import { connectTemporal, TransactionClient } from '../src/client';
import { forgetUserSettings, ServiceProcess, startStack } from '../src/dev';
import type { PostgresName, ServiceProcessOptions, Stack, StackOptions } from '../src/dev';
import { searchAttributeList } from '../src/observability';
import type { History } from './cost';
import { ACCOUNTS } from './transfer';

export type Service = 'north-bank' | 'south-bank' | 'audit';

const DATABASES = {
  'north-bank': { name: 'north_bank', server: 'a' },
  'south-bank': { name: 'south_bank', server: 'b' },
  audit: { name: 'audit', server: 'b' },
} as const satisfies Record<Service, { name: string; server: PostgresName }>;

const OPEN_ACCOUNTS = `
  with opened as (
    insert into account (id, owner, currency, balance)
    select 'account-' || n, 'Nobody', 'EUR', 1000000 from generate_series(0, ${ACCOUNTS - 1}) n
    returning id, balance
  )
  insert into entry (account, kind, amount, transaction_id, branch_id)
  select id, 'opening', balance, 'bench', id from opened`;

export interface StageOptions {
  readonly services: readonly Service[];
  /** Databases on server a that are no service's. */
  readonly databases?: readonly string[];
  /** Settings of both servers' postgresql.conf. */
  readonly settings?: StackOptions<string>['settings'];
  readonly dynamicConfig?: StackOptions<string>['dynamicConfig'];
  readonly progress: (message: string) => void;
}

export interface Stage {
  readonly client: Client;
  readonly transactions: TransactionClient;
  readonly pool: (service: Service) => Pool;
  readonly databaseUrl: (service: Service) => string;
  /** Of a database that is no service's: of the role that owns it. */
  readonly ownerUrl: (database: string) => string;
  /** Where files are kept that are gone with the stage. */
  readonly directory: string;
  /** Starts a process by its compiled main module below bench/, and waits until it is healthy. */
  readonly startProcess: (
    name: string,
    script: string,
    env?: Record<string, string>,
    options?: Pick<ServiceProcessOptions, 'node' | 'preload'>,
  ) => Promise<ServiceProcess>;
  /** Has something else stopped with the stage, before what was there already. */
  readonly stopToo: (stop: () => Promise<unknown>) => void;
  readonly historyOf: (workflowId: string) => Promise<History>;
  /** How many promises of the tables are broken: none, or what was measured is worth nothing. */
  readonly violations: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** Opens it in a process that forgets, for good, what its user has set for services of their own. */
export async function openStage({
  services,
  databases = [],
  settings,
  dynamicConfig,
  progress,
}: StageOptions): Promise<Stage> {
  forgetUserSettings();
  const directory = await mkdtemp(join(tmpdir(), 'temporal-txn-bench-'));
  const closing: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    progress('starting two PostgreSQL servers and Temporal');
    const stack = await startStack({
      directory,
      databases: Object.fromEntries<PostgresName>([
        ...services.map((service) => [DATABASES[service].name, DATABASES[service].server] as const),
        ...databases.map((database) => [database, 'a'] as const),
      ]),
      searchAttributes: searchAttributeList(),
      durable: true,
      ...(settings ? { settings } : {}),
      ...(dynamicConfig ? { dynamicConfig } : {}),
    });
    closing.push(() => stack.stop());
    const databaseUrl = (service: Service): string => stack.databaseUrl(DATABASES[service].name);
    const pools = new Map<Service, Pool>();
    closing.push(() => Promise.all([...pools.values()].map((pool) => pool.end())));
    for (const service of services) pools.set(service, await openService(service, stack));
    const pool = (service: Service): Pool => {
      const found = pools.get(service);
      if (!found) throw new RangeError(`Nothing was changed: this stage has no ${service}.`);
      return found;
    };
    const workers: ServiceProcess[] = [];
    closing.push(() => Promise.all(workers.map((worker) => worker.stop())));
    const logs = join(directory, 'logs');
    mkdirSync(logs, { recursive: true });
    const { address, namespace } = stack.temporal;
    // Left open: a transfer that Ctrl-C cut short may still be trying, and the process ends with the stage anyway.
    const client = await connectTemporal({ address, namespace });
    return {
      client,
      transactions: new TransactionClient({ client }),
      pool,
      databaseUrl,
      ownerUrl: (database) => stack.ownerUrl(database),
      directory,
      startProcess: async (name, script, env = {}, options = {}) => {
        const worker = await ServiceProcess.start({
          name,
          script: join(__dirname, script),
          ...options,
          env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, ...env },
          log: join(logs, `${name}.log`),
          restartAfterMs: 'never',
        });
        workers.push(worker);
        return worker;
      },
      stopToo: (stop) => void closing.push(stop),
      historyOf: (workflowId) => client.workflow.getHandle(workflowId).fetchHistory(),
      violations: async () => {
        const banks = services.filter((service) => service !== 'audit').map(pool);
        const found = await Promise.all(banks.map((bank) => bank.query('select from invariant_violation')));
        return found.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openService(service: Service, stack: Stack<string>): Promise<Pool> {
  const { name } = DATABASES[service];
  const connectionString = stack.ownerUrl(name);
  const worker = `${name}_worker`;
  await setUpService(service, connectionString, worker);
  const pool = new Pool({ connectionString, max: 1 });
  pool.on('error', () => undefined); // A server that stops first must not end this process.
  // Parts add tables of their own.
  await pool.query(`alter default privileges grant select, insert, update, delete on tables to ${worker}`);
  if (service !== 'audit') await pool.query(OPEN_ACCOUNTS);
  return pool;
}
