/** Whether the branches of a decision have ended, as their own databases say: what purging it has to know. */
import type { Pool } from 'pg';
import { show } from '../protocol';
import { branchesOf } from './audit';
import type { Registered } from './register';

/**
 * Makes the `isSettled` of {@link purgeDecisions}. A branch has ended when its row in the branch log is committed, whatever that says, and
 * is not only reserved; one that only read has nothing to end. A decision that does not name its branches, because recovery or a person
 * made it, is kept. A branch that is none of a participant is not looked at: be it sure that it has asked within `olderThanDays`.
 *
 * @param pools of all participants, by name
 * @returns throws a RangeError where a branch is at a participant that is not among them, so that nothing more is purged
 * @example
 * const isSettled = settledIn({ 'north-bank': north, 'south-bank': south });
 * await purgeDecisions(north, { olderThanDays: 90, isSettled });
 */
export const settledIn =
  (pools: Readonly<Record<string, Pool>>): ((decision: Registered) => Promise<boolean>) =>
  async ({ transaction, branches }) => {
    if (transaction === null || branches.length === 0) return false;
    for (const { branch, participant, vote } of branches) {
      if (participant === undefined || vote === 'read-only') continue;
      if (!Object.hasOwn(pools, participant))
        throw new RangeError(
          `This decision and those after it are kept: ${transaction} has a branch at ${show(participant)}, which is not among the pools. Add it.`,
        );
      const rows = await branchesOf(pools[participant] as Pool, [transaction]); // Cast: it is there.
      if (!rows.some((row) => row.branch === branch && row.state !== 'tried')) return false;
    }
    return true;
  };
