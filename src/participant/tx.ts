/**
 * The transaction as business code sees it: it can run statements and nothing else. It cannot end the transaction, because
 * the branch-log row and the business rows must commit together or not at all, and it cannot leave anything behind on a
 * pooled connection.
 */
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import type { BranchId, TransactionId } from '../protocol';
import { show } from '../protocol';
import { ForbiddenStatementError } from './errors';
import { afterCommit } from './local-transaction';

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
  /** Has the relays of the outbox look once this has committed. `outbox.append` does it. */
  wakeRelay(): void;
}

/** One branch among many that are done together. */
export interface ManyCall<Input> extends Pick<Tx, 'transaction' | 'branch'> {
  readonly input: Input;
}

/** A local transaction in progress that belongs to many branches. */
export type ManyTx = Pick<Tx, 'query' | 'wakeRelay'>;

/** The same, as the package's own helpers see it. */
export interface OpenTx extends Tx {
  /** Set by `semanticLock`: the coordinator has to have the locks released. */
  holdsLocks: boolean;
}

/**
 * Gives work a transaction for as long as it runs. A statement that comes later, of a promise that nobody awaited, would run
 * after the commit, or in the transaction of whoever has the connection by then.
 */
export const withTx = <T>(
  client: PoolClient,
  { transaction, branch }: Pick<Tx, 'transaction' | 'branch'>,
  wakeRelays: (() => void) | undefined,
  work: (tx: OpenTx) => Promise<T>,
): Promise<T> => withManyTx(client, wakeRelays, (tx) => work({ ...tx, transaction, branch, holdsLocks: false }));

/** The same, for work that belongs to many branches. */
export async function withManyTx<T>(
  client: PoolClient,
  wakeRelays: (() => void) | undefined,
  work: (tx: ManyTx) => Promise<T>,
): Promise<T> {
  let over = false;
  const tx: ManyTx = {
    query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) {
      try {
        if (over) throw new ForbiddenStatementError('a statement after it has returned', 'Await every statement.');
        forbid(text);
      } catch (error) {
        const failure = error as Error; // Cast: it is one of the two above.
        return Promise.reject(failure);
      }
      return sentAlone<Row>(client, text, [...values]);
    },
    wakeRelay() {
      if (wakeRelays && !over) afterCommit(client, wakeRelays);
    },
  };
  try {
    return await work(tx);
  } finally {
    over = true;
  }
}

/**
 * The extended protocol takes one statement a message: no `select 1; commit` can pass the check before. node-postgres uses it where there
 * are values, and else has to be told; it is told only then, because of what it takes to copy an object.
 */
const sentAlone = <Row extends QueryResultRow>(
  client: PoolClient,
  text: string,
  values: unknown[],
): Promise<QueryResult<Row>> => {
  if (values.length > 0) return client.query<Row>(text, values);
  const query = { text, queryMode: 'extended' };
  return client.query<Row>(query);
};

const LEADING_NOISE = /^[\s;(]+/;
const TRANSACTION_CONTROL =
  /^(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b)|prepare\s+transaction)\b/i;
const SESSION_STATE =
  /^(set(?!\s+local\b|\s+constraints\b)|reset|listen|unlisten|discard|load|prepare|deallocate|declare\b(?:(?!\bfor\b)[\s\S])*\bwith\s+hold)\b/i;
const TEMPORARY =
  /^(create\s+(?:or\s+replace\s+)?(?:(?:global|local)\s+)?temp(?:orary)?\b(?![\s\S]*\bon\s+commit\s+drop\b)|select\b[\s\S]*\binto\s+temp(?:orary)?\s+\w)/i;
// Where a statement begins inside a DO block.
const IN_BLOCK =
  /(?:[;$]|\b(?:begin|then|else|loop)\b|\bexecute\s+(?:format\s*\(\s*)?')\s*(?:(?:set(?!\s+local\b|\s+constraints\b)|reset|listen|unlisten|discard|load)\b|create\s+temp(?!.*\bon\s+commit\s+drop\b))/i;
const COPY_STREAM = /^copy\b[\s\S]*\b(?:from\s+stdin|to\s+stdout)\b/i;
const SESSION_LOCK = /\bpg_(?:try_)?advisory_lock(?:_shared)?\b/i;
const SETTING = /\bset_config\b(?!"?\s*\([^()]*,\s*true\s*\))/i;

/** An operation is not an enemy: this keeps it from what it might do unawares, and the server is asked for no more rights. */
function forbid(text: unknown): void {
  if (typeof text !== 'string')
    throw new ForbiddenStatementError(
      `a statement ${show(text)}`,
      'Statements are texts, with their values beside them.',
    );
  const statement = withoutComments(text).replace(LEADING_NOISE, '');
  const control = TRANSACTION_CONTROL.exec(statement)?.[0];
  if (control !== undefined) {
    throw new ForbiddenStatementError(
      control.toUpperCase(),
      'Its transaction commits with the branch log when it returns and is rolled back when it throws.',
    );
  }
  if (SESSION_LOCK.test(text)) {
    throw new ForbiddenStatementError(
      'a session advisory lock',
      'It would stay with the pooled connection. Use pg_advisory_xact_lock or semanticLock.',
    );
  }
  const session = SESSION_STATE.exec(statement)?.[0];
  if (session !== undefined || SETTING.test(text) || (/^do\b/i.test(statement) && IN_BLOCK.test(statement))) {
    throw new ForbiddenStatementError(
      session?.toUpperCase() ?? 'what sets something for the session',
      'It would leak into the pooled connection. Use SET LOCAL, or set_config with the literal true.',
    );
  }
  if (COPY_STREAM.test(statement)) {
    throw new ForbiddenStatementError(
      'COPY with a stream',
      'Nobody would feed or read it, and the session would hang.',
    );
  }
  if (TEMPORARY.test(statement)) {
    throw new ForbiddenStatementError(
      'what creates a temporary object of the session',
      'It would stay with the pooled connection. Use CREATE TEMPORARY TABLE with ON COMMIT DROP.',
    );
  }
}

// As PostgreSQL reads them: a line ends with either character, and comments in /* */ nest.
const OUTSIDE_COMMENT = /--[^\n\r]*|\/\*|[^-/]+|[-/]/y;
const INSIDE_COMMENT = /\/\*|\*\/|[^*/]+|[*/]/y;

/** The statement with a space for each comment. Texts in quotes are not told apart: what begins a statement comes before any. */
function withoutComments(text: string): string {
  let kept = '';
  let depth = 0;
  for (let at = 0; at < text.length;) {
    const pattern = depth > 0 ? INSIDE_COMMENT : OUTSIDE_COMMENT;
    pattern.lastIndex = at;
    const token = pattern.exec(text)?.[0] ?? text.slice(at);
    at += token.length;
    if (token === '/*') depth++;
    else if (depth > 0) depth -= token === '*/' ? 1 : 0;
    else kept += token.startsWith('--') ? ' ' : token;
    if (token === '*/' && depth === 0) kept += ' ';
  }
  return kept;
}
