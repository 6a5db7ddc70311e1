/** A deployment that is as it should be: two banks with least-privileged roles, their workers, a coordinator, and Temporal set up. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Pool } from 'pg';
import { defineParticipant, grantWorker, migrate, participantActivities } from 'temporal-txn/participant';
import { PostgresServer, TemporalDevServer } from 'temporal-txn/testing';
import { quietPool } from '../quiet-pool';
import { startRecovery } from '../../src/worker/recovery';
import { PARTICIPANT_BUNDLE } from '../real-server';
import { quiet } from '../saga-more/environment';

export type Name = 'north-bank' | 'south-bank';
export const NAMES: readonly Name[] = ['north-bank', 'south-bank'];

export const SLOTS = 40;

export interface Bank {
  /** Of the role that the service logs in as. */
  readonly url: string;
  readonly role: string;
  /** Of the role that owns the schema. */
  readonly ownerUrl: string;
  /** Of a superuser, in this bank's database. */
  readonly adminUrl: string;
  readonly admin: Pool;
}

export interface Deployment {
  readonly banks: ReadonlyMap<Name, Bank>;
  readonly temporal: TemporalDevServer;
  readonly client: Client;
  readonly directory: string;
  /** Starts the workers: search attributes have to be there. */
  startWorkers(): Promise<void>;
  stopWorkers(): Promise<void>;
  /** Starts PostgreSQL again, with another setting. */
  restartPostgres(settings: Record<string, number>): Promise<void>;
  stop(): Promise<void>;
}

export async function deploy(): Promise<Deployment> {
  quiet();
  const directory = mkdtempSync(join(tmpdir(), 'txn-doctor-'));
  chmodSync(directory, 0o711);
  const start = (settings: Record<string, number>): Promise<PostgresServer> =>
    PostgresServer.start({ directory, durable: false, settings });
  const [first, temporal] = await Promise.all([start({ max_prepared_transactions: SLOTS }), TemporalDevServer.start()]);
  let server = first;
  const banks = new Map<Name, Bank>();
  for (const name of NAMES) banks.set(name, await openBank(server, name));
  const client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  const native = await NativeConnection.connect({ address: temporal.address });
  const workers: { readonly worker: Worker; readonly stopped: Promise<void> }[] = [];
  const stopWorkers = async (): Promise<void> => {
    const stopping = workers.splice(0);
    for (const { worker } of stopping) worker.shutdown();
    await Promise.all(stopping.map(({ stopped }) => stopped));
  };
  const startWorker = async (taskQueue: string, pool?: Pool): Promise<void> => {
    const activities = pool && participantActivities(defineParticipant(taskQueue, {}), { pool });
    const options = { ...PARTICIPANT_BUNDLE, ...(activities ? { activities } : {}) };
    const worker = await Worker.create({ connection: native, taskQueue, ...options });
    workers.push({ worker, stopped: worker.run() });
  };
  return {
    banks,
    temporal,
    client,
    directory,
    startWorkers: async () => {
      await startWorker('transactions');
      for (const [participant, { admin }] of banks) {
        await startWorker(participant, admin);
        await startRecovery(client, { participant });
      }
    },
    stopWorkers,
    restartPostgres: async (settings) => {
      await server.stop();
      server = await start(settings);
    },
    stop: async () => {
      await stopWorkers();
      await native.close();
      await client.connection.close();
      for (const { admin } of banks.values()) await admin.end();
      await Promise.all([server.stop(), temporal.stop()]);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function openBank(server: PostgresServer, name: Name): Promise<Bank> {
  const database = name.replace('-', '_');
  const ownerUrl = await server.createService(database);
  const owner = quietPool({ connectionString: ownerUrl });
  await migrate(owner);
  await owner.end();
  const adminUrl = new URL(server.adminUrl);
  adminUrl.pathname = `/${database}`;
  const admin = quietPool({ connectionString: adminUrl.href });
  const role = `${database}_app`;
  const password = `secret-of-${role}`;
  await admin.query(`create role ${role} login nosuperuser password '${password}'`);
  await admin.query(`grant connect on database ${database} to ${role}`);
  await grantWorker(admin, role);
  const url = server.url({ database, role, password });
  return { url, role, ownerUrl, adminUrl: adminUrl.href, admin };
}
