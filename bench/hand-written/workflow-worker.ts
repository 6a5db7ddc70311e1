/** The process that runs the hand-written workflow: the SDK's own defaults. */
import { NativeConnection, Worker } from '@temporalio/worker';
import { temporalSettings } from '../../src/client';
import { runWorker } from '../../src/worker/running-worker';
import { QUEUES } from '../transfer';

async function main(): Promise<void> {
  const { connectionOptions, namespace } = temporalSettings();
  const connection = await NativeConnection.connect(connectionOptions);
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: QUEUES['hand-written'],
    workflowsPath: require.resolve('./workflows'),
  });
  const nothing = async (): Promise<void> => undefined;
  await (
    await runWorker({ worker, connection, check: async () => ({ healthy: true }), close: nothing })
  ).stopped;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
