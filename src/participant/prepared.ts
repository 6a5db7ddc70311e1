/**
 * The prepared transactions of a participant's database: finish one, list them.
 *
 * `pg_prepared_xacts` shows those of the whole server to everyone; only those of this database and of this participant's
 * name and scope are ours to touch.
 */
import { escapeLiteral } from 'pg';
import type { Pool, PoolClient } from 'pg';
import { SPANS } from '../observability';
import type { Decision } from '../protocol';
import { readGid, scopeOf } from './gid';
import type { Gid, GidParts } from './gid';
import { onOneConnection } from './one-connection';
import { isStatementError, SqlState } from './sqlstate';
import { inStatementSpan } from './statement-span';

/**
 * Commits or rolls back a prepared transaction.
 *
 * @returns `unknown` when there is none of that name, which says nothing of what became of it
 * @throws whatever may be cured: busy, another role, no connection
 */
export async function finishPrepared(pool: Pool, gid: Gid, decision: Decision): Promise<'done' | 'unknown'> {
  const statement = `${decision === 'commit' ? 'commit' : 'rollback'} prepared ${escapeLiteral(gid)}`;
  return onOneConnection(pool, async (client, spoil) => {
    // Each stands alone: COMMIT PREPARED may not be in a transaction block, as the statements of one message are.
    const hasTimeout = await isLimited(client);
    if (hasTimeout) await client.query('set statement_timeout = 0');
    try {
      await inStatementSpan(decision === 'commit' ? SPANS.commitPrepared : SPANS.rollbackPrepared, () =>
        client.query(statement),
      );
      return 'done';
    } catch (error) {
      if (isStatementError(error) && error.code === SqlState.UndefinedObject) return 'unknown';
      throw error;
    } finally {
      if (hasTimeout) await client.query('reset statement_timeout').catch(spoil);
    }
  });
}

const limited = new WeakMap<PoolClient, boolean>();

/**
 * Whether statements of a session have a timeout, asked once. Where they have none that is made sure of for as long as the session
 * lasts, whatever is configured meanwhile, and saves two round trips each time.
 */
async function isLimited(client: PoolClient): Promise<boolean> {
  const known = limited.get(client);
  if (known !== undefined) return known;
  const { rowCount } = await client.query(
    `select set_config('statement_timeout', '0', false) where current_setting('statement_timeout') = '0'`,
  );
  limited.set(client, rowCount === 0);
  return rowCount === 0;
}

/** A prepared transaction, as PostgreSQL lists it and as the branch that left it said before it began. */
export interface PreparedTransaction {
  readonly gid: string;
  readonly preparedAt: Date;
  readonly ageMs: number;
  /** The role that prepared it: only this one, and superusers, may finish it. */
  readonly owner: string;
  /** Whether our role may. */
  readonly owned: boolean;
  readonly xid: string;
  /** Whose it is: of this participant; of another participant or scope in this database; or not of this package. */
  readonly whose: 'ours' | 'other-participant' | 'foreign';
  /** Absent when foreign. */
  readonly parts?: GidParts;
  /** Absent when nothing says more than the gid. */
  readonly branch?: PreparedBranch;
}

/** What was recorded before the branch began. */
export interface PreparedBranch {
  readonly transaction: string;
  readonly branch: string;
  readonly operation: string;
  readonly register: string;
  /** Hash of the transaction's input. */
  readonly request: string | null;
  readonly namespace: string | null;
  /** Unique id of the namespace. */
  readonly namespaceId: string | null;
  readonly workflowId: string | null;
  readonly preCommitted: boolean;
}

/** Who looks: everything of another participant or namespace is left alone. */
export interface Viewer {
  readonly participant: string;
  readonly namespace: string;
}

// A superuser may finish all; a member of the owner's role may not, unless it acts as that role.
const LIST = `
  select x.gid, x.prepared as "preparedAt", x.owner::text, x.transaction::text as xid,
         extract(epoch from clock_timestamp() - x.prepared) * 1000 as "ageMs",
         (x.owner = current_user or (select rolsuper from pg_roles where rolname = current_user)) as owned,
         p.transaction_id as transaction, p.branch_id as branch, p.operation, p.register, p.request_hash as request,
         p.namespace, p.namespace_id as "namespaceId", p.workflow_id as "workflowId",
         p.pre_committed_at is not null as "preCommitted"
    from pg_prepared_xacts x
    left join txn.preparation p on p.gid = x.gid
   where x.database = current_database()
   order by x.prepared
   limit $1`;

interface Listed extends PreparedBranch {
  readonly gid: string;
  readonly preparedAt: Date;
  readonly ageMs: string;
  readonly owner: string;
  readonly owned: boolean;
  readonly xid: string;
}

/**
 * The prepared transactions of this database, the oldest first.
 *
 * @param limit how many at most
 */
export async function listPrepared(pool: Pool, viewer: Viewer, limit = 1_000): Promise<PreparedTransaction[]> {
  const { rows } = await pool.query<Listed>(LIST, [limit]);
  return rows.map(({ gid, preparedAt, ageMs, owner, owned, xid, ...recorded }) => {
    const parts = readGid(gid);
    return {
      gid,
      preparedAt,
      ageMs: Number(ageMs),
      owner,
      owned,
      xid,
      whose: whoseIs(parts, viewer),
      ...(parts === undefined ? {} : { parts }),
      // Outer join: all of it is null where nothing was recorded.
      ...((recorded.transaction as string | null) === null ? {} : { branch: recorded }),
    };
  });
}

function whoseIs(parts: GidParts | undefined, { participant, namespace }: Viewer): PreparedTransaction['whose'] {
  if (parts === undefined) return 'foreign';
  return parts.participant === participant && parts.scope === scopeOf(namespace) ? 'ours' : 'other-participant';
}

/** How full the server is. */
export interface Slots {
  /** Of all databases of the server. */
  readonly used: number;
  /** `max_prepared_transactions`; 0 when the server prepares none. */
  readonly limit: number;
}

/** Reads the use of the server's slots for prepared transactions. */
export async function readSlots(pool: Pool | PoolClient): Promise<Slots> {
  const { rows } = await pool.query<{ used: string; limit: string }>(
    `select (select count(*) from pg_prepared_xacts) as used, current_setting('max_prepared_transactions') as limit`,
  );
  return { used: Number(rows[0]?.used), limit: Number(rows[0]?.limit) };
}
