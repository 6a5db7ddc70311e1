/**
 * Makes the databases of the services ready: the schema `txn`, the service's own tables and sample data, and what its workers may
 * do with them. Safe to run again.
 */
import { escapeIdentifier, Pool } from 'pg';
import { grantWorker, migrate } from 'temporal-txn/participant';
import { applySchema, applySeed } from './database';
import type { ServiceName } from './services';

/**
 * Brings one service's database up to date.
 *
 * @param connectionString of the role that owns the database
 * @param worker the role that the service's workers log in as, if it is another one: it may read and write rows, and change no table
 */
export async function setUpService(service: ServiceName, connectionString: string, worker?: string): Promise<void> {
  const pool = new Pool({ connectionString, max: 1 });
  // A server that stops while the pool closes must not end this process.
  pool.on('error', () => undefined);
  try {
    await migrate(pool);
    await applySchema(pool, service);
    await applySeed(pool, service);
    if (worker === undefined) return;
    await grantWorker(pool, worker);
    const role = escapeIdentifier(worker);
    // What there is, and what comes with a later version.
    await pool.query(
      `grant select, insert, update, delete on all tables in schema public to ${role};
       grant usage on all sequences in schema public to ${role};
       alter default privileges in schema public grant select, insert, update, delete on tables to ${role};
       alter default privileges in schema public grant usage on sequences to ${role}`,
    );
  } finally {
    await pool.end();
  }
}
