/** A process that uses transactions: in groups, alone, and held open in the middle. */
import { connectTemporal, TransactionClient } from '../../src/client';
import { serveCallers } from '../throughput/callers';
import type { MakeTransfer } from '../throughput/callers';
import type { HeldTransfer } from '../throughput/workflows';

const WORKFLOW = 'transferBySaga';
/** A server that ten thousand are opened on may leave one of them without an answer. They wait; others do that too. */
const PATIENCE_MS = 600_000;

async function main(): Promise<void> {
  const client = await connectTemporal();
  const alone = new TransactionClient({ client, patienceMs: PATIENCE_MS });
  const grouped = new TransactionClient({ client, patienceMs: PATIENCE_MS, grouping: true });
  serveCallers({ grouped: by(grouped), alone: by(alone), held: by(alone) }, async () =>
    client.connection.ensureConnected(),
  );
}

const by =
  (transactions: TransactionClient): MakeTransfer =>
  async ({ id, transfer, holdMs }) => {
    await transactions.execute<HeldTransfer, number>(WORKFLOW, { id, input: { ...transfer, holdMs } });
    return true;
  };

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
