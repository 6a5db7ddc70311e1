/**
 * The limit of two-phase commit: one process prepares at both banks, writes the decision in the first one, and commits. A transfer that is
 * repeated finds that its key is taken; nobody finishes what is prepared when the process dies.
 */
import { DatabaseError } from 'pg';
import type { Pool, PoolClient } from 'pg';
import { commitTogether, credit, debit } from '../direct/two-phase-commit';
import type { Call } from './block';

const UNIQUE_VIOLATION = '23505';

export async function transferInTwoPhases([north, south]: readonly [Pool, Pool], call: Call): Promise<void> {
  const { id, transfer } = call;
  const branches = [
    { pool: north, gid: `${id}/debit`, work: once(`${id}/debit`, (client) => debit(client, id, transfer)) },
    { pool: south, gid: `${id}/credit`, work: once(`${id}/credit`, (client) => credit(client, id, transfer)) },
  ];
  try {
    await commitTogether(branches, async () => {
      await north.query('insert into direct_decision (id, outcome) values ($1, $2)', [id, 'commit']);
    });
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === UNIQUE_VIOLATION)) throw error;
  }
}

const once =
  (key: string, work: (client: PoolClient) => Promise<void>) =>
  async (client: PoolClient): Promise<void> => {
    await client.query('insert into handled (key) values ($1)', [key]);
    await work(client);
  };
