/**
 * The one seam between coordinators and branches: one activity for each question, on the task queue of the participant.
 * Protocols know only the interface, so that another transport can take its place: in a group one activity asks for many.
 */
import type { Duration, RetryPolicy } from '@temporalio/common';
import { ActivityCancellationType, isCancellation, proxyActivities } from '@temporalio/workflow';
import { DEFAULT_TIMEOUTS, HEALTH } from '../protocol';
import type {
  AbortReason,
  Ack,
  BranchRequest,
  CompensateAnswer,
  Decided,
  DecideAnswer,
  DecideRequest,
  Decision,
  ExecuteAnswer,
  FinishRequest,
  ParticipantHealth,
  ParticipantReplies,
  PrepareAnswer,
  PrepareRequest,
  QueryAnswer,
  TransactionId,
  TryRequest,
} from '../protocol';
import { groupsOf } from './event-group';
import { failTask } from './fail-task';
import { messageOf } from './failures';
import { rejecting } from './rejecting';
import { isUndecodable } from './undecodable';
import { listening } from './worker-circuits';

/** Who is asked. */
export interface Addressee {
  readonly participant: string;
  /** It is asked in the process of the coordinator first. */
  readonly colocated?: true;
}

/** A branch and the participant that it is at. */
export interface BranchCall extends BranchRequest, Addressee {
  readonly operation: string;
  /** It is tried, and confirmed or cancelled, where others are prepared, and committed or aborted. */
  readonly reserves?: true;
}

/** What a request adds to its branch. */
type More<Request extends BranchRequest> = Omit<Request, keyof BranchRequest>;

/** How hard to try. */
export interface Effort {
  /** How long to go on, retries included. No limit when absent. */
  readonly timeout?: Duration;
  /** How long one attempt may take. */
  readonly attemptTimeout: Duration;
  readonly retry: RetryPolicy;
  /** How long to wait for a worker that takes an attempt up. No limit of its own when absent. */
  readonly startTimeout?: Duration;
  /** One line for the Web UI. */
  readonly summary: string;
}

/** What is proposed to a register. */
interface Proposal {
  readonly transaction: TransactionId;
  readonly propose: Decision;
  /** Why, where it is to be aborted. */
  readonly reason?: AbortReason;
  /** Hash of the transaction's input. */
  readonly request?: string;
}

export interface Dispatcher {
  execute(call: BranchCall, effort: Effort): Promise<ExecuteAnswer>;
  compensate(call: BranchCall, effort: Effort): Promise<CompensateAnswer>;
  query(call: BranchCall, effort: Effort): Promise<QueryAnswer>;
  prepare(
    call: BranchCall,
    more: More<PrepareRequest> & Pick<TryRequest, 'holdMs'>,
    effort: Effort,
  ): Promise<PrepareAnswer>;
  /** Three-phase commit: writes down that all have voted `commit`. */
  preCommit(call: BranchCall, more: More<FinishRequest>, effort: Effort): Promise<ParticipantReplies['preCommit']>;
  /** What the register of a participant says. */
  readDecision(
    register: string,
    about: Pick<Proposal, 'transaction' | 'request'>,
    effort: Effort,
  ): Promise<Decision | 'none'>;
  /** Proposes to the register of a participant, without finishing any branch. */
  propose(register: string, proposal: Proposal, effort: Effort): Promise<Decided>;
  /** Asked of the primary only. */
  decide(call: BranchCall, more: More<DecideRequest>, effort: Effort): Promise<DecideAnswer>;
  finish(call: BranchCall, decision: Decision, more: More<FinishRequest>, effort: Effort): Promise<Ack>;
  /** Never fails: who does not answer is unhealthy. @throws {CancelledFailure} when the scope around it is cancelled */
  health(participant: string, effort: Effort): Promise<ParticipantHealth>;
  releaseLocks(participant: string, transaction: TransactionId, effort: Effort): Promise<void>;
}

/** How soon a killed worker is noticed. */
const HEARTBEAT_TIMEOUT = DEFAULT_TIMEOUTS.heartbeat.timeoutMs;

