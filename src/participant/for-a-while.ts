/**
 * Work on a connection of a pool that ends in time, because nobody may wait for it long. A connection that has fallen silent is
 * closed then: left to itself it would be missing in the pool, one more with every try.
 */
import type { Pool, PoolClient } from 'pg';
import { onOneConnection } from './one-connection';

/** @throws {Error} when the database has not answered in time, and whatever the work throws */
export async function forAWhile<T>(pool: Pool, limitMs: number, work: (client: PoolClient) => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The database did not answer within ${limitMs} ms.`)), limitMs);
  });
  try {
    const working = onOneConnection(pool, (client) => Promise.race([tooLate, work(client)]));
    return await Promise.race([tooLate, working]);
  } finally {
    clearTimeout(timer);
  }
}
