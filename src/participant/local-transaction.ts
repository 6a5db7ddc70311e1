/**
 * One local transaction on one pinned connection: every timeout set, COMMIT's answer checked, and the connection given back
 * only when its state is known.
 *
 * node-postgres returns a client to the pool as it is, and a client with an open or failed transaction poisons whoever gets
 * it next; so at any doubt the connection is closed.
 */
import { DatabaseError } from 'pg';
import type { Pool, PoolClient } from 'pg';
import type { LocalTimeouts } from '../protocol';
import { SwallowedFailureError } from './errors';

export interface LocalTransactionOptions {
  readonly timeouts: LocalTimeouts;
  readonly mode: 'read write' | 'read only';
  /** Shown in `pg_stat_activity`, so that a blocked operator sees whose session it is. */
  readonly label: string;
}

export async function inLocalTransaction<T>(
  pool: Pool,
  options: LocalTransactionOptions,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // Without a listener, a server restart while the client is checked out ends the process.
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query(begin(client, options));
    const result = await work(client);
    const { command } = await client.query('commit');
    if (command !== 'COMMIT') throw new SwallowedFailureError();
    return result;
  } catch (error) {
    broken ??= await rollback(client);
    throw isFailedTransaction(error) ? new SwallowedFailureError() : error;
  } finally {
    client.removeListener('error', onError);
    client.release(broken);
  }
}

// The error of every statement after the one that failed, so that one's own error was caught.
const isFailedTransaction = (error: unknown): boolean => error instanceof DatabaseError && error.code === '25P02';

// One message: the settings cost no round trip of their own. All numbers are checked integers.
const begin = (client: PoolClient, { timeouts, mode, label }: LocalTransactionOptions): string => `
  begin isolation level read committed ${mode};
  set local lock_timeout = ${timeouts.lockMs};
  set local statement_timeout = ${timeouts.statementMs};
  set local idle_in_transaction_session_timeout = ${timeouts.idleInTransactionMs};
  set local application_name = ${client.escapeLiteral(label.slice(0, 63))}`;

async function rollback(client: PoolClient): Promise<Error | undefined> {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
