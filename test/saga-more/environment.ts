/** Starts the environment for the compiled workflows of a test directory, without a line of log for each worker. */
import { dirname, join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { TransactionClient } from '../../src/client';
import { searchAttributeList } from '../../src/observability';
import { bundleWorkflows, TemporalDevServer, TransactionTestEnvironment } from '../../src/testing';
import type { Activities } from '../../src/testing';

/** The same from the sources and from dist/. */
export const packageRoot = dirname(require.resolve('temporal-txn/package.json'));

/** The compiled workflows of a test directory: Temporal bundles from dist/. */
export const compiledWorkflows = (directory: string): string =>
  join(packageRoot, 'dist/test', directory, 'workflows.js');

/** Keeps the worker's log to what is a bug of the worker: sagas under test fail by design. To be called before anything starts. */
export const quiet = (): Runtime => Runtime.install({ logger: new DefaultLogger('ERROR') });

export async function startEnvironment(
  directory: string,
  participants: Readonly<Record<string, Activities>>,
): Promise<TransactionTestEnvironment> {
  quiet();
  return TransactionTestEnvironment.start({
    workflows: await bundleWorkflows(compiledWorkflows(directory)),
    participants,
  });
}

export interface RealTimeEnvironment {
  readonly client: Client;
  readonly transactions: TransactionClient;
  stop(): Promise<void>;
}

/**
 * The same on a development server, by the real clock. For what the time-skipping server cannot do: when an activity ends in
 * the same moment in which it is cancelled, that server loses count of who waits, and its clock stands still from then on.
 */
export async function startRealTimeEnvironment(
  directory: string,
  participants: Readonly<Record<string, Activities>>,
): Promise<RealTimeEnvironment> {
  quiet();
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of endings.reverse()) await end();
  };
  try {
    const server = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
    endings.push(() => server.stop());
    const { address, namespace } = server;
    const connection = await Connection.connect({ address });
    endings.push(() => connection.close());
    const native = await NativeConnection.connect({ address });
    endings.push(() => native.close());
    const workflowBundle = await bundleWorkflows(compiledWorkflows(directory));
    const workers = [
      await Worker.create({ connection: native, namespace, taskQueue: 'transactions', workflowBundle }),
      ...(await Promise.all(
        Object.entries(participants).map(([taskQueue, activities]) =>
          Worker.create({ connection: native, namespace, taskQueue, activities }),
        ),
      )),
    ];
    const stopped = workers.map((worker) => worker.run());
    endings.push(async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(stopped);
    });
    const client = new Client({ connection, namespace });
    return { client, transactions: new TransactionClient({ client }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
