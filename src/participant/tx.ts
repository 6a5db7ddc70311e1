/**
 * The transaction as business code sees it: it can run statements and nothing else. It cannot end the transaction, because
 * the branch-log row and the business rows must commit together or not at all, and it cannot leave anything behind on a
 * pooled connection.
 */
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import type { BranchId, TransactionId } from '../protocol';
import { ForbiddenStatementError } from './errors';

/** A local transaction in progress. */
export interface Tx {
  /** The transaction that this branch belongs to. */
  readonly transaction: TransactionId;
  readonly branch: BranchId;
  /**
   * Runs one statement.
   *
   * @param text one SQL statement, with `$1`, `$2`, … for values
   * @throws {ForbiddenStatementError} for statements that end the transaction or outlive it
   * @example await tx.query('update account set balance = balance - $1 where id = $2', [amount, id]);
   */
  query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>;
}

/** The same, as the package's own helpers see it. */
export interface OpenTx extends Tx {
  /** Set by `semanticLock`: the coordinator has to have the locks released. */
  holdsLocks: boolean;
}

export function openTx(client: PoolClient, transaction: TransactionId, branch: BranchId): OpenTx {
  return {
    transaction,
    branch,
    holdsLocks: false,
    async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) {
      forbid(text);
      // The extended protocol takes one statement a message: no `select 1; commit` can pass the check above.
      const query = { text, values: [...values], queryMode: 'extended' };
      return client.query<Row>(query);
    },
  };
}

const LEADING_NOISE = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|[;(])+/;
const TRANSACTION_CONTROL =
  /^(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b)|prepare\s+transaction)\b/i;
const SESSION_STATE = /^(set(?!\s+local\b|\s+constraints\b)|reset|listen|unlisten|discard|load)\b/i;
const SESSION_LOCK = /\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(/i;

function forbid(text: string): void {
  const statement = text.replace(LEADING_NOISE, '');
  const control = TRANSACTION_CONTROL.exec(statement);
  if (control) {
    throw new ForbiddenStatementError(
      control[0].toUpperCase(),
      'Its transaction commits with the branch log when it returns and is rolled back when it throws.',
    );
  }
  const session = SESSION_STATE.exec(statement);
  if (session) {
    throw new ForbiddenStatementError(
      session[0].toUpperCase(),
      'It would leak into the pooled connection. Use SET LOCAL.',
    );
  }
  if (SESSION_LOCK.test(statement)) {
    throw new ForbiddenStatementError(
      'a session advisory lock',
      'It would stay with the pooled connection. Use pg_advisory_xact_lock or semanticLock.',
    );
  }
}
