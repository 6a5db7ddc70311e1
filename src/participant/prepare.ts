/**
 * Prepares a branch and votes: the program of `protocol/prepare.ts`, asked of PostgreSQL.
 *
 * @see PostgreSQL manual, PREPARE TRANSACTION
 */
import type { Pool } from 'pg';
import { CircuitOpen } from '../resilience';
import { AbortCode, crashpoint, prepareBranch, run } from '../protocol';
import type { AbortReason, Driver, PrepareAnswer, Prepared, PrepareReplies, PrepareRequest } from '../protocol';
import { guarded, labelOf, readInput, writeResult } from './branch';
import type { Branch } from './branch';
import { branchInsertion, resultRecord, wasInserted } from './branch-log';
import { forbidBranch } from './branch-transaction';
import { BranchInProgressError, RefusalError, ResourceLockedError } from './errors';
import { execute } from './execute';
import type { Gid } from './gid';
import { readGid, sameBranch } from './gid';
import { hashOf } from './hash';
import { branchLocksRelease } from './isolation/semantic-lock';
import { inLocalTransaction, isFailedTransaction, LocalTransaction } from './local-transaction';
import { look } from './look';
import { refusalOfOpen } from './not-attempted';
import type { Statement } from './pipeline';
import { decisionSearch, foundDecision, isOfAnother } from './register';
import { describe, isContention, isDatabaseError, isStatementError, SqlState } from './sqlstate';
import { withTx } from './tx';

/** A branch with what its gid is made of. */
export interface PreparableBranch extends Branch {
  readonly gid: Gid;
  /** Name of this participant. */
  readonly participant: string;
  readonly attempt: 'first' | 'later';
}

/**
 * One attempt.
 *
 * @throws {BranchInProgressError} when nothing is known for certain yet; to be tried again
 */
export async function prepare(branch: PreparableBranch, request: PrepareRequest): Promise<PrepareAnswer> {
  if (branch.operation.kind === 'read-only') return voteReadOnly(branch, request);
  return guarded(branch, () => voteByPreparing(branch, request));
}

async function voteByPreparing(branch: PreparableBranch, request: PrepareRequest): Promise<PrepareAnswer> {
  // A first attempt sends it along with the rest.
  if (branch.attempt === 'later') await recordAgain(branch, request);
  const session = new PreparingSession(branch, request);
  try {
    const prepared = await run<PrepareReplies, Prepared>(prepareBranch(branch.attempt), session);
    return answerOf(prepared, session, request);
  } finally {
    await session.close();
  }
}

/** It reads in a READ ONLY transaction that ends with the vote. */
async function voteReadOnly(branch: Branch, request: PrepareRequest): Promise<PrepareAnswer> {
  try {
    const { result } = await execute(branch, request);
    return { vote: 'read-only', result };
  } catch (error) {
    const reason = abortReasonOf(error);
    if (reason === undefined) throw error;
    return { vote: 'abort', reason };
  }
}

function answerOf(
  prepared: Prepared,
  { result, xid, trouble }: PreparingSession,
  request: PrepareRequest,
): PrepareAnswer {
  switch (prepared.vote) {
    case 'again':
      throw new BranchInProgressError(request.transaction, request.branch, trouble);
    case 'abort':
      return prepared;
    case 'commit':
      // What an earlier attempt prepared shows its result once it is committed.
      return prepared.how === 'prepared' ? { vote: 'commit', ...result, ...xid } : { vote: 'commit', ...xid };
  }
}

// Committed before anything else: a prepared transaction shows nothing of what it holds. Whoever asks last is the coordinator that
// recovery looks for: a group may have handed the transaction over.
const RECORD_PREPARATION = `
  insert into txn.preparation (gid, transaction_id, branch_id, operation, input_hash, request_hash, register, namespace, namespace_id, workflow_id)
  values ($1, $2, $3, $4, decode($5, 'hex'), $6, $7, $8, $9, $10)
  on conflict (gid) do update
    set namespace = excluded.namespace, namespace_id = excluded.namespace_id, workflow_id = excluded.workflow_id`;

const preparationOf = ({ gid, name, caller, namespaceId }: PreparableBranch, request: PrepareRequest): Statement => ({
  text: RECORD_PREPARATION,
  values: [
    gid,
    request.transaction,
    request.branch,
    name,
    hashOf(request.input),
    request.request ?? null,
    request.register,
    caller?.namespace ?? null,
    namespaceId ?? null,
    caller?.workflowId ?? null,
  ],
  keptAs: 'txn preparation',
});

