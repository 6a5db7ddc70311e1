/** A process that has everything, as a contestant that is a library has: both banks, the coordinator that asks them there, the callers. */
import { runCoordinator, runParticipant } from '../../src/worker';
import type { RunningParticipant } from '../../src/worker';
import { BANKS } from '../transfer';
import { bank } from './bank';
import { by, PATIENCE_MS } from './by-workflow';
import { serveCallers } from './callers';

const DATABASES = { 'north-bank': 'NORTH_DATABASE_URL', 'south-bank': 'SOUTH_DATABASE_URL' } as const;
/** The port of the process is the callers'. */
const health = { port: 0 };

async function main(): Promise<void> {
  const colocated: RunningParticipant[] = [];
  for (const name of BANKS) {
    const connectionString = process.env[DATABASES[name]];
    colocated.push(await runParticipant(bank, { name, database: { connectionString }, health }));
  }
  const coordinator = await runCoordinator({
    workflows: { workflowsPath: require.resolve('./workflows') },
    taskQueue: 'house',
    colocated,
    health,
  });
  const grouped = coordinator.transactions({ patienceMs: PATIENCE_MS, grouping: true });
  serveCallers(
    {
      'saga-house': by(grouped, 'transferBySagaInHouse'),
      'saga-house-grouped': by(grouped, 'transferBySagaInHouseOneByOne'),
    },
    async () => undefined,
  );
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
