/**
 * Removes old decisions from a register. A decision is what branches in doubt are finished by, so it may go only when every branch of
 * its transaction has ended, whatever was decided: without one to commit, recovery would abort what others have committed; without
 * one to abort, a branch of three-phase commit that is pre-committed would have committed what others have aborted. And it may go
 * only when it is old: one to abort for contention leads a repeated run to the attempt that committed. Purge decisions before
 * branches, which prove that they have ended.
 */
import type { Pool } from 'pg';
import type { Registered } from './register';
import { listDecisions } from './register';

export interface PurgeDecisionsOptions {
  /** Age in days from which a decision may go. As for the branch log: see `PurgeOptions`. At least 1. */
  readonly olderThanDays: number;
  /**
   * Whether every branch of a transaction has ended, committed or aborted, in the database of every participant: none is prepared
   * there any more. When it throws, the purge stops. The register's own database cannot tell.
   */
  readonly isSettled: (decision: Registered) => Promise<boolean>;
  /** Decisions looked at in one round. @default 500 */
  readonly batch?: number;
}

// What is prepared on this server still needs its decision, whatever anybody says.
const DELETE = `
  delete from txn.decision
   where transaction_key = any($1)
     and not exists (select from pg_prepared_xacts where gid like 'txn1\\_%' and position(transaction_key in gid) > 0)`;

/**
 * Removes decisions of a given age.
 *
 * @returns how many rows were removed
 * @throws {RangeError} when `olderThanDays` or `batch` is under 1; nothing is removed
 * @example await purgeDecisions(pool, { olderThanDays: 90, isSettled });
 */
export async function purgeDecisions(
  pool: Pool,
  { olderThanDays, isSettled, batch = 500 }: PurgeDecisionsOptions,
): Promise<number> {
  for (const [name, value] of Object.entries({ olderThanDays, batch })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`Nothing was removed: ${name} is ${value}, not a whole number from 1 up.`);
  }
  let removed = 0;
  let last = '';
  for (;;) {
    const old = await listDecisions(pool, { olderThanDays, after: last, limit: batch });
    const settled: string[] = [];
    try {
      for (const decision of old) {
        if (await isSettled(decision)) settled.push(decision.key);
        last = decision.key;
      }
    } finally {
      // Those that were found settled before it threw, too.
      removed += await remove(pool, settled);
    }
    if (old.length < batch) return removed;
  }
}

async function remove(pool: Pool, keys: readonly string[]): Promise<number> {
  const client = await pool.connect();
  let done = false;
  const ignore = (): void => undefined;
  // Without a listener, a server restart in the middle ends the process. The next statement fails with it.
  client.on('error', ignore);
  try {
    // The trigger of the table lets nobody else delete.
    await client.query(`begin; set local txn.purging = 'on'`);
    const { rowCount } = await client.query(DELETE, [keys]);
    await client.query('commit');
    done = true;
    return rowCount ?? 0;
  } finally {
    client.removeListener('error', ignore);
    client.release(!done);
  }
}
