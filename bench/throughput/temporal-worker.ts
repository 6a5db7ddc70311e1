/** The callers of everything that Temporal runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '@temporalio/client';
import { connectTemporal, TransactionAborted, TransactionClient } from '../../src/client';
import { QUEUES } from '../transfer';
import type { Transfer } from '../transfer';
import { serveCallers } from './callers';
import type { MakeTransfer } from './callers';
import type { HeldTransfer } from './workflows';

/** A server that is busy with a thousand callers may leave one of them without an answer. They wait; others do that too. */
const PATIENCE_MS = 120_000;
const AGAIN_MS = 200;

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

/** By a workflow of this package. */
const by =
  (transactions: TransactionClient, workflow: string): MakeTransfer =>
  async ({ id, transfer, holdMs }) => {
    try {
      await insist(() => transactions.execute<HeldTransfer, number>(workflow, { id, input: { ...transfer, holdMs } }));
      return true;
    } catch (error) {
      if (error instanceof TransactionAborted) return false;
      throw error;
    }
  };

/** Asks until there is an answer: with the same id nothing is done twice. */
async function insist(ask: () => Promise<unknown>): Promise<void> {
  for (; ; await sleep(AGAIN_MS))
    try {
      await ask();
      return;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
