/** Whether a participant can do its work: what its worker's health check answers. */
import type { Pool } from 'pg';
import { checkSchema } from './migrate';

export type ParticipantHealth =
  { readonly status: 'healthy' } | { readonly status: 'unhealthy'; readonly reason: string };

/**
 * Asks the participant's database. Never throws.
 *
 * @param timeoutMs how long the database may take to answer, in milliseconds; a slower one is reported as unhealthy
 */
export async function participantHealth(pool: Pool, timeoutMs = 3_000): Promise<ParticipantHealth> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The database did not answer within ${timeoutMs} ms.`)), timeoutMs);
  });
  try {
    await Promise.race([checkSchema(pool), tooLate]);
    return { status: 'healthy' };
  } catch (error) {
    return { status: 'unhealthy', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
