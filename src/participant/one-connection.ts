/**
 * Several statements on one connection of a pool, which gets it back only when its state is known: after any failure it is closed,
 * because it may be in a transaction, and whoever got it next would be in it too.
 */
import type { Pool, PoolClient } from 'pg';

/** @param work `spoil`: the connection is not fit for anyone else, whatever the work comes to */
export async function onOneConnection<T>(
  pool: Pool,
  work: (client: PoolClient, spoil: (error: Error) => void) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let failed: Error | undefined;
  // Without a listener, a server restart in the middle ends the process. The next statement fails with it.
  const spoil = (error: Error): void => {
    failed = error;
  };
  client.on('error', spoil);
  try {
    return await work(client, spoil);
  } catch (error) {
    failed ??= error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.removeListener('error', spoil);
    client.release(failed);
  }
}
