/** Whether a participant can do its work: what its worker's health check answers, and the coordinators that it kept waiting. */
import type { Pool, PoolClient } from 'pg';
import type { ParticipantHealth } from '../protocol';
import { forAWhile } from './for-a-while';
import { checkSchemaStill } from './migrate';
import { readSlots } from './prepared';
import { describe, isDatabaseError } from './sqlstate';

export type { ParticipantHealth } from '../protocol';

/**
 * Asks the participant's database: whether it answers, takes writes, and has the schema that this package needs, or already that of a later version. Never throws.
 *
 * @param timeoutMs how long the database may take to answer, in milliseconds; a slower one is reported as unhealthy
 */
export async function participantHealth(pool: Pool, timeoutMs = 1_500): Promise<ParticipantHealth> {
  try {
    return await forAWhile(pool, timeoutMs, look);
  } catch (error) {
    return { status: 'unhealthy', reason: reasonOf(error) };
  }
}

async function look(client: PoolClient): Promise<ParticipantHealth> {
  await checkSchemaStill(client);
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (rows[0]?.standby) return { status: 'unhealthy', reason: 'The database is a standby, which takes no writes.' };
  return { status: 'healthy', slots: await readSlots(client) };
}

/** It is kept in histories: of PostgreSQL's errors only the code, see `failures.ts`. */
function reasonOf(error: unknown): string {
  if (isDatabaseError(error)) return `${describe(error)}.`;
  return error instanceof Error ? error.message : String(error);
}
