/**
 * Where the benchmark plays: the embedded stack, two banks on a PostgreSQL server each, and for each way of writing the
 * transfer three worker processes — one for workflows, one beside each bank — as they would be deployed.
 */
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { setUpService } from '../activities/setup';
import { connectTemporal, TransactionClient } from '../src/client';
import { ServiceProcess, startStack } from '../src/dev';
import type { Stack } from '../src/dev';
import { searchAttributeList } from '../src/observability';
import type { History } from './cost';
import { HANDLED } from './hand-written/activities';
import { QUEUES } from './transfer';
import type { Bank, Transfer, Way } from './transfer';

type Database = 'north_bank' | 'south_bank';
const BANKS = { 'north-bank': 'north_bank', 'south-bank': 'south_bank' } as const satisfies Record<Bank, Database>;

/** More than there are transfers at a time, so that none waits for another one's account. */
const ACCOUNTS = 64;

const OPEN_ACCOUNTS = `
  with opened as (
    insert into account (id, owner, currency, balance)
    select 'account-' || n, 'Nobody', 'EUR', 1000000 from generate_series(0, ${ACCOUNTS - 1}) n
    returning id, balance
  )
  insert into entry (account, kind, amount, transaction_id, branch_id)
  select id, 'opening', balance, 'bench', id from opened`;

export interface Stage {
  /** Makes one transfer and waits for it; the same number is never used twice by one way. */
  readonly transfer: (way: Way, n: number) => Promise<void>;
  readonly historyOf: (way: Way, n: number) => Promise<History>;
  /** How many promises of the banks' tables are broken: none, or what was measured is worth nothing. */
  readonly violations: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

export async function openStage(progress: (message: string) => void): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'temporal-txn-bench-'));
  const closing: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    progress('starting two PostgreSQL servers and Temporal');
    const stack = await startStack({
      directory,
      databases: { north_bank: 'a', south_bank: 'b' },
      searchAttributes: searchAttributeList(),
      durable: true,
    });
    closing.push(() => stack.stop());
    const pools = await openBanks(stack);
    closing.push(() => Promise.all(pools.map((pool) => pool.end())));
    progress('starting three worker processes for each way');
    const workers = await startWorkers(stack);
    closing.push(() => Promise.all(workers.map((worker) => worker.stop())));
    // Left open: a transfer that Ctrl-C cut short may still be trying, and the process ends with the stage anyway.
    const client = await connectTemporal({ address: stack.temporal.address, namespace: stack.temporal.namespace });
    const transactions = new TransactionClient({ client });
    return {
      transfer: async (way, n) => {
        const [id, input] = [`${way}-${n}`, transferOf(n)];
        if (way === 'saga') await transactions.execute<Transfer, number>('transferBySaga', { id, input });
        else
          await client.workflow.execute<(input: Transfer) => Promise<number>>('transferByHand', {
            workflowId: id,
            taskQueue: QUEUES[way],
            args: [input],
          });
      },
      historyOf: (way, n) => client.workflow.getHandle(`${way}-${n}`).fetchHistory(),
      violations: async () => {
        const found = await Promise.all(pools.map((pool) => pool.query('select from invariant_violation')));
        return found.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const transferOf = (n: number): Transfer => ({
  from: `account-${n % ACCOUNTS}`,
  to: `account-${n % ACCOUNTS}`,
  amount: 1,
  currency: 'EUR',
});

async function openBanks(stack: Stack<Database>): Promise<Pool[]> {
  const open = async ([bank, database]: [string, Database]): Promise<Pool> => {
    await setUpService(bank as Bank, stack.databaseUrl(database)); // Cast: a key of BANKS.
    const pool = new Pool({ connectionString: stack.databaseUrl(database), max: 1 });
    pool.on('error', () => undefined); // A server that stops first must not end this process.
    await pool.query(`${HANDLED};${OPEN_ACCOUNTS}`);
    return pool;
  };
  return Promise.all(Object.entries(BANKS).map(open));
}

async function startWorkers(stack: Stack<Database>): Promise<ServiceProcess[]> {
  const logs = join(stack.directory, 'logs');
  mkdirSync(logs, { recursive: true });
  const { address, namespace } = stack.temporal;
  const start = (name: string, script: string, env: Record<string, string> = {}): Promise<ServiceProcess> =>
    ServiceProcess.start({
      name,
      script: join(__dirname, script),
      env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, ...env },
      log: join(logs, `${name}.log`),
      restartAfterMs: 'never',
    });
  return Promise.all([
    start('saga workflows', 'saga/workflow-worker.js'),
    start('hand-written workflows', 'hand-written/workflow-worker.js'),
    ...Object.entries(BANKS).flatMap(([bank, database]) => {
      const env = { SERVICE_NAME: bank, DATABASE_URL: stack.databaseUrl(database) };
      return [
        start(`saga ${bank}`, 'saga/bank-worker.js', env),
        start(`hand-written ${bank}`, 'hand-written/bank-worker.js', env),
      ];
    }),
  ]);
}
