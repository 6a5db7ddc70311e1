/**
 * The command `doctor`: is everything that transactions rest on set up and at work? It looks at Temporal, at each database by itself
 * and at all of them together. Where one does not answer, what would need it is named as not checked. Changes nothing.
 */
import type { LocalTimeouts } from '../../protocol';
import type { DatabaseUrls } from '../config';
import { Coordinators, namespaceOf } from '../coordinators';
import { closeDatabases, openDatabases, tellFailure, whyRefused } from '../databases';
import type { Database } from '../databases';
import { TemporalRefused } from '../errors';
import { openTemporal } from '../temporal';
import type { TemporalAccess } from '../temporal';
import { make, noneOf, ok, problem } from './check';
import type { Checked, Making } from './check';
import { connectDatabase } from './connect-database';
import type { Contact } from './connect-database';
import { DATABASE_CHECKS, VERIFY_REMEDY } from './database-checks';
import { TEMPORAL_CHECKS } from './temporal-checks';
import { TOGETHER_CHECKS } from './together-checks';
import { WORKER_CHECKS } from './worker-checks';

export interface DoctorRequest {
  readonly urls: DatabaseUrls;
  readonly namespace?: string;
  /** Of the coordinators. */
  readonly taskQueue: string;
  readonly graceMs: number;
  /** How long one check may take. */
  readonly timeoutMs: number;
  /** What the workers are configured with. */
  readonly timeouts: Partial<LocalTimeouts>;
}

/** Makes all checks. Never fails: what cannot be looked at is part of the answer. */
export async function examine(request: DoctorRequest): Promise<Checked[]> {
  const { timeoutMs } = request;
  const refused = new Map(
    [...request.urls].flatMap(([participant, url]) => {
      const why = whyRefused(participant, url);
      return why === undefined ? [] : [[participant, why] as const];
    }),
  );
  const urls = new Map([...request.urls].filter(([participant]) => !refused.has(participant)));
  const [temporal, ...databases] = await Promise.all([
    examineTemporal(request),
    ...openDatabases(urls, 'change', timeoutMs).map((database) => meet(database, timeoutMs)),
  ]);
  // PostgreSQL itself refuses their writes; but that is a setting of the session, and not for a session that is shared.
  const looking = openDatabases(urls, 'look', timeoutMs);
  const access = temporal.access;
  const coordinators = new Coordinators(access?.namespace ?? namespaceOf(request.namespace));
  try {
    const examined = await Promise.all(
      databases.map((met) => examineDatabase(met, lookingAt(looking, met), access, request)),
    );
    const contacts = new Map(
      databases.flatMap(({ database, contact }) => (contact ? [[database.participant, contact]] : [])),
    );
    const usable = looking.filter(({ participant }) => contacts.get(participant)?.sharesSessions === false);
    const together = await Promise.all(
      TOGETHER_CHECKS.map((check) =>
        make(check, {
          subject: 'all participants',
          facts: {
            contacts,
            databases: usable,
            configured: request.urls.size,
            coordinators,
            namespace: access?.namespace ?? namespaceOf(request.namespace),
            graceMs: request.graceMs,
          },
          // It asks every database, and Temporal for what it finds.
          timeoutMs: 2 * timeoutMs,
          tell: (error) => tellFailure({ secrets: looking.flatMap(({ secrets = [] }) => secrets) }, error),
        }),
      ),
    );
    const notConnectedTo = [...refused].flatMap(([participant, why]) => tellRefused(participant, why));
    return [...temporal.checked, ...notConnectedTo, ...examined.flat(), ...together];
  } finally {
    await coordinators.close();
    await closeDatabases(looking);
    await access?.connection.close();
  }
}

function lookingAt(looking: readonly Database[], { database }: Met): Database {
  return looking.find(({ participant }) => participant === database.participant) ?? database;
}

/** It is not even connected to: the password would be on the way with the first message. */
const tellRefused = (participant: string, why: string): Checked[] => [
  { subject: participant, check: 'reachable', ...problem(`Not connected to: ${why}`, VERIFY_REMEDY) },
  ...noneOf([...DATABASE_CHECKS, ...WORKER_CHECKS], participant, 'It was not connected to.'),
];

