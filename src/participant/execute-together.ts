/**
 * Runs many branches of one operation in one local transaction, by the set-based form that the operation offers. Each has its row
 * in the branch log, written first, as if it ran by itself; a row that is there already keeps its branch out.
 *
 * All or nothing: whatever goes wrong, nothing is left behind, and each of them is asked by itself.
 */
import type { PoolClient } from 'pg';
import { crashpoint } from '../protocol';
import type { BranchRequest, ExecuteAnswer } from '../protocol';
import { guarded, readInput, writeResult } from './branch';
import type { Branch } from './branch';
import { insertBranches, recordResults } from './branch-log';
import { inLocalTransaction } from './local-transaction';
import { withManyTx } from './tx';
import type { ManyCall } from './tx';

/**
 * How long a set waits for one lock, for each set that is under way with it: all of its branches wait with the one that needs the
 * lock. Then each of them is done by itself, and only that one waits for as long as an operation may. Sets that want the same
 * row wait for each other, and must not fall apart for that: one by one they would take many times as long.
 */
const SET_LOCK_MS = 100;

/**
 * @param sets how many are under way in this process, this one included
 * @returns an answer for each branch that took effect; the others are to be asked by themselves
 */
export async function executeTogether(
  branch: Branch,
  requests: readonly BranchRequest[],
  sets: number,
): Promise<ReadonlyMap<BranchRequest, ExecuteAnswer>> {
  const label = `txn:${branch.name}: ${requests.length} together`;
  const timeouts = { ...branch.timeouts, lockMs: Math.min(branch.timeouts.lockMs, sets * SET_LOCK_MS) };
  return guarded(branch, () =>
    inLocalTransaction(branch.pool, { timeouts, mode: 'read write', label }, async (client) => {
      branch.checkWithdrawn?.();
      const inserted = await insertBranches(client, branch.name, requests, branch.caller);
      await crashpoint('branch.logged-before-work');
      if (inserted.length === 0) return new Map();
      const jsons = await work(client, branch, inserted);
      await recordResults(client, inserted, jsons);
      await crashpoint('branch.before-commit');
      branch.checkWithdrawn?.();
      return new Map(inserted.map((request, i) => [request, applied(jsons[i] as string)])); // Cast: as many as requests.
    }),
  );
}

const applied = (json: string): ExecuteAnswer => ({ answer: 'applied', result: JSON.parse(json) as unknown });

async function work(
  client: PoolClient,
  { name, operation, wakeRelays }: Branch,
  requests: readonly BranchRequest[],
): Promise<readonly string[]> {
  const calls: ManyCall<unknown>[] = [];
  for (const { transaction, branch, input } of requests)
    calls.push({ transaction, branch, input: await readInput(operation, input) });
  const results = await withManyTx(client, wakeRelays, async (tx) => operation.executeMany?.(tx, calls));
  if (results?.length !== calls.length)
    throw new RangeError(
      `executeMany of ${name} returned ${results?.length ?? 'no'} results for ${calls.length} calls.`,
    );
  return results.map((result) => writeResult(name, result));
}
