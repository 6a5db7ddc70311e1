/** One durable PostgreSQL server with one database in which everybody has their tables. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { forgetUserSettings } from '../../src/dev';
import { migrate } from '../../src/participant';
import { PostgresServer } from '../../src/testing';
import { setUpPeer } from './peer';
import { Publishing } from './publishing';
import type { Job } from './protocol';

const DATABASE = 'bench_outbox';

/** A row that a producer changes, and an event about it. */
const BUSINESS = 'create table business (id bigint primary key generated always as identity, note text not null)';

/** Producers, and one that sends notifications. */
const CONNECTIONS = 18;

const EMPTY = 'truncate business, txn.outbox, txn.outbox_key, txn.outbox_queue';

export interface OutboxStage {
  readonly pool: Pool;
  /** Starts processes that publish; they are stopped with the stage, if not before. */
  readonly publish: (jobs: readonly Job[]) => Promise<Publishing>;
  /** Empties the tables of the outbox. No relay may be at work. */
  readonly empty: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Opens it in a process that forgets, for good, what its user has set for databases of their own. */
export async function openOutboxStage(): Promise<OutboxStage> {
  forgetUserSettings();
  const directory = await mkdtemp(join(tmpdir(), 'temporal-txn-bench-'));
  const closing: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    // The replication of the other one needs this level; it costs everybody a little more to write.
    const server = await PostgresServer.start({ directory, durable: true, settings: { wal_level: 'logical' } });
    closing.push(() => server.stop());
    const databaseUrl = await server.createService(DATABASE);
    const pool = quietPool(databaseUrl, CONNECTIONS);
    closing.push(() => pool.end());
    await migrate(pool);
    await pool.query(BUSINESS);
    const admin = quietPool(server.adminUrl, 1);
    try {
      await setUpPeer(pool, admin, DATABASE);
    } finally {
      await admin.end();
    }
    const publishing = new Set<Publishing>();
    closing.push(() => Promise.all([...publishing].map((one) => one.stop())));
    return {
      pool,
      publish: async (jobs) => {
        const one = await Publishing.start(jobs, databaseUrl);
        publishing.add(one);
        return one;
      },
      empty: async () => {
        await pool.query(EMPTY);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function quietPool(connectionString: string, max: number): Pool {
  const pool = new Pool({ connectionString, max });
  pool.on('error', () => undefined); // A server that stops first must not end this process.
  return pool;
}
