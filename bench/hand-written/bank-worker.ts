/** The process of one bank's hand-written activities: as many at a time, on as many connections, as a participant's. */
import { NativeConnection, Worker } from '@temporalio/worker';
import { Pool } from 'pg';
import { temporalSettings } from '../../src/client';
import { runWorker } from '../../src/worker/running-worker';
import { handWrittenQueue } from '../transfer';
import type { Bank } from '../transfer';
import { bankActivities } from './activities';

async function main(): Promise<void> {
  const { connectionOptions, namespace } = temporalSettings();
  const connection = await NativeConnection.connect(connectionOptions);
  const pool = new Pool({
    connectionString: process.env['DATABASE_URL'],
    max: 22,
    // A careful team limits its sessions too; set here, it costs nothing later.
    options: '-c lock_timeout=2s -c statement_timeout=5s -c idle_in_transaction_session_timeout=8s',
  });
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
