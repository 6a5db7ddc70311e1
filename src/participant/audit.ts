/**
 * What one participant's database can say to an audit: its register, its branch log, its preparations, and what people did
 * by hand. Each is one statement, so one snapshot; an audit that compares several of them, or several databases, has to
 * expect that traffic goes on between two of them.
 */
import type { Pool } from 'pg';
import type { AbortReason, Decision, RegisteredBranch } from '../protocol';
import type { BranchState } from './branch-log';
import type { Gid, TransactionKey } from './gid';
import { keyOf, readGid } from './gid';

/** A row of the register. */
export interface AuditedDecision {
  readonly key: TransactionKey;
  /** Null when recovery decided and knew nothing but a gid. */
  readonly transaction: string | null;
  readonly decision: Decision;
  /** Absent of a commit, and where none was given. */
  readonly reason?: AbortReason;
  readonly by: string;
  readonly ageMs: number;
  /** Null when recovery or a person decided. */
  readonly branches: readonly RegisteredBranch[] | null;
}

// The age by the database's own clock: that of whoever asks may be wrong.
const DECISIONS = `
  select transaction_key as key, transaction_id as transaction, outcome as decision, reason::text as reason, decided_by as by,
         extract(epoch from clock_timestamp() - decided_at) * 1000 as "ageMs", branches::text as branches
    from txn.decision`;

type StoredDecision = Omit<AuditedDecision, 'reason' | 'branches' | 'ageMs'> & {
  readonly reason: string | null;
  readonly branches: string | null;
  readonly ageMs: string;
};

/**
 * Reads the register page by page, in the order of the keys.
 *
 * @param after the last key of the page before; empty for the first one
 */
export async function pageOfDecisions(pool: Pool, after: string, limit: number): Promise<AuditedDecision[]> {
  const { rows } = await pool.query<StoredDecision>(
    `${DECISIONS} where transaction_key > $1 order by transaction_key limit $2`,
    [after, limit],
  );
  return rows.map(readDecision);
}

/** Reads the decisions of these transactions, as far as they are in this register. */
export async function decisionsOf(pool: Pool, keys: readonly TransactionKey[]): Promise<AuditedDecision[]> {
  const { rows } = await pool.query<StoredDecision>(`${DECISIONS} where transaction_key = any($1)`, [keys]);
  return rows.map(readDecision);
}

// Casts: only `decide` writes rows.
const readDecision = ({ reason, branches, ageMs, ...row }: StoredDecision): AuditedDecision => ({
  ...row,
  ...(reason === null ? {} : { reason: JSON.parse(reason) as AbortReason }),
  ageMs: Number(ageMs),
  branches: branches === null ? null : (JSON.parse(branches) as RegisteredBranch[]),
});

/** A committed row of the branch log. */
export interface AuditedBranch {
  readonly transaction: string;
  readonly branch: string;
  readonly state: BranchState;
  /** The workflow that asked for it first. */
  readonly workflowId: string | null;
}

/** Reads what stands committed of these transactions. */
export async function branchesOf(pool: Pool, transactions: readonly string[]): Promise<AuditedBranch[]> {
  const { rows } = await pool.query<AuditedBranch>(
    `select transaction_id as transaction, branch_id as branch, state, workflow_id as "workflowId" from txn.branch where transaction_id = any($1)`,
    [transactions],
  );
  return rows;
}

/** A branch that was asked to prepare. */
export interface AuditedPreparation {
  readonly gid: string;
  readonly key: TransactionKey;
  readonly transaction: string;
  readonly branch: string;
  /** The participant that has the register. */
  readonly register: string;
  readonly ageMs: number;
  readonly prepared: boolean;
  /** Of its row in the branch log; null when it has none. */
  readonly state: BranchState | null;
}

// One snapshot of both tables. The list of prepared transactions is always the present one, and so may be ahead of them: a
// branch that commits in between has neither row nor prepared transaction here, and the second look of the audit clears it.
const PREPARATIONS = `
  select p.gid, p.transaction_id as transaction, p.branch_id as branch, p.register,
         extract(epoch from clock_timestamp() - p.created_at) * 1000 as "ageMs",
         exists (select from pg_prepared_xacts x where x.gid = p.gid and x.database = current_database()) as prepared, b.state
    from txn.preparation p
    left join txn.branch b on b.transaction_id = p.transaction_id and b.branch_id = p.branch_id
   where p.created_at < clock_timestamp() - make_interval(secs => $1)
   order by p.gid`;

/** Branches that were asked to prepare longer ago than the grace period and are not yet forgotten. */
export async function preparationsOf(
  pool: Pool,
  participant: string,
  graceMs: number,
): Promise<readonly AuditedPreparation[]> {
  const { rows } = await pool.query<Omit<AuditedPreparation, 'key' | 'ageMs'> & { readonly ageMs: string }>(
    PREPARATIONS,
    [graceMs / 1_000],
  );
  return rows
    .filter(({ gid }) => readGid(gid)?.participant === participant)
    .map((row) => ({ ...row, key: keyOf(row.transaction), ageMs: Number(row.ageMs) }));
}

/** What a person finished otherwise than the register says, or without it. */
export interface Heuristic {
  readonly gid: Gid;
  readonly key: TransactionKey;
  readonly transaction?: string;
  readonly branch?: string;
  readonly took: Decision;
  /** What the register said then. Absent when it said nothing or did not answer. */
  readonly decision?: Decision;
  readonly by: string;
  readonly reason: string;
}

/** As it is recorded, and what stands now. */
export interface RecordedHeuristic extends Heuristic {
  readonly id: string;
  readonly at: Date;
  readonly prepared: boolean;
  /** Of its row in the branch log; null when it has none, or is not known. */
  readonly state: BranchState | null;
}

/**
 * Records what is about to be done by hand. Before it is done, because a row too many is looked at by a person, a missing one by
 * nobody. It stays where it came to nothing: workers may not delete it, and {@link heuristicsOf} says what stands instead.
 */
export async function recordHeuristic(pool: Pool, heuristic: Heuristic): Promise<void> {
  const { gid, key, transaction, branch, took, decision, by, reason } = heuristic;
  await pool.query(
    `insert into txn.heuristic (gid, transaction_key, transaction_id, branch_id, took, decision, by, reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [gid, key, transaction ?? null, branch ?? null, took, decision ?? null, by, reason],
  );
}

type StoredHeuristic = Omit<RecordedHeuristic, 'transaction' | 'branch' | 'decision'> & {
  readonly transaction: string | null;
  readonly branch: string | null;
  readonly decision: Decision | null;
};

const HEURISTICS = `
  select h.id::text, h.gid, h.transaction_key as key, h.transaction_id as transaction, h.branch_id as branch, h.took, h.decision, h.by,
         h.reason, h.at,
         exists (select from pg_prepared_xacts x where x.gid = h.gid and x.database = current_database()) as prepared, b.state
    from txn.heuristic h
    left join txn.branch b on b.transaction_id = h.transaction_id and b.branch_id = h.branch_id
   order by h.id`;

/** Everything that was to be done by hand, the oldest first. */
export async function heuristicsOf(pool: Pool): Promise<readonly RecordedHeuristic[]> {
  const { rows } = await pool.query<StoredHeuristic>(HEURISTICS);
  return rows.map(({ transaction, branch, decision, ...row }) => ({
    ...row,
    ...(transaction === null ? {} : { transaction }),
    ...(branch === null ? {} : { branch }),
    ...(decision === null ? {} : { decision }),
  }));
}
