/** A coordinator, two banks and an audit in one process, so that one endpoint has all their metrics. */
import { resolve } from 'node:path';
import { accounts } from '../../activities/accounts/operations';
import { audit } from '../../activities/audit/operations';
import { runCoordinator, runParticipant } from '../../src/worker';

async function main(): Promise<void> {
  const [north, south, third] = (process.env['DATABASE_URLS'] ?? '').split(' ');
  const recovery = { everyMs: 1_000 };
  const workers = await Promise.all([
    runCoordinator({
      workflows: { workflowBundle: { codePath: resolve(__dirname, '../../workflows/workflows.bundle.js') } },
    }),
    runParticipant(accounts, { name: 'north-bank', database: { connectionString: north }, recovery }),
    runParticipant(accounts, { name: 'south-bank', database: { connectionString: south }, recovery }),
    runParticipant(audit, { database: { connectionString: third }, recovery }),
  ]);
  console.log('ready');
  await Promise.all(workers.map(({ stopped }) => stopped));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
