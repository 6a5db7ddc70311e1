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
import { commandOf, inStatementSpan } from './statement-span';

export interface LocalTransactionOptions {
  readonly timeouts: LocalTimeouts;
  readonly mode: 'read write' | 'read only';
  /** Shown in `pg_stat_activity`, so that a blocked operator sees whose session it is. */
  readonly label: string;
  /** Statements that are sent along with BEGIN, and cost no round trip of their own. */
  readonly first?: readonly Statement[];
  /**
   * The same, in a transaction of their own that is committed before this one begins, and does not wait for the disk: it is there
   * when this one has waited.
   */
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
    const ahead = before.length > 0 ? [...begin(options, 'off'), ...before, COMMIT] : [];
    const transaction = new LocalTransaction(await pool.connect());
    try {
      const begun = await pipelined(transaction.client, [...ahead, ...begin(options, 'durable'), ...first]);
      transaction.first = begun.slice(begun.length - first.length);
      return transaction;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  /** Has statements run at the end: they are sent along with the one that commits or prepares. */
  atEnd(...statements: readonly Statement[]): void {
    this.#last.push(...statements);
  }

  /** @throws {SwallowedFailureError} when PostgreSQL had nothing to commit, because a statement had failed */
  async commit(): Promise<void> {
    const command = await this.#end(SPANS.commit, COMMIT);
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
    const command = await this.#end(SPANS.prepare, { text });
    // The tag of PREPARE TRANSACTION, by its first word.
    if (command === 'PREPARE') {
      this.#release();
      return 'PREPARE';
    }
    await this.rollback();
    return 'ROLLBACK';
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

  /** @returns the command tag of the statement, `ROLLBACK` where a statement had failed before: then nothing can be ended otherwise */
  async #end(span: string, statement: Statement): Promise<string> {
    try {
      const ended = await inStatementSpan(span, () => pipelined(this.client, [...this.#last, statement]));
      return commandOf(ended);
    } catch (error) {
      if (isFailedTransaction(error)) return 'ROLLBACK';
      throw error;
    }
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

const COMMIT: Statement = { text: 'commit' };

const settings = (synchronousCommit: string): string => `
  select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
         set_config('idle_in_transaction_session_timeout', $3, true), set_config('application_name', $4, true),
         set_config('synchronous_commit', ${synchronousCommit}, true)`;

const SETTINGS = { durable: settings(DURABLE), off: settings(`'off'`) };

/** @param durability whether its commit waits for the disk */
const begin = (
  { timeouts, mode, label }: LocalTransactionOptions,
  durability: keyof typeof SETTINGS,
): readonly Statement[] => [
  { text: `begin isolation level read committed ${mode}`, keptAs: `txn begin ${mode}` },
  {
    text: SETTINGS[durability],
    values: [
      String(timeouts.lockMs),
      String(timeouts.statementMs),
      String(timeouts.idleInTransactionMs),
      label.slice(0, 63),
    ],
    keptAs: `txn settings ${durability}`,
  },
];