const TEMPORAL = 'Temporal';

async function examineTemporal({ namespace: given, taskQueue, timeoutMs }: DoctorRequest): Promise<{
  readonly checked: readonly Checked[];
  readonly access?: TemporalAccess;
}> {
  let access: TemporalAccess | undefined;
  const refused: Making<undefined> = { subject: TEMPORAL, facts: undefined, timeoutMs: 2 * timeoutMs, tell };
  const reached = await make(
    {
      name: 'reachable',
      look: async () => {
        try {
          access = await openTemporal(given, timeoutMs);
          return ok(`Answers at ${access.address}.`);
        } catch (error) {
          const found = tell(error);
          return error instanceof TemporalRefused
            ? problem(found, 'Configure TLS (TEMPORAL_TLS and the like) or TEMPORAL_API_KEY.')
            : problem(found, 'Check TEMPORAL_ADDRESS, and that the server is running.');
        }
      },
    },
    refused,
  );
  if (access === undefined)
    return { checked: [reached, ...noneOf(TEMPORAL_CHECKS, TEMPORAL, 'Temporal was not reached.')] };
  const facts = { ...access, taskQueue };
  const checked = await Promise.all(
    TEMPORAL_CHECKS.map((check) => make(check, { subject: TEMPORAL, facts, timeoutMs, tell })),
  );
  return { checked: [reached, ...checked], access };
}

const tell = (error: unknown): string =>
  tellFailure({}, error).replace(/^Nothing was changed, and nothing was looked at: /, '');

/** A database after the first contact. */
interface Met {
  readonly database: Database;
  readonly contact?: Contact;
  readonly checked: readonly Checked[];
}

async function meet(database: Database, timeoutMs: number): Promise<Met> {
  const { participant, pool } = database;
  const making = {
    subject: participant,
    facts: undefined,
    timeoutMs,
    tell: (error: unknown) => tellFailure(database, error),
  };
  let contact: Contact | undefined;
  const reached = await make(
    {
      name: 'reachable',
      look: async () => {
        try {
          contact = await connectDatabase(pool);
          return ok('Answers.');
        } catch (error) {
          return problem(
            tellFailure(database, error),
            `Check the connection string of ${participant}, and that the server is running.`,
          );
        }
      },
    },
    making,
  );
  await closeDatabases([database]);
  if (contact === undefined) return { database, checked: [reached] };
  const met = contact;
  const sessions = await make({ name: 'sessions', look: async () => judgeSessions(met) }, making);
  return { database, contact, checked: [reached, sessions] };
}

const judgeSessions = ({ sharesSessions }: Contact) =>
  sharesSessions
    ? problem(
        'Two connections got one session of the server: a pooler between them gives out sessions by transaction or statement. What is set for one transaction reaches others, and LISTEN does not work.',
        'Connect to the server itself, or set pool_mode = session in PgBouncer.',
      )
    : ok('Each connection has a session of its own.');

async function examineDatabase(
  { database: { participant }, contact, checked }: Met,
  looking: Database,
  access: TemporalAccess | undefined,
  { timeoutMs, timeouts }: DoctorRequest,
): Promise<Checked[]> {
  const usable = contact !== undefined && !contact.sharesSessions;
  const told = (error: unknown): string => tellFailure(looking, error);
  const database = usable
    ? await Promise.all(
        DATABASE_CHECKS.map((check) =>
          make(check, { subject: participant, facts: { database: looking, contact, timeouts }, timeoutMs, tell: told }),
        ),
      )
    : noneOf(DATABASE_CHECKS, participant, contact === undefined ? 'It was not reached.' : 'Its sessions are shared.');
  if (access === undefined)
    return [...checked, ...database, ...noneOf(WORKER_CHECKS, participant, 'Temporal was not reached.')];
  const facts = { ...access, participant };
  const workers = await Promise.all(
    WORKER_CHECKS.map((check) => make(check, { subject: participant, facts, timeoutMs, tell: told })),
  );
  return [...checked, ...database, ...workers];
}
