/** The worker that relays an outbox: beside the service, or as a process of its own. */
import { Client, WorkflowIdReusePolicy } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { Pool } from 'pg';
import type { PoolConfig } from 'pg';
import { checkSearchAttributes, reachTemporal, temporalSettings } from '../client';
import type { TemporalSettings } from '../client';
import { relayActivities, relaySettings } from '../outbox';
import type { RelayOptions } from '../outbox';
import { checkDatabase, checkDatabaseConnection, RELAY_RIGHTS } from '../participant';
import { parseParticipantName } from '../protocol';
import { workerDataConverter } from './data-converter';
import { Endings } from './endings';
import { checkHealthAddress } from './health-server';
import type { HealthOptions } from './health-server';
import { keepStarted } from './keep-started';
import { serveMetrics } from './metrics-endpoint';
import { recoveryBundle } from './recovery';
import { isStopping, runWorker } from './running-worker';
import type { RunningWorker } from './running-worker';
import { keepTellingOutbox } from './tell-database';

export interface OutboxRelaySettings extends RelayOptions {
  /** Relays side by side in all processes together, each with its share of the keys: 1 to 16. @default 2 */
  readonly seats?: number;
  /** How long published events are kept, in hours. @default 168, a week */
  readonly keepHours?: number;
}

export interface RunOutboxRelayOptions extends OutboxRelaySettings {
  /** Connections to the database of the outbox. */
  readonly database: PoolConfig;
  readonly temporal?: TemporalSettings;
  readonly health?: HealthOptions;
}

/**
 * Runs relays of a service's outbox until the process is told to stop. Start as many processes as you like: when one dies, another
 * has its seats within seconds.
 *
 * @param service name of the service: the workflow is `outbox:<service>`
 * @throws {RangeError} when an option is out of range
 * @throws {InvalidHealthPort} {HealthNotServed} when its health check could not be served, such as on a port that is taken
 * @throws {SchemaVersionError} when the schema `txn` is not migrated
 * @throws {StandbyError} {MissingTableError} {MissingRightsError} when the database cannot be worked with
 * @throws {SearchAttributesMissing} when the namespace lacks them
 * @throws {InvalidTemporalSettings} {InsecureTemporalConnection} {TemporalUnreachable}
 * @throws {InvalidDatabaseSettingsError} {InsecureDatabaseConnectionError}
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter}
 * @throws {InvalidMetricsAddress} {MetricsNotServed}
 * @example
 * const relay = await runOutboxRelay('orders', { database: { connectionString }, publisher: webhook({ url, secret }) });
 * await relay.stopped;
 */
export async function runOutboxRelay(service: string, options: RunOutboxRelayOptions): Promise<RunningWorker> {
  const { database, temporal, health, seats = 2, keepHours = 168, ...relaying } = options;
  const name = parseParticipantName(service);
  relaySettings(relaying);
  if (!Number.isSafeInteger(seats) || seats < 1 || seats > 16)
    throw new RangeError(`Nothing was started: seats is ${String(seats)}, not a whole number from 1 to 16.`);
  await checkHealthAddress(health);
  serveMetrics();
  const settings = temporalSettings(temporal);
  const { connectionOptions, namespace } = settings;
  checkDatabaseConnection(database, name);
  // Two for each seat and two beside: all of them may be here.
  const pool = new Pool({
    max: 2 * seats + 2,
    connectionTimeoutMillis: 5_000,
    // A relay that waits for a lock must find out that it was replaced.
    lock_timeout: 5_000,
    statement_timeout: 30_000,
    // Longer than the server lets a statement last: what comes later comes never, and a relay that waited for it would keep its seat.
    query_timeout: 40_000,
    keepAlive: true,
    ...database,
  });
  pool.on('error', ignoreLostIdleConnection);
  const begun = new Endings();
  begun.add(() => pool.end());
  let connection: NativeConnection | undefined;
  let worker: Worker | undefined;
  const stopping = (): boolean => isStopping(worker);
  try {
    await checkDatabase(pool, name, RELAY_RIGHTS);
    const dataConverter = workerDataConverter(settings.dataConverter, stopping);
    connection = await reachTemporal(connectionOptions, () => NativeConnection.connect(connectionOptions));
    await checkSearchAttributes(connection, namespace);
    const client = new Client({ connection, namespace, dataConverter });
    begun.add(await keepStarted(`outbox:${name}`, () => startRelaying(client, { service: name, seats })));
    begun.add(keepTellingOutbox(pool, name));
    worker = await Worker.create({
      connection,
      namespace,
      taskQueue: `outbox:${name}`,
      identity: `outbox:${name}@${process.pid}`,
      activities: relayActivities({
        ...relaying,
        pool,
        service: name,
        keepHours,
        stopping,
      }),
      dataConverter,
      ...(await recoveryBundle(dataConverter, temporal?.plugins)),
      maxConcurrentActivityTaskExecutions: seats,
      shutdownGraceTime: '10 seconds',
      maxHeartbeatThrottleInterval: '1 second',
      stickyQueueScheduleToStartTimeout: '1 second',
    });
    return await runWorker({
      worker,
      connection,
      ...(health ? { health } : {}),
      check: async () => ({ service: name, healthy: await answers(pool) }),
      close: begun.end,
    });
  } catch (error) {
    await begun.end();
    await connection?.close();
    throw error;
  }
}

async function startRelaying(
  client: Client,
  options: { readonly service: string; readonly seats: number },
): Promise<void> {
  const { service } = options;
  await client.workflow.signalWithStart('relayOutbox', {
    signal: 'started',
    signalArgs: [options],
    workflowId: `outbox:${service}`,
    taskQueue: `outbox:${service}`,
    args: [options],
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    staticSummary: `Publishes what ${service} has put into its outbox`,
    // No run or execution timeout: it runs as long as there is a service.
  });
}

async function answers(pool: Pool): Promise<boolean> {
  return pool.query('select 1').then(
    () => true,
    () => false,
  );
}

function ignoreLostIdleConnection(): void {
  // The pool has dropped it already; whoever needs a connection next gets a new one, or the error.
}
