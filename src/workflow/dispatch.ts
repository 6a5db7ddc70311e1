/**
 * The one seam between coordinators and branches: one activity for each question, on the task queue of the participant.
 * Protocols know only the interface, so that another transport, or one activity for many branches, can take its place.
 */
import type { Duration, RetryPolicy } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { BranchRequest, CompensateAnswer, ExecuteAnswer, QueryAnswer, TransactionId } from '../protocol';

/** A branch and the participant that it is at. */
export interface BranchCall extends BranchRequest {
  readonly participant: string;
  readonly operation: string;
}

/** How hard to try. */
interface Effort {
  /** How long to go on, retries included. No limit when absent. */
  readonly timeout?: Duration;
  /** How long one attempt may take. */
  readonly attemptTimeout: Duration;
  readonly retry: RetryPolicy;
  /** One line for the Web UI. */
  readonly summary: string;
}

export interface Dispatcher {
  execute(call: BranchCall, effort: Effort): Promise<ExecuteAnswer>;
  compensate(call: BranchCall, effort: Effort): Promise<CompensateAnswer>;
  query(call: BranchCall, effort: Effort): Promise<QueryAnswer>;
  releaseLocks(participant: string, transaction: TransactionId, effort: Effort): Promise<void>;
}

/** How soon a killed worker is noticed. Participants send a heartbeat every second. */
const HEARTBEAT_TIMEOUT = '5 seconds';

export const activityDispatcher: Dispatcher = {
  execute: (call, effort) => ask(call.participant, call.operation, requestOf(call), effort),
  compensate: (call, effort) => ask(call.participant, `${call.operation}.compensate`, requestOf(call), effort),
  query: (call, effort) => ask(call.participant, `${call.operation}.query`, requestOf(call), effort),
  releaseLocks: (participant, transaction, effort) => ask(participant, 'releaseLocks', { transaction }, effort),
};

async function ask<Answer>(participant: string, activity: string, request: object, effort: Effort): Promise<Answer> {
  const activities = proxyActivities<Record<string, (request: object) => Promise<Answer>>>({
    taskQueue: participant,
    startToCloseTimeout: effort.attemptTimeout,
    ...(effort.timeout === undefined ? {} : { scheduleToCloseTimeout: effort.timeout }),
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    // The default gives up waiting at once: a compensation would then run beside the action that it undoes.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: effort.retry,
    summary: effort.summary,
  });
  const call = activities[activity] as (request: object) => Promise<Answer>;
  return call(request);
}

const requestOf = ({ transaction, branch, input, request }: BranchCall): BranchRequest => ({
  transaction,
  branch,
  input,
  ...(request === undefined ? {} : { request }),
});
