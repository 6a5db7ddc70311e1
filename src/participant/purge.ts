/**
 * Removes old rows of the branch log. The log is what keeps a repeated request from taking effect twice, so a row may go
 * only when no request for its branch can come any more: it is old, and its transaction is known to be closed.
 */
import type { Pool } from 'pg';
import { heirsOf, isGroupId } from '../protocol';
import type { Caller } from './branch-log';

export interface PurgeOptions {
  /**
   * Age in days from which a row may go. Must be longer than Temporal's retention, than any client keeps retrying, and than
   * the oldest backup that may be restored. At least 1.
   */
  readonly olderThanDays: number;
  /**
   * Whether a transaction is still open. Asked for each one that has old rows; when it throws, the purge stops.
   * `client.isOpen` of `temporal-txn/client` does it.
   */
  readonly isOpen: (caller: Caller) => Promise<boolean>;
  /** Transactions looked at in one round. @default 500 */
  readonly batch?: number;
}

// A transaction goes as a whole: while one of its branches is young, all of them stay.
const OLD_TRANSACTIONS = `
  select transaction_id as id,
         coalesce(jsonb_agg(distinct jsonb_build_object('namespace', namespace, 'workflowId', workflow_id))
                    filter (where namespace is not null and workflow_id is not null), '[]') as callers
    from txn.branch
   where transaction_id > $2
   group by transaction_id
  having max(greatest(created_at, ended_at)) < clock_timestamp() - make_interval(days => $1)
     and not exists (select from txn.semantic_lock l where l.transaction_id = txn.branch.transaction_id)
     and not bool_or(state = 'tried')
   order by transaction_id
   limit $3`;

// A branch may have come since the look: its transaction stays.
const DELETE = `
  delete from txn.branch b
   where transaction_id = any($2)
     and not exists (
       select from txn.branch young
        where young.transaction_id = b.transaction_id
          and greatest(young.created_at, young.ended_at) >= clock_timestamp() - make_interval(days => $1))`;

/**
 * Removes the branches of closed transactions of a given age.
 *
 * @returns how many rows were removed
 * @throws {RangeError} when `olderThanDays` or `batch` is under 1; nothing is removed
 * @example await purge(pool, { olderThanDays: 90, isOpen: transactions.isOpen });
 */
export async function purge(pool: Pool, { olderThanDays, isOpen, batch = 500 }: PurgeOptions): Promise<number> {
  if (!Number.isSafeInteger(olderThanDays) || olderThanDays < 1) {
    throw new RangeError(
      `Nothing was removed: olderThanDays is ${olderThanDays}, not a whole number of days from 1 up.`,
    );
  }
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new RangeError(`Nothing was removed: batch is ${batch}, not a whole number from 1 up.`);
  }
  let removed = 0;
  let last = '';
  for (;;) {
    const { rows } = await pool.query<{ id: string; callers: Caller[] }>(OLD_TRANSACTIONS, [
      olderThanDays,
      last,
      batch,
    ]);
    const closed: string[] = [];
    for (const { id, callers } of rows) {
      if (
        !(await isAnyOpen(
          callers.flatMap((caller) => [caller, ...heirsIn(caller, id)]),
          isOpen,
        ))
      )
        closed.push(id);
      last = id;
    }
    const { rowCount } = await pool.query(DELETE, [olderThanDays, closed]);
    removed += rowCount ?? 0;
    if (rows.length < batch) return removed;
  }
}

/** What a group has begun may go on as a workflow of its own, long after the group has ended. */
const heirsIn = (caller: Caller, transaction: string): readonly Caller[] =>
  isGroupId(caller.workflowId) ? heirsOf(transaction).map((workflowId) => ({ ...caller, workflowId })) : [];

/** A branch without a caller was run by hand: nothing can repeat it, and nobody is asked. */
async function isAnyOpen(callers: readonly Caller[], isOpen: PurgeOptions['isOpen']): Promise<boolean> {
  for (const caller of callers) if (await isOpen(caller)) return true;
  return false;
}
