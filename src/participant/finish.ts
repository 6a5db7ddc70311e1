/**
 * Finishes a prepared branch as decided, and takes the decision where this participant has the register: the programs of
 * `protocol/finish.ts`, asked of PostgreSQL.
 *
 * Nothing here has a statement timeout: a COMMIT PREPARED that is cancelled while it waits for a synchronous standby has
 * committed all the same (Q2). Whatever is not certain is thrown, and tried again.
 *
 * @see PostgreSQL manual, COMMIT PREPARED, ROLLBACK PREPARED
 */
import type { Pool } from 'pg';
import { abortBranch, commitBranch, crashpoint, decideAndFinish, run } from '../protocol';
import type {
  Ack,
  AbortReason,
  DecideAnswer,
  Decided,
  DecideReplies,
  DecideRequest,
  Decision,
  Driver,
  Finished,
  FinishReplies,
  FinishRequest,
} from '../protocol';
import type { Branch } from './branch';
import { findBranch } from './branch-log';
import type { LoggedRequest } from './branch-log';
import { forbidBranch } from './branch-transaction';
import { BranchInProgressError } from './errors';
import { keyOf } from './gid';
import type { Gid } from './gid';
import { look } from './look';
import { finishPrepared } from './prepared';
import { decide as register } from './register';
import { isDatabaseError, isStatementError, SqlState } from './sqlstate';

/** A branch with the name of its prepared transaction. */
export interface FinishableBranch extends Pick<Branch, 'pool' | 'timeouts' | 'name' | 'caller' | 'wakeRelays'> {
  readonly gid: Gid;
  /** Its operation only reads. */
  readonly readOnly?: boolean;
}

/** What a branch is told apart by, and what may be known of it. */
export type Finishing = LoggedRequest & Pick<FinishRequest, 'xid' | 'wantsResult'>;

/** Commits a branch. @throws what may be cured by trying again */
export async function commit(branch: FinishableBranch, request: Finishing): Promise<Ack> {
  const ack = await finish(branch, request, 'commit');
  await crashpoint('two-phase.committed-before-ack');
  return ack;
}

/** Aborts a branch, and sees to it that it can never take effect. @throws what may be cured by trying again */
export async function abort(branch: FinishableBranch, request: Finishing): Promise<Ack> {
  const ack = await finish(branch, request, 'abort');
  await crashpoint('two-phase.aborted-before-ack');
  return ack;
}

/**
 * Decides, or reads what was decided, and finishes the primary's own branch by it. What is decided is told even where that branch
 * cannot follow yet, because a late attempt has its key, or for any other reason: the others must not keep their locks meanwhile.
 * The primary is asked to finish like the others then, and says what is wrong.
 *
 * @throws {DecisionMismatchError} when the transaction was decided for another input
 */
export async function decide(branch: FinishableBranch, request: DecideRequest): Promise<DecideAnswer> {
  let decided: Decided | undefined;
  const driver: Driver<DecideReplies> = {
    ...driverOf(branch, request),
    // Cast: the program asks with its proposal.
    decide: async (about) => (decided = await decideBy(branch.pool, request, about as Proposing)),
  };
  const program = decideAndFinish(request.propose, request.reason);
  try {
    const settled = await run<DecideReplies, Decided & { readonly ack: Finished }>(program, driver);
    const answer = { ...settled, ack: await withResult(branch, request, certain(request, settled.ack)) };
    await crashpoint('two-phase.finished-before-report');
    return answer;
  } catch (error) {
    if (decided === undefined) throw error;
    return decided;
  }
}

interface Proposing {
  readonly propose: Decision;
  readonly reason?: AbortReason;
}

/** Writes a coordinator's proposal into the register, or reads what is there. */
export async function decideBy(pool: Pool, request: DecideRequest, { propose, reason }: Proposing): Promise<Decided> {
  const {
    decision,
    reason: why,
    by,
  } = await register(pool, {
    key: keyOf(request.transaction),
    transaction: request.transaction,
    propose,
    by: 'coordinator',
    branches: request.branches,
    ...(reason === undefined ? {} : { reason }),
    ...(request.request === undefined ? {} : { request: request.request }),
  });
  await crashpoint('two-phase.decided-before-finish');
  return { decision, by, ...(why === undefined ? {} : { reason: why }) };
}

async function finish(branch: FinishableBranch, request: Finishing, decision: Decision): Promise<Ack> {
  const program = decision === 'commit' ? commitBranch() : abortBranch();
  const finished = await run<FinishReplies, Finished>(program, driverOf(branch, request));
  return withResult(branch, request, certain(request, finished));
}

function certain({ transaction, branch }: Finishing, finished: Finished): Ack {
  if (finished === 'again') throw new BranchInProgressError(transaction, branch);
  return finished;
}

/** An attempt that died after PREPARE TRANSACTION has told nobody what the operation returned: the committed row has it. */
async function withResult(branch: FinishableBranch, request: Finishing, ack: Ack): Promise<Ack> {
  if (!request.wantsResult || ack.kind !== 'applied') return ack;
  const row = await findBranch(branch.pool, branch.name, request);
  return row?.state === 'applied' ? { kind: 'applied', result: row.result } : ack;
}

/**
 * A branch that only reads ended with its vote, and has no row that says so. It is asked to finish by a coordinator that does
 * not know its vote: one that was reset, or a second one under the same id. It must not take it for lost.
 */
const NOTHING_TO_FINISH: Driver<FinishReplies> = {
  commitPrepared: async () => 'done',
  rollbackPrepared: async () => 'done',
  look: async () => 'none',
  transactionStatus: async () => 'unknown',
  tombstone: async () => 'inserted',
};

function driverOf(branch: FinishableBranch, request: Finishing): Driver<FinishReplies> {
  if (branch.readOnly) return NOTHING_TO_FINISH;
  const { pool, name, gid, wakeRelays } = branch;
  return {
    commitPrepared: async () => {
      const answer = await finishPrepared(pool, gid, 'commit');
      // Whether it appended events is not known here, and to look costs little.
      if (answer === 'done') wakeRelays?.();
      return answer;
    },
    rollbackPrepared: async () => {
      const answer = await finishPrepared(pool, gid, 'abort');
      await crashpoint('two-phase.rolled-back-before-tombstone');
      return answer;
    },
    look: () => look(pool, name, request),
    transactionStatus: async () => {
      if (request.xid === undefined) return 'unknown';
      try {
        const { rows } = await pool.query<{ status: FinishReplies['transactionStatus'] | null }>(
          'select pg_xact_status($1::text::xid8) as status',
          [request.xid],
        );
        return rows[0]?.status ?? 'unknown';
      } catch (error) {
        // In the future: this server has never begun it, as after a failover.
        if (isStatementError(error) && error.code === SqlState.InvalidParameterValue) return 'unknown';
        throw error;
      }
    },
    tombstone: async () => {
      try {
        return (await forbidBranch(branch, request, 'fenced')) ? 'inserted' : 'taken';
      } catch (error) {
        if (isDatabaseError(error) && error.code === SqlState.LockNotAvailable) return 'blocked';
        throw error;
      }
    },
  };
}
