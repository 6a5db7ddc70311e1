/**
 * What people have accepted: a branch did otherwise than decided, or without a decision, and somebody has looked at it and put
 * things right by other means, or lets it stand. Nothing but the audit's opinion depends on it, and recovery's, which no longer
 * asks what became of a branch that is accepted as lost. Rows are only ever added.
 */
import type { Pool } from 'pg';
import type { Decision } from '../protocol';
import type { TransactionKey } from './gid';

/** That one branch did what it did, accepted. */
export interface Acceptance {
  readonly key: TransactionKey;
  /** Hash of the branch id, as in its gid. */
  readonly branchKey: string;
  readonly transaction?: string;
  readonly branch?: string;
  /** What the branch amounts to. */
  readonly took: Decision;
  /** What the register said then. Absent when it said nothing. */
  readonly decision?: Decision;
  readonly by: string;
  readonly reason: string;
}

/** As it is recorded. */
export interface RecordedAcceptance extends Acceptance {
  readonly at: Date;
}

const RECORD = `
  insert into txn.acceptance (transaction_key, branch_key, transaction_id, branch_id, decision, by, reason, took)
  select distinct $1, $2, $3::text, $4::text, decision, $5, $6, took
    from unnest($7::text[], $8::text[]) as deed (took, decision)`;

/** Records what a person accepts of one branch: several deeds when it was forced more than once. */
export async function recordAcceptance(
  pool: Pool,
  { key, branchKey, transaction, branch, by, reason }: Omit<Acceptance, 'took' | 'decision'>,
  deeds: readonly Pick<Acceptance, 'took' | 'decision'>[],
): Promise<void> {
  await pool.query(RECORD, [
    key,
    branchKey,
    transaction ?? null,
    branch ?? null,
    by,
    reason,
    deeds.map(({ took }) => took),
    deeds.map(({ decision }) => decision ?? null),
  ]);
}

type StoredAcceptance = Omit<RecordedAcceptance, 'transaction' | 'branch' | 'decision'> & {
  readonly transaction: string | null;
  readonly branch: string | null;
  readonly decision: Decision | null;
};

/** Everything that was accepted in this database, the latest first. */
export async function acceptancesOf(pool: Pool): Promise<readonly RecordedAcceptance[]> {
  const { rows } = await pool.query<StoredAcceptance>(
    `select transaction_key as key, branch_key as "branchKey", transaction_id as transaction, branch_id as branch,
            took, decision, by, reason, at
       from txn.acceptance order by id desc`,
  );
  return rows.map(({ transaction, branch, decision, ...row }) => ({
    ...row,
    ...(transaction === null ? {} : { transaction }),
    ...(branch === null ? {} : { branch }),
    ...(decision === null ? {} : { decision }),
  }));
}