/** On disk when it returns: whoever finds that it is prepared already commits nothing that would take it there. */
const recordAgain = (branch: PreparableBranch, request: PrepareRequest): Promise<void> =>
  inLocalTransaction(
    branch.pool,
    {
      timeouts: branch.timeouts,
      mode: 'read write',
      label: labelOf(request),
      first: [preparationOf(branch, request)],
    },
    async () => undefined,
  );

/** For what is known of the transaction when nothing else is left of it. */
const XID: Statement = { text: 'select pg_current_xact_id()::text as xid' };

/** What PostgreSQL answers, on one pinned connection as long as the transaction is open. */
class PreparingSession implements Driver<PrepareReplies> {
  /** As the operation returned it. */
  result: { readonly result?: unknown } = {};
  xid: { readonly xid?: string } = {};
  /** Why PostgreSQL could not prepare it now. */
  trouble: string | undefined;
  #open: LocalTransaction | undefined;

  constructor(
    private readonly branch: PreparableBranch,
    private readonly request: PrepareRequest,
  ) {}

  readonly fence = async (): Promise<'inserted' | 'taken' | 'blocked'> => {
    const { pool, timeouts, name, caller, attempt } = this.branch;
    this.branch.checkWithdrawn?.();
    const isPrimary = this.request.register === this.branch.participant;
    try {
      this.#open = await LocalTransaction.begin(pool, {
        timeouts,
        mode: 'read write',
        label: labelOf(this.request),
        // PREPARE TRANSACTION takes it to the disk: the log is written in its order (PostgreSQL manual, Asynchronous Commit).
        before: attempt === 'first' ? [preparationOf(this.branch, this.request)] : [],
        first: [
          branchInsertion(name, this.request, 'applied', caller),
          XID,
          ...(isPrimary ? [decisionSearch(this.request.transaction)] : []),
        ],
      });
    } catch (error) {
      if (!isBlocked(error)) throw error;
      await recordAgain(this.branch, this.request);
      return 'blocked';
    }
    if (wasInserted(this.#open)) return 'inserted';
    await this.rollback();
    return 'taken';
  };

  readonly look = () => look(this.branch.pool, this.branch.name, this.request);

  readonly findPrepared = async (): Promise<'ours' | 'other-request' | 'none'> => {
    const { pool, gid } = this.branch;
    const listed = await listGids(pool);
    const xid = listed.get(gid);
    if (xid !== undefined) {
      this.xid = { xid };
      return 'ours';
    }
    const parts = readGid(gid);
    const others = [...listed.keys()].map(readGid).filter((other) => other && parts && sameBranch(other, parts));
    return others.length > 0 ? 'other-request' : 'none';
  };

  readonly register = async () => {
    const [, , found] = this.#transaction().first;
    const decided = found && foundDecision(found);
    if (decided === undefined) return 'none';
    return isOfAnother(decided, this.request.request) ? 'other-request' : decided.decision;
  };

  readonly work = async (): Promise<'done' | { readonly refused: AbortReason }> => {
    const open = this.#transaction();
    const { name, operation } = this.branch;
    await crashpoint('branch.logged-before-work');
    try {
      // Whoever commits it wakes the relays.
      await withTx(open.client, this.request, undefined, async (tx) => {
        const json = writeResult(name, await operation.execute(tx, await readInput(operation, this.request.input)));
        // The rows of the locks stay locked until the transaction ends, and that is as long as they are needed.
        if (tx.holdsLocks) open.atEnd(...branchLocksRelease(this.request));
        open.atEnd(resultRecord(this.request, json));
        this.result = { result: JSON.parse(json) as unknown };
      });
      return 'done';
    } catch (error) {
      // A statement had failed before, and its error was swallowed: PREPARE TRANSACTION will answer ROLLBACK (P3).
      if (isFailedTransaction(error)) return 'done';
      const reason = abortReasonOf(error);
      if (reason === undefined) throw error;
      return { refused: reason };
    }
  };

  readonly prepare = async (): Promise<PrepareReplies['prepare']> => {
    const open = this.#transaction();
    await crashpoint('two-phase.before-prepare');
    this.branch.checkWithdrawn?.();
    try {
      const tag = await open.prepare(this.branch.gid);
      if (tag !== 'PREPARE') return tag;
      const [, known] = open.first;
      this.xid = known?.rows[0] as { readonly xid: string }; // Cast: the answer to XID.
      await crashpoint('two-phase.prepared-before-vote');
      return tag;
    } catch (error) {
      // A lost connection proves nothing (P4): the next attempt finds out.
      if (!isStatementError(error)) throw error;
      await this.rollback();
      this.trouble = describe(error);
      return whyNotPrepared(error.code ?? '', this.trouble);
    }
  };

  readonly rollback = async (): Promise<'done'> => {
    await this.#open?.rollback();
    return 'done';
  };

  readonly refuse = async (about: unknown): Promise<'stored' | 'taken' | 'blocked'> => {
    const reason = about as AbortReason; // Cast: the program asks with the reason.
    // A reason that cannot be stored or told could never become final: it is a mistake of the operation.
    writeResult(this.branch.name, reason);
    await this.rollback();
    try {
      const stored = await forbidBranch(this.branch, this.request, 'refused', reason);
      if (stored) await crashpoint('two-phase.refused-before-vote');
      return stored ? 'stored' : 'taken';
    } catch (error) {
      if (isBlocked(error)) return 'blocked';
      throw error;
    }
  };

  /** Whatever is still open is rolled back. */
  async close(): Promise<void> {
    await this.#open?.rollback();
  }

  #transaction(): LocalTransaction {
    if (!this.#open) throw new Error('Nothing was changed: the program worked before it had its row.');
    return this.#open;
  }
}

