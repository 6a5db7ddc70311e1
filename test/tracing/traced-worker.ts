/** A worker process that traces as those of the examples do: the coordinator, or the three services with the relay of the audit's outbox. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { startTracing } from '../../activities/tracing';
import { connectTemporal } from '../../src/client';
import type { TemporalSettings } from '../../src/client';
import { startWorkflow } from '../../src/outbox';
import { runCoordinator, runParticipant } from '../../src/worker';
import type { RunningWorker } from '../../src/worker';
import { accounts, audit } from './services';

async function main(): Promise<void> {
  const { ROLE = '', WORKFLOW_BUNDLE: codePath = '', DATABASE_URLS = '' } = process.env;
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const tracing = await startTracing(ROLE);
  const { temporal } = tracing;
  const workers =
    ROLE === 'coordinator'
      ? [await runCoordinator({ workflows: { workflowBundle: { codePath } }, temporal })]
      : await runServices(DATABASE_URLS.split(' '), temporal);
  process.send?.('ready');
  await Promise.all(workers.map(({ stopped }) => stopped));
  await tracing.stop();
  process.disconnect();
}

async function runServices(
  [north, south, third]: readonly string[],
  temporal: TemporalSettings,
): Promise<RunningWorker[]> {
  const client = await connectTemporal(temporal);
  const publisher = startWorkflow(client, { workflow: 'reportTransfer', taskQueue: 'transactions' });
  return Promise.all([
    runParticipant(accounts, { name: 'north-bank', database: { connectionString: north }, temporal }),
    runParticipant(accounts, { name: 'south-bank', database: { connectionString: south }, temporal }),
    runParticipant(audit, { database: { connectionString: third }, temporal, outbox: { publisher, seats: 1 } }),
  ]);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
