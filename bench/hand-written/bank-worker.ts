/** The process of one bank's hand-written activities: as many at a time, on as many connections, as a participant's. */
import { NativeConnection, Worker } from '@temporalio/worker';
import { temporalSettings } from '../../src/client';
import { runWorker } from '../../src/worker/running-worker';
import { handWrittenQueue } from '../transfer';
import type { Bank } from '../transfer';
import { bankActivities } from './activities';
import { openBankPool } from './pool';

async function main(): Promise<void> {
  const { connectionOptions, namespace } = temporalSettings();
  const connection = await NativeConnection.connect(connectionOptions);
  const pool = openBankPool(process.env['DATABASE_URL']);
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: handWrittenQueue(process.env['SERVICE_NAME'] as Bank), // Cast: the stage sets it.
    activities: bankActivities(pool),
    maxConcurrentActivityTaskExecutions: 20,
  });
  const check = async (): Promise<{ healthy: boolean }> => {
    await pool.query('select');
    return { healthy: true };
  };
  await (
    await runWorker({ worker, connection, check, close: () => pool.end() })
  ).stopped;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
