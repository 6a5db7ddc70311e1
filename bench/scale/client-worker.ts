/** A process that uses transactions: in groups, alone, and held open in the middle. */
import { connectTemporal, TransactionClient } from '../../src/client';
import { Limiter } from '../../src/participant/limiter';
import { serveCallers } from '../throughput/callers';
import type { MakeTransfer } from '../throughput/callers';
import type { HeldTransfer } from '../throughput/workflows';

const WORKFLOW = 'transferBySaga';
/** A server that ten thousand are opened on may leave one of them without an answer. They wait; others do that too. */
const PATIENCE_MS = 600_000;
/** How many are started at a time where many are to be open. */
const STARTING = 32;

async function main(): Promise<void> {
  const client = await connectTemporal();
  const alone = new TransactionClient({ client, patienceMs: PATIENCE_MS });
  const grouped = new TransactionClient({ client, patienceMs: PATIENCE_MS, grouping: true });
  const starting = new Limiter(STARTING);
  serveCallers(
    {
      grouped: by(grouped),
      alone: by(alone),
      /** All are asked for at once: they are held until the same time, however long it takes to open them. */
      held: async ({ id, transfer, holdMs }) => {
        const until = Date.now() + holdMs;
        const handle = await starting.run(() =>
          alone.start<HeldTransfer, number>(WORKFLOW, {
            id,
            input: { ...transfer, holdMs: Math.max(0, until - Date.now()) },
          }),
        );
        await handle.result();
        return true;
      },
    },
    async () => client.connection.ensureConnected(),
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
