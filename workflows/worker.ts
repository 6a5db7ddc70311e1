/** The process that runs the workflows. Start as many as you like: they share the task queue. */
import { runCoordinator } from 'temporal-txn/worker';

async function main(): Promise<void> {
  const worker = await runCoordinator({ workflows: { workflowsPath: require.resolve('./index') } });
  console.log(`workflows: running, health at ${worker.healthUrl}`);
  await worker.stopped;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
