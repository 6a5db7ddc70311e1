/**
 * Connections that end when the database falls silent. A host that is gone without a word, in a failover or behind a firewall, would keep
 * every attempt that waits for its answer: as long as TCP believes in it, a quarter of an hour, and for ever behind a proxy that lives on.
 * With them it keeps their places, which a new connection could use.
 *
 * `query_timeout` of pg gives up the statement and keeps the connection, on which whatever comes next, the rollback too, waits behind
 * it. Here the connection is cut: it is lost, as one that the network has cut, and everybody who has it learns that at once.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Pool, PoolClient } from 'pg';
import { DEFAULT_LOCAL_TIMEOUTS, LONGEST_LOCAL_MS, longestSilenceMs, show } from '../protocol';
import { DatabaseSilentError } from './errors';

/** What pg's types do not say of a client. Absent in one that is not written in JavaScript. */
interface Connected {
  readonly connection?: { readonly stream: Duplex };
  /** Whether it waits for no answer. */
  readonly readyForQuery?: boolean;
}

/** Nothing at a participant takes longer than 24 hours, and an attempt has 5 seconds more. */
const MOST_MS = longestSilenceMs({ ...DEFAULT_LOCAL_TIMEOUTS, startToCloseMs: LONGEST_LOCAL_MS });

/**
 * Sees to it for all connections that a pool makes from now on. `runParticipant` does it by itself; a worker of your own gives its pool to it
 * before anything else. It must be a pool whose statements are all that short.
 *
 * @param limitMs how long the database may be silent while it is asked, in milliseconds; 0 is without limit. It has to be longer than what a
 * statement may take
 * @throws {RangeError} when it is no whole number from 0 to 24 hours and 5 seconds
 * @example
 * const pool = new Pool({ connectionString });
 * cutWhenSilent(pool);
 * const activities = participantActivities(accounts, { pool });
 */
export function cutWhenSilent(pool: Pool, limitMs: number = longestSilenceMs(DEFAULT_LOCAL_TIMEOUTS)): void {
  if (!Number.isSafeInteger(limitMs) || limitMs < 0 || limitMs > MOST_MS)
    throw new RangeError(
      `Nothing was started: query_timeout, for how long a database may be silent, is ${show(limitMs)}, not a whole number of milliseconds from 0 to ${MOST_MS}.`,
    );
  pool.on('connect', (given: PoolClient) => {
    const client = given as Connected; // Cast: see there.
    const stream = client.connection?.stream;
    if (!(stream instanceof Socket)) return;
    stream.setTimeout(limitMs);
    stream.on('timeout', () => {
      // It has been told to close, and nobody is there to do so.
      if (stream.writableEnded) stream.destroy();
      // In between, the operation does something else, or nobody has the connection.
      else if (client.readyForQuery === false) stream.destroy(new DatabaseSilentError(limitMs));
    });
  });
}
