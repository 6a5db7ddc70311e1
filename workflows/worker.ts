/** The process that runs the workflows. Start as many as you like: they share the task queue. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCoordinator } from 'temporal-txn/worker';

/** Made by the build, because bundling costs each start seconds; see scripts/bundle.mjs. */
const bundle = join(__dirname, 'workflows.bundle.js');

async function main(): Promise<void> {
  const workflows = existsSync(bundle)
    ? { workflowBundle: { codePath: bundle } }
    : { workflowsPath: require.resolve('./index') };
  const worker = await runCoordinator({ workflows });
  console.log(`workflows: running, health at ${worker.healthUrl}`);
  await worker.stopped;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
