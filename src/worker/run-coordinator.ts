/** The worker that runs workflows: the coordinators of transactions. It has no database and no activities. */
import { NativeConnection, Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { checkSearchAttributes, temporalSettings } from '../client';
import type { TemporalSettings } from '../client';
import type { HealthOptions } from './health-server';
import { runWorker } from './running-worker';
import type { RunningWorker } from './running-worker';

export interface RunCoordinatorOptions {
  /** The workflows: the path of their module, or a bundle made before. */
  readonly workflows: Pick<WorkerOptions, 'workflowsPath'> | Pick<WorkerOptions, 'workflowBundle'>;
  /** @default 'transactions' */
  readonly taskQueue?: string;
  readonly temporal?: TemporalSettings;
  readonly health?: HealthOptions;
}

/**
 * Runs a worker for workflows until the process is told to stop.
 *
 * @throws {SearchAttributesMissing} when the namespace lacks them: the first transaction that sets one would stall
 * @throws {InsecureTemporalConnection}
 * @example
 * const worker = await runCoordinator({ workflows: { workflowsPath: require.resolve('./workflows') } });
 * await worker.stopped;
 */
export async function runCoordinator({
  workflows,
  taskQueue = 'transactions',
  temporal,
  health,
}: RunCoordinatorOptions): Promise<RunningWorker> {
  const { connectionOptions, namespace } = temporalSettings(temporal);
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    await checkSearchAttributes(connection, namespace);
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      identity: `coordinator@${process.pid}`,
      ...workflows,
      shutdownGraceTime: '10 seconds',
      // When a worker is killed, its workflows wait this long for it before another one takes them; with the default, 10 s.
      stickyQueueScheduleToStartTimeout: '1 second',
    });
    return await runWorker({
      worker,
      connection,
      ...(health ? { health } : {}),
      check: async () => ({ taskQueue, healthy: true }),
      close: async () => undefined,
    });
  } catch (error) {
    await connection.close();
    throw error;
  }
}
