/** The workers of a deployment that encrypts, in one process: a coordinator and two services. The environment has the keys. */
import { runCoordinator, runParticipant } from '../../src/worker';
import { vault } from './operations';

async function main(): Promise<void> {
  const { LEFT_URL: left, RIGHT_URL: right, WORKFLOWS: codePath = '' } = process.env;
  const workers = await Promise.all([
    runCoordinator({ workflows: { workflowBundle: { codePath } } }),
    runParticipant(vault, { name: 'left', database: { connectionString: left }, recovery: { everyMs: 1_000 } }),
    runParticipant(vault, { name: 'right', database: { connectionString: right }, recovery: { everyMs: 1_000 } }),
  ]);
  console.log('ready');
  await Promise.all(workers.map(({ stopped }) => stopped));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
