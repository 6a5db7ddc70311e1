/** A service of the example under test: its declaration, its schema and its seed, on a real database. */
import type { Participant } from 'temporal-txn/participant';
import { applySchema, applySeed } from '../../activities/database';
import type { ServiceName } from '../../activities/services';
import { useParticipant, usePostgres } from '../participant/fixture';
import type { TestBranch, TestParticipant } from '../participant/fixture';

export { refusal } from '../participant/fixture';

/** The service with the rows that the example opens with. */
export function useService(name: ServiceName, participant: Participant | (() => Participant)): TestParticipant {
  const declare = typeof participant === 'function' ? participant : () => participant;
  return useParticipant(usePostgres(), name, declare, async (pool) => {
    await applySchema(pool, name);
    await applySeed(pool, name);
  });
}

/** How many of the branches took effect; the others were refused with this code, or the test fails. */
export async function countApplied(branches: readonly TestBranch[], code: string): Promise<number> {
  const outcomes = await Promise.allSettled(branches.map((branch) => branch.execute()));
  return outcomes.filter((outcome) => {
    if (outcome.status === 'fulfilled') return true;
    const failure = outcome.reason as { details?: readonly { code?: string }[] };
    if (failure.details?.[0]?.code !== code) throw outcome.reason;
    return false;
  }).length;
}
