/** The process that runs the saga. */
import { runCoordinator } from '../../src/worker';
import { QUEUES } from '../transfer';

async function main(): Promise<void> {
  const worker = await runCoordinator({
    workflows: { workflowsPath: require.resolve('./workflows') },
    taskQueue: QUEUES.saga,
  });
  await worker.stopped;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
