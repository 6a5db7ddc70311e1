/**
 * The transactions that the inbox and the event store run themselves, as handlers see them. A handler cannot end one: its effect
 * and the row that says that it is done must commit together or not at all.
 */
import type { Pool, QueryResult, QueryResultRow } from 'pg';
import { ForbiddenStatementError, inLocalTransaction } from '../participant';
import { checkLocalTimeouts } from '../protocol';
import type { LocalTimeouts } from '../protocol';
import { wakeRelays } from './relay/wake';

/** A transaction that a handler works in. Events can be appended in it, too. */
export interface HandlerTransaction {
  /**
   * Runs one statement.
   *
   * @throws {ForbiddenStatementError} for one that would end the transaction, or comes after the handler has returned
   */
  query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>;
  /** Has the relays of the outbox look once this has committed. `outbox.append` does it. */
  wakeRelay?(): void;
}

export interface HandlerTransactionOptions {
  /** Shown in `pg_stat_activity`. */
  readonly label: string;
  readonly timeouts?: Partial<LocalTimeouts> | undefined;
}

/** Runs some work in a transaction of its own, and commits it. */
export async function inHandlerTransaction<T>(
  pool: Pool,
  { label, timeouts }: HandlerTransactionOptions,
  work: (tx: HandlerTransaction) => Promise<T>,
): Promise<T> {
  let over = false;
  let wake = false;
  const options = { timeouts: checkLocalTimeouts(timeouts), mode: 'read write', label } as const;
  const result = await inLocalTransaction(pool, options, async (client) => {
    const tx: HandlerTransaction = {
      async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) {
        if (over)
          throw new ForbiddenStatementError('a statement after its handler has returned', 'Await every statement.');
        const control = TRANSACTION_CONTROL.exec(text)?.[1];
        if (control !== undefined)
          throw new ForbiddenStatementError(
            control.toUpperCase(),
            'The transaction commits when the handler returns and is rolled back when it throws.',
          );
        // The extended protocol takes one statement a message: no `select 1; commit` passes the check above.
        return client.query<Row>({ text, values: [...values], queryMode: 'extended' } as { text: string });
      },
      wakeRelay() {
        wake = true;
      },
    };
    try {
      return await work(tx);
    } finally {
      over = true;
    }
  });
  if (wake) wakeRelays(pool);
  return result;
}

const TRANSACTION_CONTROL =
  /^(?:\s|;|--[^\n\r]*|\/\*[\s\S]*?\*\/)*(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b)|prepare\s+transaction)\b/i;

/** By its looks: the application may have another copy of pg, and its clients can connect too. */
export const isPool = (db: object): db is Pool => 'totalCount' in db;
