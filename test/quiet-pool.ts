/** Connections to a server that a test stops, or kills. */
import { Pool } from 'pg';
import type { PoolConfig } from 'pg';

/**
 * A pool whose lost connections are nobody's surprise: `end` does not wait until they are closed, and a server that stops meanwhile
 * tells them so, which would end the process.
 */
export function quietPool(config: PoolConfig): Pool {
  const pool = new Pool(config);
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
