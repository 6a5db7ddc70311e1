/** Whether the branches of a decision have ended, as their own databases say: what purging it has to know. */
import type { Pool } from 'pg';
import { show } from '../protocol';
import type { TransactionKey } from './gid';
import type { Registered } from './register';

// The list of prepared transactions is always the present one, and what is prepared was noted before.
const LOOK = `
  select exists (select from txn.branch where transaction_id = $1 and branch_id = $2 and state <> 'tried') as ended,
         exists (select from txn.branch where transaction_id = $1 and branch_id = $2 and state = 'tried')
           or exists (select from txn.preparation where transaction_id = $1 and branch_id = $2)
           or exists (select from pg_prepared_xacts
                       where database = current_database() and gid like 'txn1\\_%' and position($3 in gid) > 0) as open`;

/**
 * Makes the `isSettled` of {@link purgeDecisions}. A branch has ended when its row in the branch log is committed, whatever that says, and
 * is not only reserved; where the decision is abort also when nothing of it is prepared or noted: it was never done. A decision that does
 * not name its branches, because recovery or a person made it, is kept. A branch that is none of a participant is not looked at: be it
 * sure that it has asked within `olderThanDays`.
 *
 * @param pools of all participants, by name; null for one that is gone for good: what has a branch there is kept
 * @returns what throws a RangeError where a branch is at a participant that is not among them, so that the purge stops
 * @example
 * const isSettled = settledIn({ 'north-bank': north, 'south-bank': south });
 * await purgeDecisions(north, { olderThanDays: 90, isSettled });
 */
export const settledIn =
  (pools: Readonly<Record<string, Pool | null>>): ((decision: Registered) => Promise<boolean>) =>
  async ({ key, transaction, decision, branches }) => {
    if (transaction === null || branches.length === 0) return false;
    for (const { branch, participant, vote } of branches) {
      if (participant === undefined || vote === 'read-only') continue;
      const pool = Object.hasOwn(pools, participant) ? pools[participant] : undefined;
      if (pool === undefined)
        throw new RangeError(
          `This decision and those after it are kept: ${transaction} has a branch at ${show(participant)}, which is not among the pools. ` +
            'Add it, or null where it is gone for good.',
        );
      if (pool === null) return false;
      const { ended, open } = await lookAt(pool, transaction, branch, key);
      if (!ended && (open || decision === 'commit')) return false;
    }
    return true;
  };

async function lookAt(
  pool: Pool,
  transaction: string,
  branch: string,
  key: TransactionKey,
): Promise<{ readonly ended: boolean; readonly open: boolean }> {
  const { rows } = await pool.query<{ ended: boolean; open: boolean }>(LOOK, [transaction, branch, key]);
  return { ended: rows[0]?.ended === true, open: rows[0]?.open !== false };
}
