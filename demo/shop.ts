/**
 * The whole company of the examples on one machine: the embedded stack, a database for each service, one worker process a
 * service and one for the workflows. The demo plays its scenes here, and the end-to-end tests break it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'pg';
import { connectTemporal, TransactionClient } from 'temporal-txn/client';
import { searchAttributeList } from 'temporal-txn/observability';
import { services } from '../activities/services';
import type { ServiceName } from '../activities/services';
import { setUpService } from '../activities/setup';
import { setting } from '../clients/lib/shell';
import { forgetUserSettings, ServiceProcess, startStack } from '../src/dev';
import type { PostgresName, Stack } from '../src/dev';
import { giveCrashOrders } from '../src/testing';
import type { CrashOrder } from '../src/testing';

/** Which of the two PostgreSQL servers a service's database is on. A name of a database has no hyphens. */
const SERVER_OF = {
  'north-bank': 'a',
  'south-bank': 'b',
  audit: 'b',
  inventory: 'a',
  payments: 'b',
  shipping: 'a',
  orders: 'b',
  savings: 'a',
  notifications: 'a',
  airline: 'a',
  hotel: 'b',
  'car-rental': 'a',
} as const satisfies Record<ServiceName, PostgresName>;

export type WorkerName = ServiceName | 'transactions';

export const serviceNames = Object.keys(services) as ServiceName[];

export interface ShopOptions {
  /** Where databases, logs and Temporal's state are kept. A second start finds them again. */
  readonly directory: string;
  /** Whether databases and what Temporal remembers survive a crash of the machine. @default true */
  readonly durable?: boolean;
  /** Throws away what the directory holds. @default false */
  readonly fresh?: boolean;
  readonly progress?: (message: string) => void;
  /** Services whose workers run; every one has its database. @default all of them */
  readonly open?: readonly ServiceName[];
  /** How long a dead worker stays down, in milliseconds. @default 1000 */
  readonly restartAfterMs?: number;
}

export interface Shop {
  readonly stack: Stack<string>;
  readonly transactions: TransactionClient;
  /** Worker processes by the name of their service, of those that are open; `transactions` runs the workflows. */
  readonly workers: Readonly<Record<WorkerName, ServiceProcess>>;
  /** Connections to a service's database, to look into it. */
  readonly databases: Readonly<Record<ServiceName, Pool>>;
  /** What a command needs before it to reach this Temporal, whatever is set in the shell in which it is typed. */
  readonly reach: string;
  /** Where the command `temporal-txn` finds the databases. Holds passwords. */
  readonly configFile: string;
  /** Ends a workflow on the spot, as a person at the Web UI could. */
  readonly terminate: (id: string) => Promise<void>;
  /** Gives a worker orders for its crash points, which end with its process. What it was killed at, it notes in `log`. */
  readonly arm: (worker: WorkerName, orders: readonly CrashOrder[], log?: string) => Promise<void>;
  /** Takes a trip that is held, or gives it back. */
  readonly answerTrip: (id: string, accept: boolean) => Promise<void>;
  stop(): Promise<void>;
}

