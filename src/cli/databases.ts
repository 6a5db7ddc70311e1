/**
 * The participants' databases as the command meets them: some may not answer, and that is part of every answer. No password
 * reaches a message.
 */
import {
  checkDatabaseConnection,
  checkSchema,
  InsecureDatabaseConnectionError,
  InvalidDatabaseSettingsError,
} from '../participant';
import { Pool } from 'pg';
import type { ClientBase } from 'pg';
import type { DatabaseUrls } from './config';
import { DatabaseRefused, UnknownService } from './errors';
import { printable } from './printable';

/** The database of one participant. */
export interface Database {
  /** Name of the participant. */
  readonly participant: string;
  readonly pool: Pool;
  /** Texts that no message may contain. */
  readonly secrets?: readonly string[];
}

/** A database that could not be looked at. */
export interface Unreachable {
  readonly participant: string;
  readonly why: string;
}

const CONNECT_TIMEOUT_MS = 5_000;
const CONNECTIONS = 4;

/**
 * Makes a pool for each database; connects to none.
 *
 * @param access with `look`, PostgreSQL itself refuses every write
 * @param answerWithinMs how long each statement may take; without, as long as it needs
 * @throws {DatabaseRefused} for one that would be reached in plain text over a network
 */
export function openDatabases(urls: DatabaseUrls, access: 'look' | 'change', answerWithinMs?: number): Database[] {
  for (const [participant, connectionString] of urls) {
    const why = whyRefused(participant, connectionString);
    if (why !== undefined) throw new DatabaseRefused(why);
  }
  return [...urls].map(([participant, connectionString]) => {
    const pool = new Pool({
      connectionString,
      max: CONNECTIONS,
      connectionTimeoutMillis: answerWithinMs ?? CONNECT_TIMEOUT_MS,
      // Kept by the client: a server that hangs would not keep it.
      ...(answerWithinMs === undefined ? {} : { query_timeout: answerWithinMs }),
      application_name: 'temporal-txn',
      ...(access === 'look' ? { onConnect: refuseWrites } : {}),
    });
    // The pool has dropped it already; whoever needs a connection next gets a new one, or the error.
    pool.on('error', () => undefined);
    return { participant, pool, secrets: secretsOf(connectionString) };
  });
}

/** Why a database may not be connected to as it is configured. Undefined where it may. */
export function whyRefused(participant: string, connectionString: string): string | undefined {
  try {
    checkDatabaseConnection({ connectionString }, participant);
    return undefined;
  } catch (error) {
    if (!(error instanceof InsecureDatabaseConnectionError || error instanceof InvalidDatabaseSettingsError))
      throw error;
    return error.message.replace(/^Nothing was started: /, '');
  }
}

// Cast: pg-pool waits for it, which its types do not say.
const refuseWrites = ((client: ClientBase) => client.query('set default_transaction_read_only = on')) as (
  client: ClientBase,
) => void;

export const closeDatabases = async (databases: readonly Database[]): Promise<void> => {
  await Promise.all(databases.map(({ pool }) => pool.end().catch(() => undefined)));
};

function secretsOf(connectionString: string): string[] {
  const { password, searchParams } = new URL(connectionString);
  const given = [password, searchParams.get('password') ?? ''];
  return [...new Set([...given, ...given.map(decoded)])].filter((secret) => secret !== '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const CHECK = `select pg_is_in_recovery() as standby`;

/** Whether a database can be looked at: it answers, is no standby, and has the schema of this version. */
async function check(pool: Pool): Promise<string | undefined> {
  const { rows } = await pool.query<{ standby: boolean }>(CHECK);
  // What a standby does not show may be on its way: that is no evidence.
  if (rows[0]?.standby) return 'It is a standby: name the primary.';
  await checkSchema(pool);
  return undefined;
}

// A copy that was restored elsewhere is equal in all but when its server was started.
const PLACE = `
  select concat_ws(' ', extract(epoch from pg_postmaster_start_time()), oid) as place
    from pg_database where datname = current_database()`;

/** What tells a database from all others as long as its server runs: participants that share one are told the same. */
export async function placeOf({ pool }: Pick<Database, 'pool'>): Promise<string> {
  const { rows } = await pool.query<{ place: string }>(PLACE);
  return String(rows[0]?.place);
}

/** Sorts out those that cannot be looked at. */
export async function reach<D extends Database>(
  databases: readonly D[],
): Promise<{ readonly reached: D[]; readonly unreachable: Unreachable[] }> {
  const checked = await Promise.all(
    databases.map(async (database) => ({
      database,
      why: await check(database.pool).catch((error: unknown) => tellFailure(database, error)),
    })),
  );
  return {
    reached: checked.filter(({ why }) => why === undefined).map(({ database }) => database),
    unreachable: checked.flatMap(({ database: { participant }, why }) =>
      why === undefined ? [] : [{ participant, why }],
    ),
  };
}

/** The database of a service that was named. @throws {UnknownService} */
export function databaseNamed(databases: readonly Database[], service: string): Database {
  const found = databases.find(({ participant }) => participant === service);
  if (found) return found;
  throw new UnknownService(
    service,
    databases.map(({ participant }) => participant),
  );
}

/** Says what went wrong at a database, without its password. */
export function tellFailure({ secrets = [] }: Pick<Database, 'secrets'>, error: unknown): string {
  const text = messageOf(error).replace(/^Nothing was \w+: /, '');
  const safe = secrets.reduce((told, secret) => told.replaceAll(secret, '***'), text);
  return `${printable(safe.charAt(0).toUpperCase() + safe.slice(1)).replace(/\.$/, '')}.`;
}

function messageOf(error: unknown): string {
  // Of a host with several addresses; its own message is empty.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}
