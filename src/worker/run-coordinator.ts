/** The worker that runs workflows: the coordinators of transactions. It has no database and no activities. */
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { checkSearchAttributes, clientOn, reachTemporal, temporalSettings, TransactionClient } from '../client';
import type { TemporalSettings, TransactionClientOptions } from '../client';
import type { CircuitOptions } from '../resilience';
import { takeBackCircuit, tellCircuit } from './circuit-metrics';
import { workerDataConverter } from './data-converter';
import { Endings } from './endings';
import { checkHealthAddress } from './health-server';
import type { HealthOptions } from './health-server';
import { serveMetrics } from './metrics-endpoint';
import { ParticipantCircuits } from './participant-circuits';
import type { RunningParticipant } from './run-participant';
import { isStopping, runWorker } from './running-worker';
import type { RunningWorker } from './running-worker';
import { keepTellingNeedsAttention } from './tell-needs-attention';
import { checkBundle, workflowBundleOptions } from './workflow-bundle';

export interface RunCoordinatorOptions {
  /** The workflows: the path of their module, or a bundle made before, with {@link workflowBundleOptions}. */
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
  /**
   * Participants that run in this process. Those that workflows name as `colocated` are asked here first, by local activities: a branch
   * then needs no task of its own. All workers of the task queue should have the same ones: where one is missing, it is asked as ever.
   * @default none
   */
  readonly colocated?: readonly RunningParticipant[];
}

/** A worker for workflows that runs. */
export interface RunningCoordinator extends RunningWorker {
  /**
   * A client on the connection of this worker. What it starts has its first task come with the answer to the start, where this worker has
   * room for it (eager start): a transaction begins sooner by one poll. It is of use as long as the worker runs.
   *
   * @throws {InvalidPatience} {InvalidGrouping}
   * @example const transactions = worker.transactions();
   */
  transactions(options?: Omit<TransactionClientOptions, 'client' | 'taskQueue' | 'eagerStart'>): TransactionClient;
}

const activitiesOf = (
  { activities }: ParticipantCircuits,
  colocated: readonly RunningParticipant[],
): Readonly<Record<string, (...args: never[]) => Promise<unknown>>> =>
  Object.fromEntries(
    [activities, ...colocated.map(({ colocatedActivities }) => colocatedActivities)].flatMap((some) =>
      Object.entries<(...args: never[]) => Promise<unknown>>(some),
    ),
  );

/**
 * Runs a worker for workflows until the process is told to stop.
 *
 * @throws {SearchAttributesMissing} when the namespace lacks them: the first transaction that sets one would stall
 * @throws {InvalidTemporalSettings} {InsecureTemporalConnection} {TemporalUnreachable}
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter}
 * @throws {InvalidWorkflowBundle} when the bundle was made without `workflowBundleOptions`
 * @throws {InvalidCircuit}
 * @throws {InvalidMetricsAddress} {MetricsNotServed} {InvalidHealthPort} {HealthNotServed}
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
  colocated = [],
}: RunCoordinatorOptions): Promise<RunningCoordinator> {
  await checkHealthAddress(health);
  serveMetrics();
  const settings = temporalSettings(temporal);
  const { connectionOptions, namespace } = settings;
  let worker: Worker | undefined;
  const dataConverter = workerDataConverter(settings.dataConverter, () => isStopping(worker));
  checkBundle(workflows, dataConverter);
  const { preloadModules, workflowInterceptorModules } = workflowBundleOptions();
  const circuits = new ParticipantCircuits(circuitOptions, (participant, { state }) => {
    // A pause may end after it.
    if (isStopping(worker)) return;
    Runtime.instance().logger.info('The circuit of a participant has changed', { participant, state });
    tellCircuit(participant, 'coordinator', state);
  });
  const begun = new Endings();
  begun.add(() => {
    for (const { participant } of circuits.reports()) takeBackCircuit(participant, 'coordinator');
  });
  const connection = await reachTemporal(connectionOptions, () => NativeConnection.connect(connectionOptions));
  try {
    await checkSearchAttributes(connection, namespace);
    const client = clientOn(connection, settings);
    begun.add(keepTellingNeedsAttention(client));
    worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      identity: `coordinator@${process.pid}`,
      ...workflows,
      ...('workflowsPath' in workflows
        ? { bundlerOptions: { preloadModules }, interceptors: { workflowModules: workflowInterceptorModules } }
        : {}),
      activities: activitiesOf(circuits, colocated),
      sinks: circuits.sinks,
      dataConverter,
      shutdownGraceTime: '10 seconds',
      // When a worker is killed, its workflows wait this long for it before another one takes them; with the default, 10 s.
      stickyQueueScheduleToStartTimeout: '1 second',
    });
    const running = await runWorker({
      worker,
      connection,
      ...(health ? { health } : {}),
      check: async () => ({ taskQueue, healthy: true, circuits: circuits.reports() }),
      close: begun.end,
    });
    return {
      ...running,
      transactions: (options = {}) => new TransactionClient({ ...options, client, taskQueue, eagerStart: true }),
    };
  } catch (error) {
    await begun.end();
    await connection.close();
    throw error;
  }
}