/** Opens it in a process that forgets, for good, what its user has set for services of their own. */
export async function openShop(options: ShopOptions): Promise<Shop> {
  const { directory, progress = () => undefined } = options;
  const forgotten = forgetUserSettings();
  const stack = await startStack({
    directory,
    databases: Object.fromEntries(serviceNames.map((name) => [databaseOf(name), SERVER_OF[name]])),
    searchAttributes: searchAttributeList(),
    mail: true,
    progress,
    ...(options.durable === undefined ? {} : { durable: options.durable }),
    ...(options.fresh === undefined ? {} : { fresh: options.fresh }),
  });
  const closing: (() => Promise<unknown>)[] = [() => stack.stop()];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    progress('preparing the databases of the services');
    await Promise.all(
      serviceNames.map((name) => setUpService(name, stack.ownerUrl(databaseOf(name)), `${databaseOf(name)}_worker`)),
    );
    const databases = openDatabases(stack);
    closing.push(() => Promise.all(Object.values(databases).map((pool) => pool.end())));
    progress('starting the workers');
    const workers = await startWorkers(stack, options);
    closing.push(() => Promise.all(Object.values(workers).map((worker) => worker.stop())));
    const client = await connectTemporal({ address: stack.temporal.address, namespace: stack.temporal.namespace });
    closing.push(() => client.connection.close());
    return {
      stack,
      transactions: new TransactionClient({ client }),
      workers,
      databases,
      reach: [...forgotten, setting('TEMPORAL_ADDRESS', stack.temporal.address)].join(' '),
      configFile: writeConfig(stack),
      terminate: async (id) => void (await client.workflow.getHandle(id).terminate('by the demo')),
      arm: async (worker, orders, log) => {
        await workers[worker].start();
        giveCrashOrders(crashOrdersOf(options, worker), orders, log);
      },
      answerTrip: (id, accept) => client.workflow.getHandle(id).executeUpdate('answerTrip', { args: [{ accept }] }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const databaseOf = (service: ServiceName): string => service.replaceAll('-', '_');

/** For the command `temporal-txn`: the databases of the participants, readable by their owner only. */
function writeConfig(stack: Stack<string>): string {
  const databases = Object.fromEntries(serviceNames.map((name) => [name, stack.databaseUrl(databaseOf(name))]));
  const file = join(stack.directory, 'temporal-txn.json');
  writeFileSync(file, `${JSON.stringify({ databases }, null, 2)}\n`, { mode: 0o600 });
  return file;
}

function openDatabases(stack: Stack<string>): Record<ServiceName, Pool> {
  const open = (service: ServiceName): [ServiceName, Pool] => {
    const pool = new Pool({ connectionString: stack.ownerUrl(databaseOf(service)), max: 4 });
    // A server that is killed, as some scenes do, must not end this process: the next query opens a new connection.
    pool.on('error', () => undefined);
    return [service, pool];
  };
  return Object.fromEntries(serviceNames.map(open)) as Record<ServiceName, Pool>;
}

/** Node runs what was compiled, also when this file itself is run from its source, as in the tests. */
const compiledRoot = (): string => join(__dirname, __filename.endsWith('.ts') ? '../dist' : '..');

const logsOf = ({ directory }: ShopOptions): string => join(directory, 'logs');

const crashOrdersOf = (options: ShopOptions, worker: WorkerName): string =>
  join(logsOf(options), `${worker}.crash-orders.json`);

async function startWorkers(stack: Stack<string>, options: ShopOptions): Promise<Record<WorkerName, ServiceProcess>> {
  const logs = logsOf(options);
  mkdirSync(logs, { recursive: true });
  const root = compiledRoot();
  const started: ServiceProcess[] = [];
  const start = async (
    name: WorkerName,
    script: string,
    env: Record<string, string>,
  ): Promise<[WorkerName, ServiceProcess]> => {
    const worker = await ServiceProcess.start({
      name,
      script: join(root, script),
      env: {
        TEMPORAL_ADDRESS: stack.temporal.address,
        TEMPORAL_NAMESPACE: stack.temporal.namespace,
        TXN_CRASHPOINT_FILE: crashOrdersOf(options, name),
        ...env,
      },
      log: join(logs, `${name}.log`),
      preload: [join(root, 'src/testing/crashpoints-preload.js')],
      restartAfterMs: options.restartAfterMs ?? 1_000,
    });
    started.push(worker);
    return [name, worker];
  };
  const starting = [
    start('transactions', 'workflows/worker.js', {}),
    ...(options.open ?? serviceNames).map((name) =>
      start(name, `activities/${services[name].folder}/worker.js`, {
        SERVICE_NAME: name,
        DATABASE_URL: stack.databaseUrl(databaseOf(name)),
        // So that nobody waits long for what recovery does.
        TXN_RECOVERY_GRACE_MS: '5000',
        TXN_RECOVERY_EVERY_MS: '1000',
        ...(name === 'notifications' ? { SMTP_URL: stack.mail?.smtpUrl ?? '' } : {}),
      }),
    ),
  ];
  const settled = await Promise.allSettled(starting);
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed) {
    await Promise.all(started.map((worker) => worker.stop()));
    throw failed.reason;
  }
  return Object.fromEntries(await Promise.all(starting)) as Record<WorkerName, ServiceProcess>;
}
