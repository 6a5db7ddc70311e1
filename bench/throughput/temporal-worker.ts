/** The callers of everything that Temporal runs in several processes. */
import { connectTemporal, TransactionClient } from '../../src/client';
import { QUEUES } from '../transfer';
import type { Transfer } from '../transfer';
import { by, insist, PATIENCE_MS } from './by-workflow';
import { serveCallers } from './callers';

async function main(): Promise<void> {
  const client = await connectTemporal();
  const alone = new TransactionClient({ client, patienceMs: PATIENCE_MS });
  const grouped = new TransactionClient({ client, patienceMs: PATIENCE_MS, grouping: true });
  serveCallers(
    {
      'hand-written': async ({ id, transfer, holdMs }) => {
        await insist(() =>
          client.workflow.execute<(input: Transfer, holdMs: number) => Promise<number>>('transferByHand', {
            workflowId: id,
            workflowIdConflictPolicy: 'USE_EXISTING',
            taskQueue: QUEUES['hand-written'],
            args: [transfer, holdMs],
          }),
        );
        return true;
      },
      saga: by(alone, 'transferBySaga'),
      '2pc': by(alone, 'transferByTwoPhaseCommit'),
      'saga-grouped': by(grouped, 'transferBySagaOneByOne'),
      'saga-sets': by(grouped, 'transferBySaga'),
      '2pc-grouped': by(grouped, 'transferByTwoPhaseCommit'),
    },
    async () => client.connection.ensureConnected(),
  );
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
