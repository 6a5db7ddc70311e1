/**
 * A service's own database: one role that owns one database and can enter no other service's, and if wanted one that its workers log
 * in as, which owns nothing. Idempotent, because a stack is started many times in the same directory.
 */
import type { Client } from 'pg';

import { WrongServerState } from '../errors';

/** Any number, the same in all our processes: creating a database fails when two do it from one template at the same moment. */
const CREATE_SERVICE_LOCK = 7_465_120;

/** Creates the role and the database `name`, or sets the password of the role that is there. */
export async function createServiceDatabase(admin: Client, name: string, password: string): Promise<void> {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name) || /^(pg_|postgres$|template)/.test(name)) {
    throw new WrongServerState(
      `${JSON.stringify(name)} cannot name a service's database`,
      'Use lower-case letters, digits and underscores, at most 63, beginning with a letter and not with pg_, postgres or template.',
    );
  }
  await createRole(admin, name, password);
  const role = admin.escapeIdentifier(name);
  const databases = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  if (databases.rowCount === 0) await admin.query(`CREATE DATABASE ${role} OWNER ${role}`);
  await admin.query(`REVOKE ALL ON DATABASE ${role} FROM PUBLIC`);
}

/** Creates a role that may enter the database and owns nothing, or sets the password of the one that is there. */
export async function createWorkerRole(admin: Client, database: string, name: string, password: string): Promise<void> {
  await createRole(admin, name, password);
  const [owner, role] = [database, name].map((identifier) => admin.escapeIdentifier(identifier));
  // Its owner sees what the workers are at, and may end it.
  await admin.query(`GRANT CONNECT ON DATABASE ${owner} TO ${role}; GRANT ${role} TO ${owner}`);
}

async function createRole(admin: Client, name: string, password: string): Promise<void> {
  await admin.query('SELECT pg_advisory_lock($1)', [CREATE_SERVICE_LOCK]);
  // A statement with a password in it must not reach the server's log, not even when it fails.
  await admin.query(
    `SET log_min_error_statement = 'panic'; SET log_statement = 'none'; SET log_min_duration_statement = -1`,
  );
  const rights = `LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD ${admin.escapeLiteral(password)}`;
  const roles = await admin.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
  await admin.query(`${roles.rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${admin.escapeIdentifier(name)} ${rights}`);
}
