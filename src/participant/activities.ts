/**
 * A participant's operations as Temporal activities: `debit`, `debit.compensate`, `debit.query` for each operation, and
 * `releaseLocks`. A worker on the participant's task queue registers them.
 *
 * Nothing here knows a protocol: an activity is one question about one branch, and the branch log answers it.
 */
import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { Pool } from 'pg';
import {
  checkLocalTimeouts,
  crashpoint,
  InvalidTimeouts,
  parseBranchId,
  parseParticipantName,
  parseTransactionId,
} from '../protocol';
import type {
  BranchRequest,
  CompensateAnswer,
  ExecuteAnswer,
  LocalTimeouts,
  QueryAnswer,
  TransactionId,
} from '../protocol';
import type { Branch } from './branch';
import { compensate } from './compensate';
import { execute } from './execute';
import { failureOf } from './failures';
import { releaseLocks } from './isolation/semantic-lock';
import type { Operation, Participant } from './operation';
import { query } from './query';

export interface ParticipantOptions {
  /** Connections to the participant's own database. The schema `txn` must be migrated there. */
  readonly pool: Pool;
  /** @default lock 2 s < statement 5 s < idle in transaction 8 s < start-to-close 10 s */
  readonly timeouts?: Partial<LocalTimeouts>;
}

/** Asks for a branch, or, of `releaseLocks`, for a whole transaction. */
type Request = BranchRequest | { readonly transaction: TransactionId };
type Answer = ExecuteAnswer | CompensateAnswer | QueryAnswer | { readonly released: number };

/** What a participant's worker registers, by activity type. */
export type ParticipantActivities = Readonly<Record<string, (request: Request) => Promise<Answer>>>;

/**
 * Makes the activities of a participant.
 *
 * @throws {InvalidTimeouts} when the timeouts are out of order
 * @example
 * const activities = participantActivities(accounts, { pool });
 * const worker = await Worker.create({ connection, taskQueue: 'accounts', activities });
 */
export function participantActivities(participant: Participant, options: ParticipantOptions): ParticipantActivities {
  parseParticipantName(participant.name);
  const timeouts = checkLocalTimeouts(options.timeouts);
  // An idle connection that the server closes must not end the process: the pool opens another one.
  options.pool.on('error', ignoreLostIdleConnection);
  const activities: Record<string, (request: Request) => Promise<Answer>> = {
    releaseLocks: ({ transaction }) =>
      answering(async () => ({ released: await releaseLocks(options.pool, parseTransactionId(transaction)) })),
  };
  for (const [name, operation] of Object.entries(participant.operations)) {
    const open = (): Branch => openBranch(name, operation, options.pool, timeouts);
    activities[name] = (request) =>
      answering(async () => {
        const answer = await execute(open(), parseRequest(request));
        await crashpoint('branch.committed-before-report');
        return answer;
      });
    activities[`${name}.compensate`] = (request) =>
      answering(async () => {
        const answer = await compensate(open(), parseRequest(request));
        await crashpoint('compensation.committed-before-report');
        return answer;
      });
    activities[`${name}.query`] = (request) => answering(() => query(open(), parseRequest(request)));
  }
  return activities;
}

function ignoreLostIdleConnection(): void {
  // The pool has dropped it already; whoever needs a connection next gets a new one, or the error.
}

function openBranch(name: string, operation: Operation, pool: Pool, timeouts: LocalTimeouts): Branch {
  const { info, cancellationSignal } = Context.current();
  if (info.startToCloseTimeoutMs <= timeouts.idleInTransactionMs) {
    // Temporal would start the next attempt while PostgreSQL still lets this one commit.
    throw new InvalidTimeouts(
      'idleInTransactionMs',
      'the start-to-close timeout',
      `the coordinator gives an attempt ${info.startToCloseTimeoutMs} ms, this participant lets a session idle ${timeouts.idleInTransactionMs} ms`,
    );
  }
  return {
    pool,
    timeouts,
    name,
    operation,
    // An activity that no workflow started has nobody the purge could ask about.
    ...(info.workflowExecution
      ? {
          caller: {
            namespace: info.workflowNamespace ?? info.namespace,
            workflowId: info.workflowExecution.workflowId,
          },
        }
      : {}),
    checkWithdrawn: () => {
      if (cancellationSignal.aborted)
        throw new CancelledFailure('Nothing was changed: the coordinator withdrew the request.');
    },
  };
}

/** Reads a request into a fresh object: what came over the wire is data, and only the fields that we know go on. */
const parseRequest = (request: Partial<BranchRequest>): BranchRequest => ({
  transaction: parseTransactionId(request.transaction),
  branch: parseBranchId(request.branch),
  input: request.input,
  ...(typeof request.request === 'string' ? { request: request.request } : {}),
});

/** A killed worker is noticed within the heartbeat timeout, and a withdrawn request reaches us with the answer to one. */
const HEARTBEAT_INTERVAL_MS = 1_000;

async function answering<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), HEARTBEAT_INTERVAL_MS);
  try {
    return await work();
  } catch (error) {
    const failure = failureOf(error);
    if (failure !== error) context.log.debug('A branch did not take effect', { error });
    throw failure;
  } finally {
    clearInterval(beat);
  }
}
