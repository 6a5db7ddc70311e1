/**
 * pg-transactional-outbox, set up by its own statements and with its defaults, but for what is said here: each of these makes it faster.
 * Both its modes keep the order of a key, as the relay does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createReplicationSegmentMutexConcurrencyController,
  DatabaseSetup,
  getDisabledLogger,
  initializeMessageStorage,
  initializePollingMessageListener,
  initializeReplicationMessageListener,
} from 'pg-transactional-outbox';
import type { GeneralMessageHandler, MessageStorage } from 'pg-transactional-outbox';
import type { Pool } from 'pg';
import { EVENT_TYPE, SOURCE } from './events';
import type { OrderChanged } from './events';
import type { PeerMode } from './protocol';

const TABLE = 'outbox';
const PUBLICATION = 'bench_peer';
const SLOT = 'bench_peer';
const NEXT_MESSAGES = 'next_messages';

/** A table for each mode: what one has published would be there for the other. */
const schemaOf = (mode: PeerMode): string => `peer_${mode}`;
const tableOf = (mode: PeerMode): string => `${schemaOf(mode)}.${TABLE}`;

/** For its handlers. Its default is 10; these were the fastest of 10, 16 and 32. */
const CONNECTIONS: Readonly<Record<PeerMode, number>> = { polling: 16, replication: 32 };

const setupOf = (
  mode: PeerMode,
  database: string,
): {
  readonly outboxOrInbox: 'outbox';
  readonly database: string;
  readonly schema: string;
  readonly table: string;
  readonly listenerRole: string;
} => ({ outboxOrInbox: 'outbox', database, schema: schemaOf(mode), table: TABLE, listenerRole: database });

/** @param database the name of the database and of its owner */
export async function setUpPeer(pool: Pool, admin: Pool, database: string): Promise<void> {
  await admin.query(`alter role ${database} with replication`);
  const polling = { ...setupOf('polling', database), nextMessagesName: NEXT_MESSAGES };
  await pool.query(DatabaseSetup.dropAndCreateTable(polling));
  await pool.query(DatabaseSetup.createPollingFunction(polling));
  await pool.query(DatabaseSetup.setupPollingIndexes(polling));
  await pool.query(DatabaseSetup.dropAndCreateTable(setupOf('replication', database)));
  await pool.query(`create publication ${PUBLICATION} for table ${tableOf('replication')} with (publish = 'insert')`);
}

/** Empties the table, and has the replication begin with what is written from now on. Nobody may be listening. */
export async function emptyPeer(pool: Pool, mode: PeerMode): Promise<void> {
  await pool.query(`truncate ${tableOf(mode)}`);
  if (mode === 'polling') return;
  await dropSlot(pool);
  await pool.query(`select pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`);
}

/** How long the server may take to see that a listener has gone, in milliseconds. */
const RELEASE_TIMEOUT_MS = 10_000;

/** A slot that nobody reads has the server keep, and decode later, all that anybody writes. */
export async function dropSlot(pool: Pool): Promise<void> {
  for (const deadline = Date.now() + RELEASE_TIMEOUT_MS; ;) {
    const { rows } = await pool.query<{ active: boolean }>(
      `select active from pg_replication_slots where slot_name = '${SLOT}'`,
    );
    if (rows[0] === undefined) return;
    if (!rows[0].active) await pool.query(`select pg_drop_replication_slot('${SLOT}')`);
    else if (Date.now() > deadline) throw new Error(`The replication slot ${SLOT} is still in use.`);
    else await sleep(10);
  }
}

const FILL = (mode: PeerMode): string => `
  insert into ${tableOf(mode)} (id, aggregate_type, aggregate_id, message_type, segment, payload)
  select gen_random_uuid(), '${SOURCE}', key, '${EVENT_TYPE}', key, data
    from unnest($1::text[], $2::jsonb[]) with ordinality as e(key, data, n)
   order by n`;

/** Writes many events in one transaction. */
export async function appendToPeer(
  pool: Pool,
  mode: PeerMode,
  events: readonly { readonly key: string; readonly data: OrderChanged }[],
): Promise<void> {
  await pool.query(FILL(mode), [events.map(({ key }) => key), events.map(({ data }) => JSON.stringify(data))]);
}

export const analyzePeer = (pool: Pool, mode: PeerMode): Promise<unknown> => pool.query(`analyze ${tableOf(mode)}`);

/** Its own way to write an event. */
export const peerStorage = (mode: PeerMode): MessageStorage =>
  initializeMessageStorage({ outboxOrInbox: 'outbox', settings: settingsOf(mode) }, getDisabledLogger());

// The two protections are off, as its documentation advises for an outbox: one would be another transaction for each message.
const settingsOf = (
  mode: PeerMode,
): {
  readonly dbSchema: string;
  readonly dbTable: string;
  readonly enableMaxAttemptsProtection: false;
  readonly enablePoisonousMessageProtection: false;
} => ({
  dbSchema: schemaOf(mode),
  dbTable: TABLE,
  enableMaxAttemptsProtection: false,
  enablePoisonousMessageProtection: false,
});

/** Listens until what it returns is called. */
export function startPeer(
  mode: PeerMode,
  { connectionString, batch }: { readonly connectionString: string; readonly batch: number | undefined },
  published: (key: string, version: number) => void,
): () => Promise<void> {
  const handler: GeneralMessageHandler = {
    handle: async ({ aggregateId, payload }) => published(aggregateId, (payload as OrderChanged).version), // Cast: nobody else writes here.
  };
  const connection = { connectionString, max: CONNECTIONS[mode] };
  const common = { outboxOrInbox: 'outbox' as const, dbListenerConfig: connection, dbHandlerConfig: connection };
  const logger = getDisabledLogger();
  if (mode === 'polling') {
    const [stop] = initializePollingMessageListener(
      {
        ...common,
        settings: {
          ...settingsOf(mode),
          nextMessagesFunctionSchema: schemaOf(mode),
          nextMessagesFunctionName: NEXT_MESSAGES,
          ...(batch === undefined ? {} : { nextMessagesBatchSize: batch }),
        },
      },
      handler,
      logger,
      // Its own strategy asks for one message at a time to begin with, as often as a batch has messages.
      batch === undefined ? {} : { batchSizeStrategy: async () => batch },
    );
    return stop;
  }
  const [stop] = initializeReplicationMessageListener(
    { ...common, settings: { ...settingsOf(mode), dbPublication: PUBLICATION, dbReplicationSlot: SLOT } },
    handler,
    logger,
    // Its default is one message at a time; this is one of each key.
    { concurrencyStrategy: createReplicationSegmentMutexConcurrencyController() },
  );
  return stop;
}
