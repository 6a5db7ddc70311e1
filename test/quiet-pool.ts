/** Connections to a server that a test stops, or kills. */
import { Pool } from 'pg';
import type { PoolConfig } from 'pg';

/**
 * Makes lost connections nobody's surprise: `end` does not wait until they are closed, and a server that stops meanwhile tells them so, which
 * would end the process.
 */
export function quieten(pool: Pool): Pool {
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

export const quietPool = (config: PoolConfig): Pool => quieten(new Pool(config));
