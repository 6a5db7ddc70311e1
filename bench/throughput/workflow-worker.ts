/** The process that coordinates: sagas and two-phase commits. */
import { runCoordinator } from '../../src/worker';

async function main(): Promise<void> {
  const worker = await runCoordinator({ workflows: { workflowsPath: require.resolve('./workflows') } });
  await worker.stopped;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
