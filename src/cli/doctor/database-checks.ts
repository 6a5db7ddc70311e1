/** What the doctor asks a participant's database: its server, its settings and its schema. */
import type { Pool } from 'pg';
import { checkSchema, readSlots } from '../../participant';
import { checkLocalTimeouts, InvalidTimeouts, isLoopback } from '../../protocol';
import type { LocalTimeouts } from '../../protocol';
import { outboxStatus } from '../../outbox';
import type { Database } from '../databases';
import { tellFailure } from '../databases';
import { age, count } from '../printable';
import { ok, problem, warning } from './check';
import type { Check, Result } from './check';
import { judgeClock } from './clock';
import type { Contact } from './connect-database';
import { lookAtGrants, lookAtRole } from './role-checks';
import { judgePostgresVersion } from './server-version';

export interface DatabaseFacts {
  readonly database: Database;
  readonly contact: Contact;
  /** What its workers are configured with. */
  readonly timeouts: Partial<LocalTimeouts>;
}

/** In the order in which they are told. All of them only read. */
export const DATABASE_CHECKS: readonly Check<DatabaseFacts>[] = [
  { name: 'version', look: ({ database }) => lookAtVersion(database.pool) },
  { name: 'encryption', look: async ({ contact }) => judgeEncryption(contact) },
  { name: 'primary', look: ({ database }) => lookAtPrimary(database.pool) },
  { name: 'prepared transactions', look: ({ database }) => lookAtPrepares(database.pool) },
  { name: 'slots', look: ({ database }) => lookAtSlots(database.pool) },
  { name: 'schema', look: ({ database }) => lookAtSchema(database) },
  { name: 'role', look: ({ database }) => lookAtRole(database.pool) },
  { name: 'grants', look: ({ database }) => lookAtGrants(database.pool) },
  { name: 'isolation', look: ({ database }) => lookAtIsolation(database.pool) },
  { name: 'timeouts', look: ({ database, timeouts }) => lookAtTimeouts(database.pool, timeouts) },
  { name: 'clock', look: ({ database }) => lookAtClock(database.pool) },
  { name: 'outbox', look: ({ database }) => lookAtOutbox(database) },
];

async function lookAtVersion(pool: Pool): Promise<Result> {
  const settings = await readSettings(pool, ['server_version_num', 'server_version']);
  return judgePostgresVersion(Number(settings['server_version_num']), settings['server_version'] ?? 'unknown');
}

