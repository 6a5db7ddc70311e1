/**
 * What the role of a service's workers may do in schema `txn`, in one place: the stack and docker compose grant it, the doctor checks
 * it, docs/security.md lists it, and tests work with it. It owns nothing there, so it can take no guard away.
 */
import { escapeIdentifier } from 'pg';
import type { Pool } from 'pg';
import type { MissingRight } from './errors';

export type Privilege = 'select' | 'insert' | 'update' | 'delete';

/** Rights on one table of schema `txn`. */
export interface TableRights {
  readonly table: string;
  readonly privileges: readonly Privilege[];
}

const rights = (table: string, ...privileges: Privilege[]): TableRights => ({ table, privileges });

const MIGRATION = rights('migration', 'select');

/** Of a participant's branches. Its workers do not start without. */
export const PARTICIPANT_RIGHTS: readonly TableRights[] = [
  MIGRATION,
  rights('branch', 'select', 'insert', 'update'),
  rights('decision', 'select', 'insert'),
  rights('preparation', 'select', 'insert', 'update', 'delete'),
  rights('heuristic', 'select', 'insert'),
  rights('acceptance', 'select', 'insert'),
  rights('reservation', 'select', 'insert', 'delete'),
  rights('semantic_lock', 'select', 'insert', 'update', 'delete'),
  rights('circuit', 'select', 'insert', 'update', 'delete'),
  rights('circuit_ruling', 'select', 'insert'),
];

/** Of the relays of an outbox, which do not start without. */
export const RELAY_RIGHTS: readonly TableRights[] = [
  MIGRATION,
  rights('outbox', 'select', 'insert', 'update', 'delete'),
  rights('outbox_key', 'select', 'insert', 'update'),
  rights('outbox_queue', 'select', 'insert', 'update', 'delete'),
  rights('outbox_partition', 'select', 'update'),
  // It is locked while what comes to its key is parked, and to lock is to update.
  rights('outbox_dead_letter', 'select', 'insert', 'update', 'delete'),
  rights('outbox_intervention', 'select', 'insert'),
];

/** Of workers, relays, projections, and of the people who use `temporal-txn`. */
export const WORKER_RIGHTS: readonly TableRights[] = [
  ...PARTICIPANT_RIGHTS,
  ...RELAY_RIGHTS.filter((one) => one !== MIGRATION),
  rights('inbox', 'select', 'insert', 'update', 'delete'),
  rights('stream', 'select', 'insert', 'update'),
  // A trigger lets it write the position, and nothing else.
  rights('event', 'select', 'insert', 'update'),
  rights('event_counter', 'select', 'update'),
  rights('projection', 'select', 'insert', 'update'),
  rights('snapshot', 'select', 'insert', 'update'),
];

/** What purging needs beside them: for a role that only purges, or a person. */
export const PURGE_RIGHTS: readonly TableRights[] = [
  rights('branch', 'delete'),
  rights('decision', 'delete'),
  rights('heuristic', 'delete'),
];

const MISSING = `
  select n.relation as "table", privilege, to_regclass('txn.' || n.relation) is not null as there
    from unnest($1::text[], $2::text[]) as n (relation, privileges)
   cross join unnest(string_to_array(n.privileges, ', ')) as privilege
   where not coalesce(has_table_privilege(to_regclass('txn.' || n.relation), privilege), false)`;

/** Which of these rights the role of a connection lacks. It must have usage of schema `txn`. */
export async function missingRights(pool: Pool, wanted: readonly TableRights[]): Promise<readonly MissingRight[]> {
  const { rows } = await pool.query<MissingRight>(MISSING, [
    wanted.map(({ table }) => table),
    wanted.map(({ privileges }) => privileges.join(', ')),
  ]);
  return rows;
}

/**
 * The statements that give a role what a service's workers need in schema `txn`, for teams that grant with a tool of their own.
 *
 * @param role as `create role` was given it; it is quoted here
 * @example for (const statement of workerGrants('north_bank_worker')) console.log(`${statement};`);
 */
export const workerGrants = (role: string): readonly string[] => [
  `grant usage on schema txn to ${escapeIdentifier(role)}`,
  ...WORKER_RIGHTS.map((one) => grantOf(one, role)),
];

const grantOf = ({ table, privileges }: TableRights, role: string): string =>
  `grant ${privileges.join(', ')} on txn.${table} to ${escapeIdentifier(role)}`;

/**
 * Gives a role what a service's workers need in schema `txn`. After each migration again: new tables need new rights.
 *
 * @param pool with the role that owns the schema
 * @param role that the workers log in as: without superuser, and not the owner
 * @example
 * await migrate(owner);
 * await grantWorker(owner, 'north_bank_worker');
 */
export async function grantWorker(pool: Pool, role: string): Promise<void> {
  // One message is one transaction: all of it or nothing.
  await pool.query(workerGrants(role).join('; '));
}
