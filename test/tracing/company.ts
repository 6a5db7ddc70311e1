/** A client here, a coordinator and three services in processes of their own, whose spans are all collected in the memory of the test. */
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Pool } from 'pg';
import { connectTemporal, TransactionClient } from 'temporal-txn/client';
import { searchAttributeList } from 'temporal-txn/observability';
import { migrate } from 'temporal-txn/participant';
import { spawnGuarded, TemporalDevServer } from 'temporal-txn/testing';
import type { GuardedProcess } from 'temporal-txn/testing';
import { quietPool } from '../quiet-pool';
import { packageRoot } from '../saga-more/environment';
import { startCollector } from './collector';
import { traceHere, tracedBundle } from './here';
import type { TracedHere } from './here';
import { TABLES } from './services';
import type { TracedSpan } from './spans';

export interface Company extends Pick<TracedHere, 'asRequest'> {
  readonly transactions: TransactionClient;
  /** Has them travel in groups. */
  readonly grouping: TransactionClient;
  /** Of somebody who does not trace. */
  readonly untraced: Client;
  /** The databases: north-bank, south-bank, audit. */
  readonly pools: readonly Pool[];
  /** What has been drawn until now. */
  spans(): readonly TracedSpan[];
  /** Kills the coordinator, and starts another. */
  replaceCoordinator(): Promise<void>;
  stop(): Promise<void>;
}

export async function openCompany(createService: (name: string) => Promise<string>): Promise<Company> {
  const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-tracing-'));
  const closing: (() => Promise<unknown>)[] = [async () => rmSync(directory, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    const here = traceHere();
    closing.push(() => here.stop());
    const bundle = tracedBundle(here.plugins);
    const collector = await startCollector();
    closing.push(() => collector.stop());
    const temporalServer = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
    closing.push(() => temporalServer.stop());
    const { address } = temporalServer;
    const urls = await Promise.all(['north_bank', 'south_bank', 'audit'].map(createService));
    const pools = urls.map((connectionString) => quietPool({ connectionString, max: 2 }));
    closing.push(() => Promise.all(pools.map((pool) => pool.end())));
    for (const pool of pools) {
      await migrate(pool);
      await pool.query(TABLES);
    }
    const start = async (role: string, env: Readonly<Record<string, string>>): Promise<GuardedProcess> => {
      const common = { ROLE: role, TEMPORAL_ADDRESS: address, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
      const process = await startWorker({ ...common, ...env });
      closing.push(() => process.stop());
      return process;
    };
    const coordinate = async (): Promise<GuardedProcess> => {
      const WORKFLOW_BUNDLE = join(directory, 'workflows.js');
      const { code } = await bundle;
      writeFileSync(WORKFLOW_BUNDLE, code);
      return start('coordinator', { WORKFLOW_BUNDLE });
    };
    let [coordinator] = await Promise.all([coordinate(), start('services', { DATABASE_URLS: urls.join(' ') })]);
    const client = await connectTemporal({ address, plugins: here.plugins });
    const untraced = await connectTemporal({ address });
    closing.push(() => Promise.all([client, untraced].map(({ connection }) => connection.close())));
    return {
      transactions: new TransactionClient({ client }),
      grouping: new TransactionClient({ client, grouping: { inFlight: 1 } }),
      untraced,
      pools,
      spans: () => [...collector.spans, ...here.spans()],
      asRequest: (work) => here.asRequest(work),
      async replaceCoordinator() {
        await coordinator.kill();
        coordinator = await coordinate();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startWorker(env: Readonly<Record<string, string>>): Promise<GuardedProcess> {
  const script = join(packageRoot, 'dist/test/tracing/traced-worker.js');
  const worker = await spawnGuarded(process.execPath, [script], {
    env: { ...process.env, OTEL_BSP_SCHEDULE_DELAY: '50', ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await new Promise<void>((resolve, reject) => {
    worker.child.once('message', () => resolve());
    void worker.exited.then(({ code, signal }) => reject(new Error(`A worker has ended: ${code ?? signal}`)));
  });
  return worker;
}
