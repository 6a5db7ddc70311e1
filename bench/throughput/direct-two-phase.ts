/**
 * The limit of two-phase commit: one process prepares at both banks, writes the decision in the first one, and commits. A transfer that is
 * repeated finds that its key is taken; nobody finishes what is prepared when the process dies.
 */
import { DatabaseError } from 'pg';
import type { Pool, PoolClient } from 'pg';
import { commitTogether, writeDecision } from '../direct/two-phase-commit';
import type { Branch } from '../direct/two-phase-commit';
import { credit, debit } from '../hand-written/statements';
import type { Call } from './block';

const UNIQUE_VIOLATION = '23505';

export async function transferInTwoPhases([north, south]: readonly [Pool, Pool], call: Call): Promise<void> {
  const { from, to, amount, currency } = call.transfer;
  const branches = [
    once(north, `${call.id}/debit`, (client, key) => debit(client, { account: from, amount, currency }, key)),
    once(south, `${call.id}/credit`, (client, key) => credit(client, { account: to, amount, currency }, key)),
  ];
  try {
    await commitTogether(branches, () => writeDecision(north, call.id));
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === UNIQUE_VIOLATION)) throw error;
  }
}

const once = (pool: Pool, key: string, work: (client: PoolClient, key: string) => Promise<unknown>): Branch => ({
  pool,
  gid: key,
  work: async (client) => {
    await client.query('insert into handled (key) values ($1)', [key]);
    await work(client, key);
  },
});
