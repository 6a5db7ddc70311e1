/**
 * The decision register: one write-once row for each transaction, in the database of its first branch.
 *
 * A Temporal history is no decision log: a reset can run the decision again with another outcome, terminate and retention
 * remove it. So whoever wants an outcome, coordinator, recovery or a person, inserts it here or reads what is there, and obeys.
 *
 * @see Citus, `pg_dist_transaction`: the presence of a row as proof of commit
 */
import type { Pool, PoolClient } from 'pg';
import type { AbortReason, Decided, Decision, RegisteredBranch, TransactionId } from '../protocol';
import { DecisionMismatchError } from './errors';
import { keyOf } from './gid';
import type { TransactionKey } from './gid';
import { DURABLE } from './local-transaction';
import { onOneConnection } from './one-connection';
import { pipelined } from './pipeline';
import type { Completed, Statement } from './pipeline';

/** What somebody would like to be decided. */
export interface Proposal {
  readonly key: TransactionKey;
  /** Absent where nothing but a gid is known. */
  readonly transaction?: TransactionId;
  readonly propose: Decision;
  readonly reason?: AbortReason;
  /** `coordinator`, `recovery`, or the name of a person. */
  readonly by: string;
  /** Hash of the transaction's input. */
  readonly request?: string;
  readonly branches?: readonly RegisteredBranch[];
}

/** A row of the register. */
export interface Registered extends Decided {
  readonly key: TransactionKey;
  readonly transaction: string | null;
  /** Empty when recovery or a person decided. */
  readonly branches: readonly RegisteredBranch[];
  readonly decidedAt: Date;
  readonly requestHash: string | null;
}

// A worker that stops in the middle, where its pool pipelines by itself, would keep the row from coordinator, recovery and operator
// alike, as long as TCP believes in its connection.
const BEGIN: readonly Statement[] = [
  { text: 'begin isolation level read committed', keptAs: 'txn begin' },
  {
    text: `
  select set_config('idle_in_transaction_session_timeout', '5000', true), set_config('synchronous_commit', ${DURABLE}, true)`,
    keptAs: 'txn register settings',
  },
];

const INSERT = `
  insert into txn.decision (transaction_key, transaction_id, outcome, reason, decided_by, request_hash, branches)
  values ($1, $2, $3, $4, $5, $6, $7)
  on conflict (transaction_key) do nothing`;

const COLUMNS = `
  select transaction_key as key, transaction_id as transaction, outcome as decision, reason::text as reason,
         decided_by as by, request_hash as "requestHash", branches::text as branches, decided_at as "decidedAt"
    from txn.decision`;

const searchFor = (key: TransactionKey): Statement => ({
  text: `${COLUMNS} where transaction_key = $1`,
  values: [key],
});

/** What reads the register, and {@link foundDecision} its answer. */
export const decisionSearch = (transaction: TransactionId): Statement => searchFor(keyOf(transaction));

/** Undefined when nothing is decided. */
export const foundDecision = ({ rows: [row] }: Pick<Completed, 'rows'>): Registered | undefined =>
  row === undefined ? undefined : read(row as Stored); // Cast: it has the columns of the search.

/**
 * The only way to an outcome: writes the proposal, or reads what was decided before.
 *
 * @returns what is decided, which may be something else than was proposed
 * @throws {DecisionMismatchError} when the transaction was decided for another input
 */
export const decide = (pool: Pool, proposal: Proposal): Promise<Registered> =>
  onOneConnection(pool, async (client) => {
    // READ COMMITTED: `do nothing` waits for an inserter in flight, and the select sees what that one committed.
    const completed = await pipelined(client, [
      ...BEGIN,
      insertionOf(proposal),
      searchFor(proposal.key),
      { text: 'commit' },
    ]);
    const decided = foundDecision(completed.at(-2) as Completed); // Cast: one for each statement.
    if (!decided) throw new Error('Nothing is decided: the register lost a row between two statements. Try again.');
    checkSameRequest(decided, proposal);
    return decided;
  });

const insertionOf = (proposal: Proposal): Statement => ({
  text: INSERT,
  values: [
    proposal.key,
    proposal.transaction ?? null,
    proposal.propose,
    proposal.reason === undefined ? null : JSON.stringify(proposal.reason),
    proposal.by,
    proposal.request ?? null,
    proposal.branches === undefined ? null : JSON.stringify(proposal.branches),
  ],
  keptAs: 'txn decision',
});

/** Reads the register. Undefined when nothing is decided. */
export const readDecision = (pool: Pool | PoolClient, transaction: string): Promise<Registered | undefined> =>
  find(pool, keyOf(transaction));

/** The same, for those who know nothing but a gid. */
export const readDecisionByKey = (pool: Pool, key: TransactionKey): Promise<Registered | undefined> => find(pool, key);

/** Decisions of a given age, in the order of their keys. */
export async function listDecisions(
  pool: Pool,
  { olderThanDays, after, limit }: { readonly olderThanDays: number; readonly after: string; readonly limit: number },
): Promise<Registered[]> {
  const { rows } = await pool.query<Stored>(
    `${COLUMNS} where transaction_key > $2 and decided_at < clock_timestamp() - make_interval(days => $1)
      order by transaction_key limit $3`,
    [olderThanDays, after, limit],
  );
  return rows.map(read);
}

type Stored = Omit<Registered, 'reason' | 'branches'> & {
  readonly reason: string | null;
  readonly branches: string | null;
};

async function find(client: Pool | PoolClient, key: TransactionKey): Promise<Registered | undefined> {
  const { text, values } = searchFor(key);
  const { rows } = await client.query<Stored>(text, [...(values ?? [])]);
  return rows[0] && read(rows[0]);
}

/** Casts: only `decide` writes rows. */
function read({ reason, branches, ...row }: Stored): Registered {
  return {
    ...row,
    branches: branches === null ? [] : (JSON.parse(branches) as Registered['branches']),
    ...(reason === null ? {} : { reason: JSON.parse(reason) as AbortReason }),
  };
}

function checkSameRequest(decided: Registered, { request, transaction }: Proposal): void {
  if (transaction !== undefined && isOfAnother(decided, request)) throw new DecisionMismatchError(transaction);
}

/** Of another request under the same id. Nothing can be told where one of the two did not say what it asks for. */
export const isOfAnother = ({ requestHash }: Registered, request: string | undefined): boolean =>
  requestHash !== null && request !== undefined && requestHash !== request;

/**
 * What the register says of a request. A decision about another one under the same id is not about this one, and keeps this one
 * from ever being decided otherwise than `abort` (P11).
 *
 * @param request hash of the transaction's input, as far as it is known
 */
export function decisionFor(decided: Registered, request: string | undefined): Decision;
export function decisionFor(decided: Registered | undefined, request: string | undefined): Decision | 'none';
export function decisionFor(decided: Registered | undefined, request: string | undefined): Decision | 'none' {
  if (!decided) return 'none';
  return isOfAnother(decided, request) ? 'abort' : decided.decision;
}
