/**
 * The branch log, row by row: what makes a branch idempotent, keeps a compensation from overtaking its action, and keeps a
 * late action from taking effect after it.
 *
 * Every write is an insert-or-find on the primary key. A concurrent attempt of the same branch blocks there until the other
 * one commits or rolls back, so two attempts never run side by side, and whoever comes second reads what the first one did.
 * A mere look ("is there a row?") would not do: it does not see, and does not wait for, a transaction in flight.
 */
import type { PoolClient } from 'pg';
import type { BranchRequest, ExecuteAnswer, Refusal } from '../protocol';
import { InputMismatchError } from './errors';
import { hashOf } from './hash';
import type { LocalTransaction } from './local-transaction';
import type { Statement } from './pipeline';

export type BranchState =
  | 'applied'
  | 'refused'
  | 'compensated'
  | 'fenced'
  /** Of an operation that reserves. */
  | 'tried'
  | 'confirmed'
  | 'cancelled';

export interface BranchRow {
  readonly operation: string;
  readonly state: BranchState;
  readonly inputHash: string | null;
  readonly requestHash: string | null;
  readonly result: unknown;
  readonly refusal: Refusal | null;
  readonly holdsLocks: boolean;
  /** The workflow that asked for it first. */
  readonly workflowId: string | null;
  /** The run of it, where that was known. */
  readonly runId: string | null;
}

/** The row as the query below gives it. */
type Stored = Omit<BranchRow, 'result' | 'refusal'> & {
  readonly result: string | null;
  readonly refusal: string | null;
};

/** Who asked for the branch: the workflow that the purge asks about. */
export interface Caller {
  readonly namespace: string;
  readonly workflowId: string;
  /** The run of it. */
  readonly runId?: string;
}

/** A request, or what is left of one whose input is not at hand: it is told apart by the hash of its input. */
export type LoggedRequest =
  | BranchRequest
  | (Omit<BranchRequest, 'input'> & {
      /** SHA-256 of the canonical JSON, in hex. */
      readonly inputHash: string;
    });

const inputHashOf = (request: LoggedRequest): string =>
  'inputHash' in request ? request.inputHash : hashOf(request.input);

interface Queryable {
  query: PoolClient['query'];
}

// READ COMMITTED: `do nothing` waits for an inserter in flight and inserts when that one rolls back.
const INSERT = `
  insert into txn.branch (transaction_id, branch_id, operation, state, input_hash, request_hash, refusal, namespace, workflow_id, run_id, ended_at)
  values ($1, $2, $3, $4, decode($5, 'hex'), $6, $7, $8, $9, $10, case when $4 = 'fenced' then clock_timestamp() end)
  on conflict (transaction_id, branch_id) do nothing`;

/** What writes the branch's first row; it counts none when there is one. */
export const branchInsertion = (
  operation: string,
  request: LoggedRequest,
  state: BranchState,
  caller: Caller | undefined,
  refusal?: Refusal,
): Statement => ({
  text: INSERT,
  values: [
    request.transaction,
    request.branch,
    operation,
    state,
    inputHashOf(request),
    request.request ?? null,
    refusal === undefined ? null : JSON.stringify(refusal),
    caller?.namespace ?? null,
    caller ? (request.coordinator ?? caller.workflowId) : null,
    runOf(request, caller),
  ],
  keptAs: 'txn branch',
});

/** Of the workflow that is named beside it: whoever asks in the name of another one does not know its run. */
const runOf = ({ coordinator }: Pick<BranchRequest, 'coordinator'>, caller: Caller | undefined): string | null =>
  coordinator === undefined ? (caller?.runId ?? null) : null;

/** The run in which the workflow that asks had asked for the branch, where that was another one, as far as both are known. */
export const earlierRunOf = (caller: Caller | undefined, { workflowId, runId }: BranchRow): string | undefined =>
  caller?.runId !== undefined && runId !== null && workflowId === caller.workflowId && runId !== caller.runId
    ? runId
    : undefined;

/** Who had done a branch, for an answer to somebody else. */
export function doneBy(
  caller: Caller | undefined,
  { coordinator }: Pick<BranchRequest, 'coordinator'>,
  row: BranchRow,
): Pick<ExecuteAnswer, 'by' | 'earlier'> {
  if (!caller || row.workflowId === null) return {};
  if (row.workflowId !== (coordinator ?? caller.workflowId)) return { by: row.workflowId };
  const earlier = coordinator === undefined ? earlierRunOf(caller, row) : undefined;
  return earlier === undefined ? {} : { earlier };
}

/** Whether the first statement of a local transaction, a {@link branchInsertion}, has written its row. */
export const wasInserted = ({ first: [inserted] }: Pick<LocalTransaction, 'first'>): boolean =>
  inserted?.rowCount === 1;

const SELECT = `
  select operation, state, encode(input_hash, 'hex') as "inputHash", request_hash as "requestHash",
         result::text as result, refusal::text as refusal, workflow_id as "workflowId", run_id as "runId",
         exists (select from txn.semantic_lock l
                  where l.transaction_id = b.transaction_id
                    and (l.branch_id = b.branch_id or b.branch_id = any (l.also_held_by))) as "holdsLocks"
    from txn.branch b
   where transaction_id = $1 and branch_id = $2`;

