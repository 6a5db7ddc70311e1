/**
 * Semantic lock: a mark on a record that an unfinished saga has changed, so that other sagas do not build on what may yet be
 * undone. It belongs to a transaction, never to a clock: a lease could run out while the saga lives.
 *
 * It is set in the local transaction of the step and released by the compensation of that step, or, when the saga
 * completes, by the coordinator. One that a try has set is released by its confirmation or cancellation. Several branches of the
 * transaction may hold one together: it goes with the last of them.
 *
 * @see Frank, Zahle: "Semantic ACID properties in multidatabases using remote procedure calls and update propagations", 1998
 * @see Richardson: "Microservices Patterns", 4.3.2
 */
import type { Pool } from 'pg';
import type { BranchRequest, TransactionId } from '../../protocol';
import { refuse } from '../refuse';
import { ResourceLockedError } from '../errors';
import type { Statement } from '../pipeline';
import type { OpenTx, Tx } from '../tx';

const ACQUIRE = `
  insert into txn.semantic_lock (resource, transaction_id, branch_id) values ($1, $2, $3)
  on conflict (resource) do nothing`;

// Waits for whoever takes or leaves it at the same moment. It may be gone then.
const JOIN = `
  update txn.semantic_lock
     set also_held_by = case when branch_id = $3 or $3 = any (also_held_by) then also_held_by else also_held_by || $3 end
   where resource = $1 and transaction_id = $2`;

const OWNER = `select transaction_id as owner from txn.semantic_lock where resource = $1`;

export interface SemanticLockOptions {
  /**
   * What to do when another transaction holds the lock: `retry` the step until its timeout, or `refuse` it at once with code
   * `resource-locked`.
   * @default 'retry'
   */
  readonly onConflict?: 'retry' | 'refuse';
}

/**
 * Locks a resource for this transaction, until the transaction completes or this branch is compensated, and every other branch of the
 * transaction that has locked it.
 *
 * @param tx the step's local transaction
 * @param resource any name that all operations of this participant agree on, 1 to 255 characters: `order/4711`
 * @throws {ResourceLockedError} when another transaction holds it; retried
 * @throws {RefusalError} the same with `onConflict: 'refuse'`
 * @example await semanticLock(tx, `order/${order}`);
 */
export async function semanticLock(
  tx: Tx,
  resource: string,
  { onConflict = 'retry' }: SemanticLockOptions = {},
): Promise<void> {
  if (resource.length < 1 || resource.length > 255) {
    refuse('invalid-resource', `The name of a locked resource has 1 to 255 characters, not ${resource.length}`);
  }
  const { rowCount } = await tx.query(ACQUIRE, [resource, tx.transaction, tx.branch]);
  if (rowCount === 0) await join(tx, resource, onConflict);
  // Cast: every Tx is made by withTx.
  (tx as OpenTx).holdsLocks = true;
}

/** Holds it together with other branches of the transaction, if it is theirs. */
async function join(tx: Tx, resource: string, onConflict: 'retry' | 'refuse'): Promise<void> {
  const { rows } = await tx.query<{ owner: string }>(OWNER, [resource]);
  const owner = rows[0]?.owner ?? JUST_ENDED;
  if (owner === tx.transaction) {
    const { rowCount } = await tx.query(JOIN, [resource, tx.transaction, tx.branch]);
    if (rowCount === 1) return;
    throw new ResourceLockedError(resource, JUST_ENDED);
  }
  if (onConflict === 'refuse') refuse('resource-locked', `${resource} is locked by transaction ${owner}`);
  throw new ResourceLockedError(resource, owner);
}

const JUST_ENDED = 'one that just ended';

// Takes the branch off each of its locks, and hands those on that others hold with it. From here on nobody comes in between: whoever takes or
// leaves one of them waits for its row.
const LEAVE = `
  update txn.semantic_lock
     set branch_id = case when branch_id = $2 then coalesce(also_held_by[1], branch_id) else branch_id end,
         also_held_by = case when branch_id = $2 then also_held_by[2:] else array_remove(also_held_by, $2) end
   where transaction_id = $1 and (branch_id = $2 or $2 = any (also_held_by))`;

/** What releases the locks of one branch. Part of its compensation, and of the end of a reservation. */
export function branchLocksRelease({ transaction, branch }: BranchRequest): readonly Statement[] {
  const values = [transaction, branch];
  return [
    { text: LEAVE, values },
    { text: 'delete from txn.semantic_lock where transaction_id = $1 and branch_id = $2', values },
  ];
}

/** Releases what a transaction locked in this database. Asked for by the coordinator when the transaction has completed. */
export async function releaseLocks(pool: Pool, transaction: TransactionId): Promise<number> {
  const { rowCount } = await pool.query('delete from txn.semantic_lock where transaction_id = $1', [transaction]);
  return rowCount ?? 0;
}
