/**
 * Sets up a service's own tables and the rows that the example opens with. Both can be applied again at every start: what is
 * there stays as it is. (The schema `txn` is the package's own: see `migrate`.)
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { services } from './services';
import type { ServiceName } from './services';

/** @example await applySchema(pool, 'north-bank'); */
export const applySchema = (pool: Pool, service: ServiceName): Promise<void> =>
  applyFile(pool, services[service].folder, 'schema.sql');

/** @example await applySeed(pool, 'north-bank'); */
export const applySeed = (pool: Pool, service: ServiceName): Promise<void> =>
  applyFile(pool, services[service].folder, services[service].seed);

// Any constant. `create table if not exists` fails when two processes run it at the same moment.
const ADVISORY_LOCK = 7_498_002;

async function applyFile(pool: Pool, folder: string, file: string): Promise<void> {
  const sql = await readFile(join(__dirname, folder, file), 'utf8');
  // Several statements in one message are one transaction: all of the file, or nothing of it.
  await pool.query(`select pg_advisory_xact_lock(${ADVISORY_LOCK});\n${sql}`);
}
