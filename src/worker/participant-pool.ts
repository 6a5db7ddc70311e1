/** The connections of a participant's worker. */
import { Pool } from 'pg';
import type { PoolConfig } from 'pg';
import { cutWhenSilent } from '../participant';
import { longestSilenceMs } from '../protocol';
import type { LocalTimeouts } from '../protocol';

/** How many branches a participant works on at the same time, unless it is told otherwise. */
export const DEFAULT_CONCURRENCY = 20;

/**
 * @param database its `query_timeout` is how long the database may be silent, in place of what follows from the timeouts
 * @param concurrency how many branches run at the same time
 */
export function participantPool(
  { query_timeout: limitMs, ...database }: PoolConfig,
  concurrency: number,
  timeouts: LocalTimeouts,
): Pool {
  const pool = new Pool({
    // Two more than there are branches: the health check must not wait behind them.
    max: concurrency + 2,
    connectionTimeoutMillis: 5_000,
    // For connections that nobody uses: nobody would notice that they are gone.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...database,
  });
  cutWhenSilent(pool, limitMs ?? longestSilenceMs(timeouts));
  return pool;
}
