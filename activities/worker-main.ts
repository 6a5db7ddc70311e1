/** What the main module of every service's worker does: run until told to stop, and say what went wrong if it cannot. */
import { Pool } from 'pg';
import { connectTemporal } from 'temporal-txn/client';
import type { TemporalSettings } from 'temporal-txn/client';
import { runProjections, startWorkflow } from 'temporal-txn/outbox';
import type { AnyProjection } from 'temporal-txn/outbox';
import type { Circuit, Participant } from 'temporal-txn/participant';
import { runParticipant } from 'temporal-txn/worker';
import type { RunParticipantOptions } from 'temporal-txn/worker';
import { startTracing } from './tracing';

interface ServiceOptions {
  /** Whether it tells others what happens: then its worker relays its outbox. */
  readonly tells?: boolean;
  /** What it keeps for queries. */
  readonly projections?: readonly AnyProjection[];
  /** Before what it calls. */
  readonly circuits?: readonly Circuit[];
}

/** Runs the worker of a service on the database that DATABASE_URL names; SERVICE_NAME tells apart those that share a declaration. */
export function runService(participant: Participant, options: ServiceOptions = {}): void {
  const name = process.env['SERVICE_NAME'] || participant.name;
  const connectionString = process.env['DATABASE_URL'];
  if (connectionString === undefined || connectionString === '') {
    console.error(`Nothing was started: ${name} needs DATABASE_URL, the address of its PostgreSQL database.`);
    process.exitCode = 2;
    return;
  }
  run(participant, name, connectionString, options).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
}

async function run(
  participant: Participant,
  name: string,
  connectionString: string,
  { tells = false, projections = [], circuits = [] }: ServiceOptions,
): Promise<void> {
  const tracing = await startTracing(name);
  const { temporal } = tracing;
  const worker = await runParticipant(participant, {
    name,
    temporal,
    database: { connectionString },
    twoPhaseCommit: true,
    circuits,
    ...(tells ? { outbox: await deliveringByTemporal(temporal) } : {}),
  });
  const projecting = project(connectionString, projections);
  console.log(`${name}: running, health at ${worker.healthUrl}`);
  await worker.stopped;
  await projecting.stop();
  await tracing.stop();
}

/** Each event is delivered by a workflow of its own; the next one of the same order waits for it. */
async function deliveringByTemporal(temporal: TemporalSettings): Promise<NonNullable<RunParticipantOptions['outbox']>> {
  const client = await connectTemporal(temporal);
  return {
    publisher: startWorkflow(client, { workflow: 'deliverEvent', taskQueue: 'transactions', waitFor: 'completion' }),
    seats: 1,
  };
}

function project(connectionString: string, projections: readonly AnyProjection[]): { stop(): Promise<void> } {
  if (projections.length === 0) return { stop: async () => undefined };
  const stop = new AbortController();
  const pool = new Pool({ connectionString, max: 3 });
  // The next query opens a new connection, or gets the error.
  pool.on('error', () => undefined);
  const running = runProjections({
    pool,
    projections,
    stop: stop.signal,
    onStopped: (name, { event, error }) => console.error(`${name} stopped at ${event.stream}/${event.version}`, error),
    onTrouble: (name, error) => console.error(`${name} goes on being tried`, error),
  });
  // Without its read models a service still does its work.
  running.catch((error: unknown) => console.error('Projections have ended.', error));
  return {
    stop: async () => {
      stop.abort();
      await running.catch(() => undefined);
      await pool.end();
    },
  };
}
