/** The worker beside a service: it polls the task queue of the participant's name and works on the participant's database. */
import { NativeConnection, Worker } from '@temporalio/worker';
import { Pool } from 'pg';
import type { PoolConfig } from 'pg';
import { temporalSettings } from '../client';
import type { TemporalSettings } from '../client';
import { checkSchema, participantActivities, participantHealth } from '../participant';
import type { Participant } from '../participant';
import { parseParticipantName } from '../protocol';
import type { LocalTimeouts } from '../protocol';
import type { HealthOptions } from './health-server';
import { runWorker } from './running-worker';
import type { RunningWorker } from './running-worker';

export interface RunParticipantOptions {
  /** Connections to the participant's own database. */
  readonly database: PoolConfig;
  /** Name and task queue, when the declaration is deployed under several. @default the declaration's name */
  readonly name?: string;
  readonly temporal?: TemporalSettings;
  readonly timeouts?: Partial<LocalTimeouts>;
  readonly health?: HealthOptions;
  /** How many branches run at the same time; one connection each. @default 20 */
  readonly concurrency?: number;
}

/**
 * Runs a participant's worker until the process is told to stop.
 *
 * @throws {SchemaVersionError} when the schema `txn` is not migrated
 * @throws {InvalidTimeouts} when the timeouts are out of order
 * @throws {InsecureTemporalConnection}
 * @example
 * const worker = await runParticipant(accounts, { database: { connectionString: process.env.DATABASE_URL } });
 * await worker.stopped;
 */
export async function runParticipant(participant: Participant, options: RunParticipantOptions): Promise<RunningWorker> {
  const name = parseParticipantName(options.name ?? participant.name);
  const concurrency = options.concurrency ?? 20;
  const { connectionOptions, namespace } = temporalSettings(options.temporal);
  // Two more than there are branches: the health check must not wait behind them.
  const pool = new Pool({ max: concurrency + 2, connectionTimeoutMillis: 5_000, ...options.database });
  let connection: NativeConnection | undefined;
  try {
    const activities = participantActivities(participant, {
      pool,
      ...(options.timeouts ? { timeouts: options.timeouts } : {}),
    });
    await checkSchema(pool);
    connection = await NativeConnection.connect(connectionOptions);
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: name,
      identity: `${name}@${process.pid}`,
      activities,
      maxConcurrentActivityTaskExecutions: concurrency,
      shutdownGraceTime: '10 seconds',
      // A withdrawn request comes with the answer to a heartbeat: the default lets it wait for most of the heartbeat timeout.
      maxHeartbeatThrottleInterval: '1 second',
    });
    return await runWorker({
      worker,
      connection,
      ...(options.health ? { health: options.health } : {}),
      check: async () => {
        const database = await participantHealth(pool);
        return { participant: name, database, healthy: database.status === 'healthy' };
      },
      close: () => pool.end(),
    });
  } catch (error) {
    await connection?.close();
    await pool.end();
    throw error;
  }
}