/**
 * Gids of this database that we could finish, with the ids of their transactions. What another role has prepared under our name
 * is no promise of ours. The list has the lower half of an id only; the upper one is that of the newest id, or one less.
 */
async function listGids(pool: Pool): Promise<ReadonlyMap<string, string>> {
  const { rows } = await pool.query<{ gid: string; xid: string }>(
    `with newest as (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as id)
     select gid, (id - (id - transaction::text::bigint) % 4294967296)::text as xid
       from newest cross join pg_prepared_xacts
      where database = current_database()
        and (owner = current_user or (select rolsuper from pg_roles where rolname = current_user))`,
  );
  return new Map(rows.map(({ gid, xid }) => [gid, xid]));
}

const isBlocked = (error: unknown): boolean => isDatabaseError(error) && error.code === SqlState.LockNotAvailable;

/** A "no" that no other attempt could turn into a "yes"; everything else is tried again. */
function abortReasonOf(error: unknown): AbortReason | undefined {
  if (error instanceof RefusalError) return error.refusal;
  // To wait would keep the locks of all the others.
  if (error instanceof CircuitOpen) return refusalOfOpen(error).refusal;
  if (error instanceof ResourceLockedError) return { code: AbortCode.Contention, message: error.message };
  if (isStatementError(error) && isContention(error))
    return {
      code: AbortCode.Contention,
      message: `${describe(error)}: another transaction holds what this one needs.`,
    };
  return undefined;
}

/** PREPARE TRANSACTION was refused, or the statement before it, so nothing of the transaction is left. */
function whyNotPrepared(code: string, description: string): PrepareReplies['prepare'] {
  // Constraints, and what a deferred trigger raises.
  if (/^(23|P0)/.test(code)) return { refused: { code: AbortCode.ConstraintViolated, message: `${description}.` } };
  const remedy = NOT_PREPARABLE[code];
  if (remedy === undefined) return 'again';
  return { refused: { code: AbortCode.NotPreparable, message: `${description}: ${remedy}` } };
}

const NOT_PREPARABLE: Readonly<Record<string, string>> = {
  [SqlState.FeatureNotSupported]:
    'the operation used what a prepared transaction cannot hold: LISTEN, NOTIFY (also in a trigger), a temporary table, a cursor WITH HOLD, an exported snapshot, or a session and a transaction advisory lock on one key. Take it out of the operation.',
  [SqlState.ObjectNotInPrerequisiteState]:
    'the server prepares no transactions. Set max_prepared_transactions to at least as many as there are connections, and restart it.',
  [SqlState.DuplicateObject]:
    'another database of this server has a prepared transaction of the same name: two deployments share a Temporal namespace name, a participant name and a transaction id. Give one of them another namespace.',
};