/** As a new session of this role has them, whatever this one has set. */
async function readSettings(pool: Pool, names: readonly string[]): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ name: string; value: string }>(
    'select name, reset_val as value from pg_settings where name = any($1)',
    [names],
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/** Of a connection that is there: what is not allowed is not connected to, see `examine`. */
export function judgeEncryption({ host, encryption }: Pick<Contact, 'host' | 'encryption'>): Result {
  if (encryption === 'verified') return ok('Encrypted, and the certificate of the server is verified.');
  if (host.startsWith('/') || isLoopback(host)) return ok('On this machine.');
  return warning(
    encryption === 'none'
      ? 'In plain text over a network, allowed by TXN_ALLOW_INSECURE: whoever is on it can read and change what is sent.'
      : 'Encrypted, but the certificate of the server is not verified, allowed by TXN_ALLOW_INSECURE: whoever is in between can read and change what is sent.',
    VERIFY_REMEDY,
  );
}

export const VERIFY_REMEDY =
  'Turn on ssl at the server, and add sslmode=verify-full and sslrootcert=<file> to the connection string.';

async function lookAtPrimary(pool: Pool): Promise<Result> {
  const { rows } = await pool.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (rows[0]?.standby)
    return problem('It is a standby: nothing can be written, and what is prepared does not show.', 'Name the primary.');
  const { default_transaction_read_only: readOnly } = await readSettings(pool, ['default_transaction_read_only']);
  return readOnly === 'on'
    ? problem(
        'Its transactions are read-only by default, so workers cannot write.',
        'alter role … reset default_transaction_read_only, or the same for the database or the server',
      )
    : ok('It is the primary, and can be written to.');
}

// Not pg_stat_activity: it does not tell what the sessions of other roles are.
const CONNECTIONS = `
  select sum(numbackends)::int as used, current_setting('max_connections')::int as most from pg_stat_database`;

async function lookAtPrepares(pool: Pool): Promise<Result> {
  const { limit } = await readSlots(pool);
  const { rows } = await pool.query<{ used: number; most: number }>(CONNECTIONS);
  const { used = 0, most = 0 } = rows[0] ?? {};
  const remedy = `alter system set max_prepared_transactions = ${most}, then restart the server`;
  if (limit === 0)
    return problem('max_prepared_transactions is 0: there is no two-phase and no three-phase commit here.', remedy);
  return limit < used
    ? warning(`max_prepared_transactions is ${limit}, and there are ${used} connections: some may not prepare.`, remedy)
    : ok(`max_prepared_transactions is ${limit}; ${used} of at most ${most} connections are open.`);
}

const FULL_PERCENT = 80;

async function lookAtSlots(pool: Pool): Promise<Result> {
  const { used, limit } = await readSlots(pool);
  const told = `${used} of ${limit} are in use on this server.`;
  const remedy =
    'temporal-txn in-doubt says what is left lying; raise max_prepared_transactions if all of it is at work';
  if (limit > 0 && used >= limit) return problem(`${told} Nothing more can be prepared.`, remedy);
  return limit > 0 && used * 100 > limit * FULL_PERCENT ? warning(told, remedy) : ok(told);
}

async function lookAtSchema(database: Database): Promise<Result> {
  try {
    await checkSchema(database.pool);
    return ok('Schema txn is the one that this version needs.');
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SchemaVersionError') throw error;
    return problem(tellFailure(database, error), 'temporal-txn setup --migrate, with the login of the owner');
  }
}

async function lookAtIsolation(pool: Pool): Promise<Result> {
  const { default_transaction_isolation: level = 'unknown' } = await readSettings(pool, [
    'default_transaction_isolation',
  ]);
  return level === 'read committed'
    ? ok('read committed by default.')
    : warning(
        `${level} by default. Branches ask for read committed; what the service does by itself, its outbox and inbox get the default, and can fail to serialize.`,
        'alter role … reset default_transaction_isolation, or be ready to repeat those transactions',
      );
}

const TIMEOUTS = ['lock_timeout', 'statement_timeout', 'transaction_timeout', 'idle_session_timeout'] as const;

async function lookAtTimeouts(pool: Pool, given: Partial<LocalTimeouts>): Promise<Result> {
  try {
    checkLocalTimeouts(given);
  } catch (error) {
    if (!(error instanceof InvalidTimeouts)) throw error;
    return problem(
      error.message,
      'Give the workers timeouts in the order lock < statement < idle < start-to-close: they refuse any other.',
    );
  }
  const { lockMs, statementMs, idleInTransactionMs, startToCloseMs } = checkLocalTimeouts(given);
  const settings = await readSettings(pool, TIMEOUTS);
  const server = (name: (typeof TIMEOUTS)[number]): number => Number(settings[name] ?? 0);
  const contradictions = [
    ...(isSetBelow(server('transaction_timeout'), startToCloseMs)
      ? [`transaction_timeout (${server('transaction_timeout')} ms) ends branches before start-to-close does`]
      : []),
    ...(isSetBelow(server('statement_timeout'), statementMs)
      ? [`statement_timeout (${server('statement_timeout')} ms) is shorter than that of a branch (${statementMs} ms)`]
      : []),
    ...(isSetBelow(server('statement_timeout'), server('lock_timeout') + 1)
      ? [`lock_timeout (${server('lock_timeout')} ms) is not shorter than statement_timeout`]
      : []),
    ...(server('idle_session_timeout') > 0
      ? [`idle_session_timeout (${server('idle_session_timeout')} ms) ends the connections of idle workers and relays`]
      : []),
  ];
  if (contradictions.length > 0)
    return warning(
      `Settings of the server contradict those of the workers: ${contradictions.join('; ')}.`,
      'alter role … reset <setting>: the package sets the timeouts of every branch itself',
    );
  return ok(
    `${lockMs} < ${statementMs} < ${idleInTransactionMs} < ${startToCloseMs} ms, and no setting of the server contradicts.`,
  );
}

const isSetBelow = (value: number, limit: number): boolean => value > 0 && value < limit;

async function lookAtClock(pool: Pool): Promise<Result> {
  // The first query waits for a connection, the second one does not.
  await pool.query('select');
  const sentMs = Date.now();
  const { rows } = await pool.query<{ now: string }>('select extract(epoch from clock_timestamp()) * 1000 as now');
  return judgeClock({ sentMs, theirMs: Number(rows[0]?.now), receivedMs: Date.now() });
}

const LAG_MS = 60_000;

async function lookAtOutbox({ participant, pool }: Database): Promise<Result> {
  const { pending, oldestMs, deadLetters, parked } = await outboxStatus(pool);
  if (deadLetters > 0)
    return problem(
      `${count(deadLetters, 'key')} parked at an event that cannot be published, with ${count(parked, 'event')} in all.`,
      `temporal-txn dead-letters ${participant}`,
    );
  const told = `${count(pending, 'event')} to be published, the oldest ${age(oldestMs)} old.`;
  return pending > 0 && oldestMs > LAG_MS
    ? warning(told, `See that a relay of ${participant} is running (runOutboxRelay), and its log.`)
    : ok(pending === 0 ? 'Everything is published.' : told);
}
