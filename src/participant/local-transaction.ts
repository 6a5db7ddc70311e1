/**
 * One local transaction on one pinned connection: every timeout set, the answer of COMMIT and of PREPARE TRANSACTION
 * checked, and the connection given back only when its state is known.
 *
 * node-postgres returns a client to the pool as it is, and a client with an open or failed transaction poisons whoever gets
 * it next; so at any doubt the connection is closed.
 */
import type { Pool, PoolClient } from 'pg';
import { SPANS } from '../observability';
import type { LocalTimeouts } from '../protocol';
import { SwallowedFailureError } from './errors';
import type { Gid } from './gid';
import { pipelined } from './pipeline';
import type { Completed, Statement } from './pipeline';
import { isDatabaseError } from './sqlstate';
import { inStatementSpan } from './statement-span';

export interface LocalTransactionOptions {
  readonly timeouts: LocalTimeouts;
  readonly mode: 'read write' | 'read only';
  /** Shown in `pg_stat_activity`, so that a blocked operator sees whose session it is. */
  readonly label: string;
  /** Statements that are sent along with BEGIN, and cost no round trip of their own. */
  readonly first?: readonly Statement[];
  /** The same, to be committed before it begins, in a transaction of their own. */
  readonly before?: readonly Statement[];
}

/**
 * As SQL, what `synchronous_commit` is to be in a transaction whose commit others rely on. `remote_apply` and the like are stronger than
 * `on`, and stay.
 */
export const DURABLE = `
  case when current_setting('synchronous_commit') in ('off', 'local') then 'on' else current_setting('synchronous_commit') end`;

const hints = new WeakMap<PoolClient, Set<() => void>>();

/**
 * Has something done once the transaction that is open on a connection has committed here. For hints: a crash loses it, and a
 * transaction that is prepared is committed elsewhere.
 */
export function afterCommit(client: PoolClient, hint: () => void): void {
  const known = hints.get(client);
  if (known) known.add(hint);
  else hints.set(client, new Set([hint]));
}

/** Runs some work and commits it. */
export async function inLocalTransaction<T>(
  pool: Pool,
  options: LocalTransactionOptions,
  work: (client: PoolClient, transaction: LocalTransaction) => Promise<T>,
): Promise<T> {
  const transaction = await LocalTransaction.begin(pool, options);
  try {
    const result = await work(transaction.client, transaction);
    await transaction.commit();
    return result;
  } catch (error) {
    await transaction.rollback();
    throw isFailedTransaction(error) ? new SwallowedFailureError() : error;
  }
}

/** An open transaction. Ends with the first call of `commit`, `prepare` or `rollback`; whatever comes later does nothing. */
export class LocalTransaction {
  /** What the statements came to that were sent along with BEGIN. */
  first: readonly Completed[] = [];
  readonly #last: Statement[] = [];
  #over = false;
  #broken: Error | undefined;

  private constructor(readonly client: PoolClient) {
    // Without a listener, a server restart while the client is checked out ends the process.
    client.on('error', this.#onError);
  }

  static async begin(pool: Pool, options: LocalTransactionOptions): Promise<LocalTransaction> {
    const { before = [], first = [] } = options;
    const transaction = new LocalTransaction(await pool.connect());
    try {
      const begun = await pipelined(transaction.client, [...before, ...begin(options), ...first]);
      transaction.first = begun.slice(begun.length - first.length);
      return transaction;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  /** Has a statement run at the end: it is sent along with the one that commits or prepares. */
  atEnd(statement: Statement): void {
    this.#last.push(statement);
  }

  /** @throws {SwallowedFailureError} when PostgreSQL had nothing to commit, because a statement had failed */
  async commit(): Promise<void> {
    const { command } = await inStatementSpan(SPANS.commit, () => this.#end({ text: 'commit' }));
    if (command !== 'COMMIT') throw new SwallowedFailureError();
    const due = hints.get(this.client) ?? [];
    this.#release();
    for (const hint of due) hint();
  }

  /**
   * Leaves the transaction to whoever finishes it by its name.
   *
   * @returns the command tag: `ROLLBACK`, and no error, when a statement had failed and nothing is prepared
   */
  async prepare(gid: Gid): Promise<'PREPARE' | 'ROLLBACK'> {
    const text = `prepare transaction ${this.client.escapeLiteral(gid)}`;
    const { command } = await inStatementSpan(SPANS.prepare, () => this.#end({ text }));
    this.#release();
    // node-postgres names the command by the first word of the tag, here of PREPARE TRANSACTION.
    return command === 'PREPARE' ? 'PREPARE' : 'ROLLBACK';
  }

  async rollback(): Promise<void> {
    if (this.#over) return;
    try {
      if (this.#broken === undefined) await this.client.query('rollback');
    } catch (error) {
      this.#onError(error instanceof Error ? error : new Error(String(error)));
    }
    this.#release();
  }

  async #end(statement: Statement): Promise<Completed> {
    const ended = await pipelined(this.client, [...this.#last, statement]);
    return ended.at(-1) as Completed; // Cast: one for each statement.
  }

  readonly #onError = (error: Error): void => {
    this.#broken = error;
  };

  #release(): void {
    if (this.#over) return;
    this.#over = true;
    hints.delete(this.client);
    this.client.removeListener('error', this.#onError);
    this.client.release(this.#broken);
  }
}

// The error of every statement after the one that failed, so that one's own error was caught.
export const isFailedTransaction = (error: unknown): boolean => isDatabaseError(error) && error.code === '25P02';

// What is told to be done must have been written to disk, however careless the role's settings are.
const SETTINGS = `
  select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
         set_config('idle_in_transaction_session_timeout', $3, true), set_config('application_name', $4, true),
         set_config('synchronous_commit', ${DURABLE}, true)`;

const begin = ({ timeouts, mode, label }: LocalTransactionOptions): readonly Statement[] => [
  { text: `begin isolation level read committed ${mode}` },
  {
    text: SETTINGS,
    values: [
      String(timeouts.lockMs),
      String(timeouts.statementMs),
      String(timeouts.idleInTransactionMs),
      label.slice(0, 63),
    ],
  },
];