/** Asks a participant one question. Throws nothing at once. @throws what it fails with, once all efforts are spent */
export type Ask = <Answer>(to: Addressee, activity: string, request: object, effort: Effort) => Promise<Answer>;

/** Puts questions into words, whichever way they travel. */
export const dispatcherOver = (ask: Ask): Dispatcher => ({
  execute: (call, effort) => ask(call, call.operation, requestOf(call), effort),
  compensate: (call, effort) => ask(call, `${call.operation}.compensate`, requestOf(call), effort),
  query: (call, effort) => ask(call, `${call.operation}.query`, requestOf(call), effort),
  prepare: (call, more, effort) =>
    ask(call, `${call.operation}.${call.reserves ? 'try' : 'prepare'}`, { ...requestOf(call), ...more }, effort),
  preCommit: (call, more, effort) => ask(call, `${call.operation}.preCommit`, { ...requestOf(call), ...more }, effort),
  readDecision: (register, about, effort) => ask({ participant: register }, 'recovery.read', about, effort),
  propose: (register, proposal, effort) => ask({ participant: register }, 'recovery.decide', proposal, effort),
  decide: (call, more, effort) => ask(call, `${call.operation}.decide`, { ...requestOf(call), ...more }, effort),
  finish: (call, decision, more, effort) =>
    ask(call, `${call.operation}.${verbOf(call, decision)}`, { ...requestOf(call), ...more }, effort),
  health: (participant, effort) =>
    ask<ParticipantHealth>({ participant }, HEALTH, {}, effort).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      return { status: 'unhealthy', reason: messageOf(error) };
    }),
  releaseLocks: (participant, transaction, effort) => ask({ participant }, 'releaseLocks', { transaction }, effort),
});

/** Where a vote by signal would be one more task of the workflow, and proves no more than the answer does. */
export const withoutSignals = (usual: Dispatcher): Dispatcher => ({
  ...usual,
  prepare: (call, more, effort) => usual.prepare(call, { ...more, votes: 'answer' }, effort),
});

const verbOf = ({ reserves }: BranchCall, decision: Decision): string => {
  if (!reserves) return decision;
  return decision === 'commit' ? 'confirm' : 'cancel';
};

/** One activity for a question. */
export const askAlone: Ask = <Answer>(to: Addressee, activity: string, request: object, effort: Effort) =>
  listening(
    to.participant,
    rejecting(() => scheduled<Answer>(to, activity, request, effort)),
  ).catch((error: unknown) => {
    // An answer that cannot be read is not "no": it was given, and stands in the history. So nothing is concluded from it, until somebody has
    // given the worker what it needs to read it.
    if (isUndecodable(error)) return failTask(error);
    throw error;
  });

function scheduled<Answer>(
  { participant }: Addressee,
  activity: string,
  request: object,
  effort: Effort,
): Promise<Answer> {
  const activities = proxyActivities<Record<string, (request: object) => Promise<Answer>>>({
    taskQueue: participant,
    startToCloseTimeout: effort.attemptTimeout,
    ...(effort.timeout === undefined ? {} : { scheduleToCloseTimeout: effort.timeout }),
    ...(effort.startTimeout === undefined ? {} : { scheduleToStartTimeout: effort.startTimeout }),
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    // The default gives up waiting at once: a compensation would then run beside the action that it undoes.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: effort.retry,
    summary: effort.summary,
    eventGroups: groupsOf(request),
  });
  const call = activities[activity] as (request: object) => Promise<Answer>;
  return call(request);
}

export const activityDispatcher: Dispatcher = dispatcherOver(askAlone);

const requestOf = ({
  transaction,
  branch,
  input,
  coordinator,
  request,
  failFast,
  ...call
}: BranchCall): BranchRequest => ({
  transaction,
  branch,
  input,
  ...(coordinator === undefined ? {} : { coordinator }),
  ...(request === undefined ? {} : { request }),
  ...(failFast === undefined ? {} : { failFast }),
  ...(call.again === undefined ? {} : { again: call.again }),
  ...(call.inherits === undefined ? {} : { inherits: call.inherits }),
});
