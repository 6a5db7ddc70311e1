/** The worker that runs workflows: the coordinators of transactions. It has no database and no activities. */
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { checkSearchAttributes, reachTemporal, temporalSettings } from '../client';
import type { TemporalSettings } from '../client';
import type { CircuitOptions } from '../resilience';
import { tellCircuit } from './circuit-metrics';
import { checkBundle, workerDataConverter } from './data-converter';
import type { HealthOptions } from './health-server';
import { serveMetrics } from './metrics-endpoint';
import { ParticipantCircuits } from './participant-circuits';
import { isStopping, runWorker } from './running-worker';
import type { RunningWorker } from './running-worker';

export interface RunCoordinatorOptions {
  /** The workflows: the path of their module, or a bundle made before. */
  readonly workflows: Pick<WorkerOptions, 'workflowsPath'> | Pick<WorkerOptions, 'workflowBundle'>;
  /** @default 'transactions' */
  readonly taskQueue?: string;
  readonly temporal?: TemporalSettings;
  readonly health?: HealthOptions;
  /**
   * When a participant counts as away, for transactions that want to fail fast. Each of them has a circuit, which hears of every
   * answer, and of every request that nobody answered in time. The health check lists them.
   * @default after 5 silences in a row
   */
  readonly circuits?: CircuitOptions;
}

/**
 * Runs a worker for workflows until the process is told to stop.
 *
 * @throws {SearchAttributesMissing} when the namespace lacks them: the first transaction that sets one would stall
 * @throws {InvalidTemporalSettings} {InsecureTemporalConnection} {TemporalUnreachable}
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter} {FailuresNotEncoded}
 * @throws {InvalidCircuit}
 * @throws {InvalidMetricsAddress}
 * @example
 * const worker = await runCoordinator({ workflows: { workflowsPath: require.resolve('./workflows') } });
 * await worker.stopped;
 */
export async function runCoordinator({
  workflows,
  taskQueue = 'transactions',
  temporal,
  health,
  circuits: circuitOptions,
}: RunCoordinatorOptions): Promise<RunningWorker> {
  serveMetrics();
  const settings = temporalSettings(temporal);
  const { connectionOptions, namespace } = settings;
  let worker: Worker | undefined;
  const dataConverter = workerDataConverter(settings.dataConverter, () => isStopping(worker));
  checkBundle(workflows, dataConverter);
  const circuits = new ParticipantCircuits(circuitOptions, (participant, { state }) => {
    Runtime.instance().logger.info('The circuit of a participant has changed', { participant, state });
    tellCircuit(participant, 'coordinator', state);
  });
  const connection = await reachTemporal(connectionOptions, () => NativeConnection.connect(connectionOptions));
  try {
    await checkSearchAttributes(connection, namespace);
    worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      identity: `coordinator@${process.pid}`,
      ...workflows,
      activities: circuits.activities,
      sinks: circuits.sinks,
      dataConverter,
      shutdownGraceTime: '10 seconds',
      // When a worker is killed, its workflows wait this long for it before another one takes them; with the default, 10 s.
      stickyQueueScheduleToStartTimeout: '1 second',
    });
    return await runWorker({
      worker,
      connection,
      ...(health ? { health } : {}),
      check: async () => ({ taskQueue, healthy: true, circuits: circuits.reports() }),
      close: async () => undefined,
    });
  } catch (error) {
    await connection.close();
    throw error;
  }
}
