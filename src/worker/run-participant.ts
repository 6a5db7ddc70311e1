/** The worker beside a service: it polls the task queue of the participant's name and works on the participant's database. */
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { hostname } from 'node:os';
import type { Pool, PoolConfig } from 'pg';
import { checkSearchAttributes, namespaceIdOf, reachTemporal, temporalSettings } from '../client';
import type { TemporalSettings } from '../client';
import {
  checkDatabase,
  checkDatabaseConnection,
  colocatedActivities,
  keepCircuits,
  participantCircuit,
  participantActivities,
  participantHealth,
  PARTICIPANT_RIGHTS,
  PreparedTransactionsDisabledError,
  readSlots,
} from '../participant';
import type { Participant, ParticipantActivities } from '../participant';
import { wakeRelays } from '../outbox';
import { checkLocalTimeouts, parseParticipantName, show } from '../protocol';
import type { LocalTimeouts } from '../protocol';
import type { Circuit, CircuitOptions } from '../resilience';
import { keepTellingCircuits } from './circuit-metrics';
import { workerDataConverter } from './data-converter';
import { Endings } from './endings';
import { checkHealthAddress } from './health-server';
import type { HealthOptions } from './health-server';
import { keepStarted } from './keep-started';
import { serveMetrics } from './metrics-endpoint';
import { DEFAULT_CONCURRENCY, participantPool } from './participant-pool';
import { recoveryBundle, recoverySettings, startRecovery } from './recovery';
import type { RecoverySettings } from './recovery';
import { runOutboxRelay } from './run-relay';
import type { OutboxRelaySettings } from './run-relay';
import { isStopping, runWorker } from './running-worker';
import type { RunningWorker } from './running-worker';
import { keepTellingParticipant } from './tell-database';

export interface RunParticipantOptions {
  /** Connections to the participant's own database. `query_timeout` is how long it may be silent while it is asked. @default 40 s, or 5 s longer than an attempt */
  readonly database: PoolConfig;
  /** Name and task queue, when the declaration is deployed under several. @default the declaration's name */
  readonly name?: string;
  readonly temporal?: TemporalSettings;
  readonly timeouts?: Partial<LocalTimeouts>;
  readonly health?: HealthOptions;
  /** How many branches run at the same time; one connection each. @default 20 */
  readonly concurrency?: number;
  /**
   * Whether the participant takes part in two- and three-phase commit. `true`: it does not start where PostgreSQL prepares no
   * transactions. By default it starts with a warning there, `false`: without, and votes to abort.
   */
  readonly twoPhaseCommit?: boolean;
  /** How patient the participant's recovery is. It finishes what is prepared or reserved here and nobody finishes. */
  readonly recovery?: RecoverySettings;
  /** Circuits of what its operations call, so that operators see and rule them. Its own, `participant`, is there anyway. */
  readonly circuits?: readonly Circuit[];
  /** When the participant itself counts as away: its database does not answer. @default after 5 failures in a row, tried again after 1 to 10 seconds */
  readonly circuit?: Omit<CircuitOptions, 'isFailure'>;
  /** Relays the participant's outbox in this process too. @default another process does, see {@link runOutboxRelay} */
  readonly outbox?: OutboxRelaySettings;
}

/** A participant that runs in this process. */
export interface RunningParticipant extends RunningWorker {
  /** Its name, which is its task queue. */
  readonly name: string;
  /** What a worker of coordinators in this process registers, to ask it without a task of its own: see `colocated` of `runCoordinator`. */
  readonly colocatedActivities: ParticipantActivities;
}

/**
 * Runs a participant's worker until the process is told to stop.
 *
 * @throws {SchemaVersionError} when the schema `txn` is not migrated
 * @throws {StandbyError} {MissingTableError} {MissingRightsError} when the database cannot be worked with
 * @throws {RangeError} when `concurrency`, `recovery` or the `query_timeout` of `database` is out of range
 * @throws {InvalidHealthPort} {HealthNotServed} when its health check could not be served, such as on a port that is taken
 * @throws {InvalidTimeouts} when the timeouts are out of order
 * @throws {PreparedTransactionsDisabledError} when `twoPhaseCommit` is true and `max_prepared_transactions` is 0
 * @throws {SearchAttributesMissing} when the namespace lacks them
 * @throws {InvalidTemporalSettings} {InsecureTemporalConnection} {TemporalUnreachable}
 * @throws {InvalidDatabaseSettingsError} {InsecureDatabaseConnectionError}
 * @throws {InvalidEncryptionKeys} {InvalidDataConverter}
 * @throws {InvalidCircuit}
 * @throws {InvalidMetricsAddress} {MetricsNotServed}
 * @example
 * const worker = await runParticipant(accounts, { database: { connectionString: process.env.DATABASE_URL } });
 * await worker.stopped;
 */
