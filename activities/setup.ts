/**
 * Makes the databases of the services: role, database, the schema `txn`, the service's own tables and sample data. For
 * docker compose; safe to run again.
 */
import { Pool } from 'pg';
import { migrate } from 'temporal-txn/participant';
import { applySchema, applySeed } from './database';
import type { ServiceName } from './services';

/** Brings one service's database up to date. */
export async function setUpService(service: ServiceName, connectionString: string): Promise<void> {
  const pool = new Pool({ connectionString, max: 1 });
  // A server that stops while the pool closes must not end this process.
  pool.on('error', () => undefined);
  try {
    await migrate(pool);
    await applySchema(pool, service);
    await applySeed(pool, service);
  } finally {
    await pool.end();
  }
}
