/**
 * The schema `txn` in a participant's database: numbered SQL files, applied once, in order, by one process at a time.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { escapeLiteral } from 'pg';
import type { Pool, PoolClient } from 'pg';
import { MigrationBlockedError, SchemaVersionError } from './errors';
import { isDatabaseError, SqlState } from './sqlstate';

/** One numbered step of the schema. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  /** All of it: the first one makes the schema `txn`, and each writes down in `txn.migration` that it was applied. To be run in one transaction. */
  readonly sql: string;
}

const DIRECTORY = join(__dirname, 'migrations');

const PREPARE = `
  create schema if not exists txn;
  create table if not exists txn.migration (
    version    integer     primary key,
    name       text        not null,
    applied_at timestamptz not null default clock_timestamp()
  );
`;

/**
 * The steps of the schema, for teams that apply them with a tool of their own: oldest first, each once and in a transaction of its own.
 *
 * @example
 * for (const { version, name, sql } of migrations())
 *   writeFileSync(`migrations/txn-${String(version).padStart(6, '0')}-${name}.sql`, sql);
 */
export function migrations(): readonly Migration[] {
  return readdirSync(DIRECTORY)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => {
      const version = Number(file.slice(0, 6));
      const name = file.slice(7, -4);
      const applied = `\ninsert into txn.migration (version, name) values (${version}, ${escapeLiteral(name)});\n`;
      const sql = readFileSync(join(DIRECTORY, file), 'utf8') + applied;
      return { version, name, sql: version === 1 ? PREPARE + sql : sql };
    });
}

// Any constant: it only has to be the same in every process. Two workers that start at once then migrate one after the other.
const ADVISORY_LOCK = 7_498_001;

/**
 * Brings the schema up to date. Safe to run at every start, from any number of processes.
 *
 * @param pool with a role that may create a schema and tables in this database
 * @returns the version that the schema has now
 * @throws {SchemaVersionError} when the schema is newer than this package
 * @throws {MigrationBlockedError} when other transactions, prepared ones perhaps, hold what has to be changed
 * @example await migrate(pool);
 */
export async function migrate(pool: Pool): Promise<number> {
  const client = await pool.connect();
  // Without a listener, a server restart in the middle ends the process. The next statement fails with it.
  client.on('error', ignoreLostConnection);
  let failed = true;
  try {
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    await client.query(PREPARE);
    const version = await currentVersion(client);
    if (version > neededVersion()) throw new SchemaVersionError(version, neededVersion());
    for (const migration of migrations().filter((candidate) => candidate.version > version))
      await apply(client, migration);
    await client.query('select pg_advisory_unlock($1)', [ADVISORY_LOCK]);
    failed = false;
    return neededVersion();
  } finally {
    client.removeListener('error', ignoreLostConnection);
    // Closing the connection also lets go of the advisory lock.
    client.release(failed);
  }
}

const ignoreLostConnection = (): void => undefined;

/**
 * Checks that the schema is the one that this package needs. Workers do so when they start.
 *
 * @throws {SchemaVersionError}
 */
export const checkSchema = (pool: Pool | PoolClient): Promise<void> => check(pool, (found, needed) => found === needed);

/**
 * The same for a worker that runs already: while a deployment is under way, the schema may be newer.
 *
 * @throws {SchemaVersionError}
 */
export const checkSchemaStill = (pool: Pool | PoolClient): Promise<void> =>
  check(pool, (found, needed) => found >= needed);

async function check(pool: Pool | PoolClient, fits: (found: number, needed: number) => boolean): Promise<void> {
  const { rows } = await pool.query<{ known: boolean }>(`select to_regclass('txn.migration') is not null as known`);
  const found = rows[0]?.known ? await currentVersion(pool) : 0;
  const needed = neededVersion();
  if (!fits(found, needed)) throw new SchemaVersionError(found, needed);
}

const neededVersion = (): number => Math.max(...migrations().map(({ version }) => version));

async function currentVersion(client: Pool | PoolClient): Promise<number> {
  const { rows } = await client.query<{ version: number }>(
    'select coalesce(max(version), 0) as version from txn.migration',
  );
  return rows[0]?.version ?? 0;
}

async function apply(client: PoolClient, { version, name, sql }: Migration): Promise<void> {
  await client.query("begin; set local lock_timeout = '10s'");
  try {
    await client.query(sql);
  } catch (error) {
    // A prepared transaction may be in the way, which ends only when a worker runs: to wait would be for ever.
    if (isDatabaseError(error) && error.code === SqlState.LockNotAvailable)
      throw new MigrationBlockedError(version, name);
    throw error;
  }
  await client.query('commit');
}