export async function runParticipant(
  participant: Participant,
  options: RunParticipantOptions,
): Promise<RunningParticipant> {
  const name = parseParticipantName(options.name ?? participant.name);
  const concurrency = checkedConcurrency(options.concurrency);
  await checkHealthAddress(options.health);
  serveMetrics();
  const settings = temporalSettings(options.temporal);
  const { connectionOptions, namespace } = settings;
  checkDatabaseConnection(options.database, name);
  const timeouts = checkLocalTimeouts(options.timeouts);
  const pool = participantPool(options.database, concurrency, timeouts);
  const circuits = [participantCircuit(options.circuit), ...(options.circuits ?? [])];
  const begun = new Endings();
  begun.add(() => pool.end());
  begun.add(keepTellingCircuits(name, circuits));
  let connection: NativeConnection | undefined;
  let worker: Worker | undefined;
  const stopping = (): boolean => isStopping(worker);
  let namespaceId: string | undefined;
  let own: RunningWorker;
  let colocated: ParticipantActivities;
  try {
    const activities = participantActivities(participant, {
      pool,
      stopping,
      wakeRelays: () => wakeRelays(pool),
      namespaceId: () => namespaceId,
      circuit: circuits[0] as Circuit, // Cast: it is never empty.
      timeouts,
    });
    colocated = colocatedActivities(name, activities, concurrency);
    await checkDatabase(pool, name, PARTICIPANT_RIGHTS);
    const stopKeeping = await keepCircuits({
      pool,
      worker: `${hostname()}:${process.pid}`,
      circuits,
      onError: (error) => {
        Runtime.instance().logger.warn('Circuits could not be written down', {
          participant: name,
          error: String(error),
        });
      },
    });
    begun.add(stopKeeping);
    await checkPrepares(pool, name, options.twoPhaseCommit);
    const dataConverter = workerDataConverter(settings.dataConverter, stopping);
    const recovery = { participant: name, ...recoverySettings(options.recovery) };
    connection = await reachTemporal(connectionOptions, () => NativeConnection.connect(connectionOptions));
    await checkSearchAttributes(connection, namespace);
    namespaceId = await namespaceIdOf(connection, namespace);
    const client = new Client({ connection, namespace, dataConverter });
    begun.add(await keepStarted(`recovery:${name}`, () => startRecovery(client, recovery)));
    begun.add(keepTellingParticipant(pool, name, namespace));
    worker = await Worker.create({
      connection,
      namespace,
      taskQueue: name,
      identity: `${name}@${process.pid}`,
      activities,
      dataConverter,
      ...(await recoveryBundle(dataConverter, options.temporal?.plugins)),
      maxConcurrentActivityTaskExecutions: concurrency,
      shutdownGraceTime: '10 seconds',
      // A withdrawn request comes with the answer to a heartbeat: the default lets it wait for most of the heartbeat timeout.
      maxHeartbeatThrottleInterval: '1 second',
      // When a worker is killed, the recovery that it ran waits this long for it before another one takes it.
      stickyQueueScheduleToStartTimeout: '1 second',
    });
    own = await runWorker({
      worker,
      connection,
      ...(options.health ? { health: options.health } : {}),
      check: async () => {
        const database = await participantHealth(pool);
        const healthy = database.status === 'healthy';
        return { participant: name, database, circuits: circuits.map((circuit) => circuit.report()), healthy };
      },
      close: begun.end,
    });
  } catch (error) {
    await begun.end();
    await connection?.close();
    throw error;
  }
  const running = options.outbox ? await withRelay(own, name, options, options.outbox) : own;
  return { ...running, name, colocatedActivities: colocated };
}

/** @throws {RangeError} */
function checkedConcurrency(concurrency = DEFAULT_CONCURRENCY): number {
  if (Number.isSafeInteger(concurrency) && concurrency >= 1) return concurrency;
  throw new RangeError(`Nothing was started: concurrency is ${show(concurrency)}, not a whole number from 1 up.`);
}

/** Both run, and both end when one of them does. The silence that the participant bears is no limit of the relay, which has one of its own. */
async function withRelay(
  own: RunningWorker,
  name: string,
  { database: { query_timeout: _, ...database }, temporal }: RunParticipantOptions,
  outbox: OutboxRelaySettings,
): Promise<RunningWorker> {
  try {
    const health = { port: 0 };
    const relay = await runOutboxRelay(name, { ...outbox, database, health, ...(temporal ? { temporal } : {}) });
    const stop = async (): Promise<void> => void (await Promise.all([own.stop(), relay.stop()]));
    const stopped = Promise.race([own.stopped, relay.stopped]).finally(stop);
    return { healthUrl: own.healthUrl, stopped, stop };
  } catch (error) {
    await own.stop();
    throw error;
  }
}

/** Where PostgreSQL prepares no transactions, the operator hears it now, and not from the first transaction. */
async function checkPrepares(pool: Pool, name: string, twoPhaseCommit: boolean | undefined): Promise<void> {
  if (twoPhaseCommit === false) return;
  const { limit } = await readSlots(pool);
  if (limit > 0) return;
  const disabled = new PreparedTransactionsDisabledError(name);
  if (twoPhaseCommit) throw disabled;
  Runtime.instance().logger.warn(
    `Sagas and try-confirm-cancel only: ${disabled.message.replace('Nothing was started: ', '')}`,
  );
}
