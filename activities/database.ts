/**
 * Sets up a service's own tables and the rows that the example opens with. Both can be applied again at every start: what is
 * there stays as it is. (The schema `txn` is the package's own: see `migrate`.)
 */
import { createHash } from 'node:crypto';
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

/**
 * Applies a file once. A statement that changes a table waits for every transaction that has used it, and a prepared one ends only
 * when the service's worker, with its recovery, runs: a start that began with such a statement could wait for itself.
 */
async function applyFile(pool: Pool, folder: string, file: string): Promise<void> {
  const sql = await readFile(join(__dirname, folder, file), 'utf8');
  const hash = createHash('sha256').update(sql).digest('hex');
  await pool.query(`
    select pg_advisory_xact_lock(${ADVISORY_LOCK});
    create table if not exists applied_file (name text primary key, hash text not null)`);
  const { rowCount } = await pool.query('select from applied_file where name = $1 and hash = $2', [file, hash]);
  if (rowCount === 1) return;
  // Several statements in one message are one transaction: all of the file, or nothing of it.
  await pool.query(`
    set local lock_timeout = '10s';
    select pg_advisory_xact_lock(${ADVISORY_LOCK});
    ${sql}
    ;insert into applied_file (name, hash) values ('${file}', '${hash}')
      on conflict (name) do update set hash = excluded.hash`);
}
