/**
 * The questions of two- and three-phase commit about a branch: `prepare`, `decide` at the primary, `commit` or
 * `abort` at the others, and before that, in three-phase commit, `preCommit`.
 */
import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import { crashpoint } from '../protocol';
import type {
  Ack,
  DecideAnswer,
  DecideRequest,
  FinishRequest,
  ParticipantReplies,
  PrepareAnswer,
  PrepareRequest,
  VoteMessage,
} from '../protocol';
import { callerNamespace, parseRequest } from './answering';
import { asked } from './asked';
import type { Branch } from './branch';
import { abort, commit, decide } from './finish';
import type { FinishableBranch } from './finish';
import { gidOf } from './gid';
import type { Gid } from './gid';
import { preCommit } from './pre-commit';
import { prepare } from './prepare';

/** Name of the signal that carries a vote. */
const VOTE_SIGNAL = 'vote';

export interface TwoPhaseActivities {
  readonly prepare: (request: PrepareRequest) => Promise<PrepareAnswer>;
  readonly preCommit: (request: FinishRequest) => Promise<ParticipantReplies['preCommit']>;
  readonly decide: (request: DecideRequest) => Promise<DecideAnswer>;
  readonly commit: (request: FinishRequest) => Promise<Ack>;
  readonly abort: (request: FinishRequest) => Promise<Ack>;
}

/** The questions about one operation. */
export const twoPhaseActivities = (
  operation: string,
  open: () => Branch,
  reopen: () => Branch,
): TwoPhaseActivities => ({
  prepare: async (given) => {
    const request: PrepareRequest = {
      ...parseRequest(given),
      token: String(given.token),
      register: given.register,
      votes: given.votes === 'answer' ? 'answer' : 'signal',
    };
    const { info } = Context.current();
    const answer = await prepare(
      {
        ...open(),
        gid: gidAt(operation, request),
        participant: asked().participant,
        attempt: info.attempt === 1 && !request.again ? 'first' : 'later',
      },
      request,
    );
    if (request.votes === 'signal') await vote(request, answer);
    await crashpoint('two-phase.voted-before-answer');
    return answer;
  },
  preCommit: async (given) => {
    const request = parseFinish(given);
    return preCommit(finishable(reopen(), request), request);
  },
  decide: async (given) => {
    const { reason } = given;
    const request: DecideRequest = {
      ...parseFinish(given),
      propose: given.propose === 'commit' ? 'commit' : 'abort',
      branches: given.branches,
      ...(reason === undefined ? {} : { reason }),
    };
    return decide(finishable(reopen(), request), request);
  },
  commit: async (given) => {
    const request = parseFinish(given);
    return commit(finishable(reopen(), request), request);
  },
  abort: async (given) => {
    const request = parseFinish(given);
    return abort(finishable(reopen(), request), request);
  },
});

const parseFinish = (given: FinishRequest): FinishRequest => ({
  ...parseRequest(given),
  register: given.register,
  ...(given.xid === undefined ? {} : { xid: String(given.xid) }),
  ...(given.wantsResult ? { wantsResult: true } : {}),
});

const finishable = (branch: Branch, request: FinishRequest): FinishableBranch => ({
  ...branch,
  gid: gidAt(branch.name, request),
  readOnly: branch.operation.kind === 'read-only',
});

const gidAt = (operation: string, request: FinishRequest | PrepareRequest): Gid =>
  gidOf(request, {
    operation,
    register: request.register,
    participant: asked().participant,
    namespace: callerNamespace(),
  });

/** Signals the vote to the workflow that asked, whichever run of it is there now. */
async function vote({ transaction, branch, token }: PrepareRequest, answer: PrepareAnswer): Promise<void> {
  const { client, info, log } = Context.current();
  if (!info.workflowExecution) return;
  const message: VoteMessage = {
    transaction,
    branch,
    token,
    vote: answer.vote,
    ...(answer.vote === 'abort' ? { reason: answer.reason } : {}),
  };
  try {
    await client.workflow.getHandle(info.workflowExecution.workflowId).signal(VOTE_SIGNAL, message);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    // Closed, or deleted: that says nothing of the outcome, which only the register knows. Recovery asks it (C6, O5).
    log.warn('The coordinator is gone; the branch is left to recovery', { transaction, branch });
  }
}
