/** The process that runs the workflows. Start as many as you like: they share the task queue. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCoordinator } from 'temporal-txn/worker';
import { startTracing } from '../activities/tracing';

/** Made by the build, because bundling costs each start seconds; see scripts/bundle.mjs. Without what traces, or encodes failures. */
const bundle = join(__dirname, 'workflows.bundle.js');
const encrypts = Boolean(process.env['TXN_ENCRYPTION_KEYS'] || process.env['TXN_DATA_CONVERTER']);

async function main(): Promise<void> {
  const tracing = await startTracing('transactions');
  const { temporal } = tracing;
  const workflows =
    existsSync(bundle) && !temporal.plugins && !encrypts
      ? { workflowBundle: { codePath: bundle } }
      : { workflowsPath: require.resolve('./index') };
  const worker = await runCoordinator({ workflows, temporal });
  console.log(`workflows: running, health at ${worker.healthUrl}`);
  await worker.stopped;
  await tracing.stop();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