/**
 * Reads the branch's row, and locks it where the caller is going to change it.
 *
 * @throws {InputMismatchError} when the row belongs to another operation, input or transaction input
 */
export async function findBranch(
  client: Queryable,
  operation: string,
  request: LoggedRequest,
  lock: 'no lock' | 'for update' = 'no lock',
): Promise<BranchRow | undefined> {
  const text = lock === 'for update' ? `${SELECT} for update` : SELECT;
  const { rows } = await client.query<Stored>(text, [request.transaction, request.branch]);
  const found = rows[0];
  if (!found) return undefined;
  const row = { ...found, result: parse(found.result), refusal: parse(found.refusal) as Refusal | null };
  checkSameRequest(row, operation, request);
  return row;
}

/** What stands under a key, whatever request it belongs to. */
export async function findState(
  client: Queryable,
  { transaction, branch }: Pick<BranchRequest, 'transaction' | 'branch'>,
): Promise<BranchState | undefined> {
  const { rows } = await client.query<{ state: BranchState }>(
    'select state from txn.branch where transaction_id = $1 and branch_id = $2',
    [transaction, branch],
  );
  return rows[0]?.state;
}

/** Read as text and parsed here: how pg parses JSON is the application's to change, and the stored answer is not. */
const parse = (json: string | null): unknown => (json === null ? null : JSON.parse(json));

function checkSameRequest(row: BranchRow, operation: string, request: LoggedRequest): void {
  const { transaction, branch } = request;
  if (row.operation !== operation) throw new InputMismatchError(transaction, branch, 'operation');
  if (row.inputHash !== inputHashOf(request)) throw new InputMismatchError(transaction, branch, 'input');
  if (row.requestHash !== null && request.request !== undefined && row.requestHash !== request.request) {
    throw new InputMismatchError(transaction, branch, 'transaction input');
  }
}

// In the order of the keys, so that two that share some of them wait for each other and do not deadlock.
const INSERT_MANY = `
  insert into txn.branch (transaction_id, branch_id, operation, state, input_hash, request_hash, namespace, workflow_id, run_id)
  select transaction_id, branch_id, $1, 'applied', decode(input_hash, 'hex'), request_hash, $2, workflow_id, run_id
    from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
         as asked (transaction_id, branch_id, input_hash, request_hash, workflow_id, run_id)
   order by transaction_id, branch_id
  on conflict (transaction_id, branch_id) do nothing
  returning transaction_id as transaction, branch_id as branch`;

/** Writes the first rows of many branches. @returns those that had none */
export async function insertBranches(
  client: Queryable,
  operation: string,
  requests: readonly BranchRequest[],
  caller: Caller | undefined,
): Promise<readonly BranchRequest[]> {
  const { rows } = await client.query<Pick<BranchRequest, 'transaction' | 'branch'>>(INSERT_MANY, [
    operation,
    caller?.namespace ?? null,
    requests.map(({ transaction }) => transaction),
    requests.map(({ branch }) => branch),
    requests.map(inputHashOf),
    requests.map(({ request }) => request ?? null),
    requests.map(({ coordinator }) => (caller ? (coordinator ?? caller.workflowId) : null)),
    requests.map((request) => runOf(request, caller)),
  ]);
  const inserted = new Set(rows.map(keyOf));
  return requests.filter((request) => inserted.has(keyOf(request)));
}

/** Neither of them has a space. */
const keyOf = ({ transaction, branch }: Pick<BranchRequest, 'transaction' | 'branch'>): string =>
  `${transaction} ${branch}`;

const RECORD_RESULTS = `
  update txn.branch b set result = told.result::json
    from unnest($1::text[], $2::text[], $3::text[]) as told (transaction_id, branch_id, result)
   where b.transaction_id = told.transaction_id and b.branch_id = told.branch_id`;

/** @param jsons in the order of the requests */
export async function recordResults(
  client: Queryable,
  requests: readonly BranchRequest[],
  jsons: readonly string[],
): Promise<void> {
  await client.query(RECORD_RESULTS, [
    requests.map(({ transaction }) => transaction),
    requests.map(({ branch }) => branch),
    jsons,
  ]);
}

/** What writes the branch's result. */
export const resultRecord = ({ transaction, branch }: BranchRequest, json: string): Statement => ({
  text: 'update txn.branch set result = $3 where transaction_id = $1 and branch_id = $2',
  values: [transaction, branch, json],
});

const MARK_ENDED = `
  update txn.branch set state = $3, ended_at = clock_timestamp() where transaction_id = $1 and branch_id = $2`;

/** What notes that its effect has been undone, or its reservation settled. */
export const endMark = (
  { transaction, branch }: Pick<BranchRequest, 'transaction' | 'branch'>,
  state: 'compensated' | 'confirmed' | 'cancelled',
): Statement => ({ text: MARK_ENDED, values: [transaction, branch, state] });
