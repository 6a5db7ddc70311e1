/**
 * The questions of a participant's recovery, as activities. `watch`, `coordinator` and `settle` are asked of the participant
 * itself, `read` and `decide` of the one that has the register, by participants of three-phase commit too.
 */
import { Context, sleep } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { AbortCode, heirsOf, isGroupId, parseBranchId, parseTransactionId } from '../protocol';
import type { AbortReason, Ack, Decided, Decision, LocalTimeouts } from '../protocol';
import { answering, callerNamespace, reopenBranch } from './answering';
import { readInput } from './branch';
import { DecisionMismatchError, UnknownOperationError } from './errors';
import { keyOf, parseTransactionKey } from './gid';
import type { TransactionKey } from './gid';
import type { AnyOperation, Participant } from './operation';
import { forgetEnded, settle, survey } from './recovery';
import type { Settleable, Survey } from './recovery';
import { decide, decisionFor, readDecisionByKey } from './register';
import { findReservation, overdueReservations } from './reservations';
import type { OverdueReservation } from './reservations';
import { endedBefore, endReservation } from './try-confirm-cancel';

interface WatchRequest {
  /** How long a prepared branch is left alone, in milliseconds. */
  readonly graceMs: number;
  /** How long to watch while there is nothing to do, in milliseconds. */
  readonly forMs: number;
  /** Pause between two looks, in milliseconds. */
  readonly everyMs: number;
  /** What is waited for anyway and does not end the watch: gids of branches, and {@link nameOf} reservations. */
  readonly known: readonly string[];
}

/** Which row of the register is meant: by the id of the transaction, where that is known. */
interface Entry {
  readonly key?: TransactionKey;
  readonly transaction?: string;
  /** Hash of the transaction's input, where that is known. */
  readonly request?: string;
}

/** What a watch has found. */
interface Sighting extends Survey {
  readonly reservations: readonly OverdueReservation[];
}

export interface RecoveryActivities {
  'recovery.watch'(request: WatchRequest): Promise<Sighting>;
  'recovery.coordinator'(request: {
    readonly namespace?: string;
    readonly namespaceId?: string;
    readonly workflowId?: string;
    readonly transaction?: string;
  }): Promise<'running' | 'gone' | 'unknown'>;
  'recovery.settle'(request: Settleable & { readonly decision: Decision }): Promise<Ack>;
  'recovery.settleReservation'(request: {
    readonly transaction: string;
    readonly branch: string;
    readonly decision: Decision;
  }): Promise<Ack>;
  'recovery.read'(request: Entry): Promise<Decision | 'none'>;
  'recovery.decide'(request: Entry & { readonly propose: Decision; readonly reason?: AbortReason }): Promise<Decided>;
}

export interface Recovering {
  readonly pool: Pool;
  readonly timeouts: LocalTimeouts;
  readonly operations: Participant['operations'];
  readonly stopping: () => boolean;
  /** Unique id of the Temporal namespace that the worker is in, where it knows it. */
  readonly namespaceId: () => string | undefined;
}

export const recoveryActivities = ({
  pool,
  timeouts,
  operations,
  stopping,
  namespaceId,
}: Recovering): RecoveryActivities => ({
  'recovery.watch': (request) => answering(() => watch(pool, request, stopping), WATCH_HEARTBEAT_MS),
  'recovery.coordinator': (caller) => answering(() => coordinatorOf(caller, namespaceId())),
  'recovery.settle': ({ decision, ...branch }) =>
    answering(() => settle(pool, timeouts, Context.current().info.taskQueue, branch, decision)),
  'recovery.settleReservation': ({ transaction, branch, decision }) =>
    answering(async () => {
      const key = { transaction: parseTransactionId(transaction), branch: parseBranchId(branch) };
      const found = await findReservation(pool, key.transaction, key.branch);
      if (!found) return endedBefore(pool, key, decision);
      const { operation: name, ...stored } = found;
      const operation = operations[name];
      if (!operation) throw new UnknownOperationError(name, key);
      const request = { ...key, ...stored, input: await inputTried(operation, stored.input) };
      return endReservation(reopenBranch(name, operation, pool, timeouts), request, decision);
    }),
  'recovery.read': (entry) =>
    answering(async () => decisionFor(await readDecisionByKey(pool, keyIn(entry)), requestIn(entry))),
  'recovery.decide': (given) =>
    answering(async () => {
      const { transaction } = given;
      const propose = given.propose === 'commit' ? 'commit' : 'abort';
      const request = requestIn(given);
      try {
        const { decision, by, reason } = await decide(pool, {
          key: keyIn(given),
          propose,
          by: Context.current().info.workflowExecution?.workflowId ?? 'an activity',
          ...(propose === 'commit' ? {} : { reason: given.reason ?? NOBODY }),
          ...(transaction === undefined ? {} : { transaction: parseTransactionId(transaction) }),
          ...(request === undefined ? {} : { request }),
        });
        return { decision, by, ...(reason === undefined ? {} : { reason }) };
      } catch (error) {
        if (!(error instanceof DecisionMismatchError)) throw error;
        // As the coordinator takes it: nothing of this request may commit, and what is prepared for it is rolled back.
        const reason = { code: AbortCode.InputMismatch, message: error.message };
        return { decision: 'abort', by: 'the register', reason };
      }
    }),
});

const NOBODY = { code: AbortCode.Recovered, message: 'There was no decision, and no coordinator at work.' };

const keyIn = ({ key, transaction }: Entry): TransactionKey =>
  transaction === undefined ? parseTransactionKey(key) : keyOf(parseTransactionId(transaction));

const requestIn = ({ request }: Entry): string | undefined => (typeof request === 'string' ? request : undefined);

/** JSON has no undefined: it was written down as null, which an operation without an input does not take. Both have the hash of what was tried. */
async function inputTried(operation: AnyOperation, stored: unknown): Promise<unknown> {
  if (stored !== null) return stored;
  return readInput(operation, null).then(
    () => null,
    () => undefined,
  );
}

/** It lasts for minutes, and each heartbeat costs. */
const WATCH_HEARTBEAT_MS = 10_000;
/** How soon it sees that its worker stops, which waits for it. */
const NAP_MS = 250;

/** Looks until there is something to do or the time is up: one activity for minutes, where a timer for each look would fill the history. */
async function watch(
  pool: Pool,
  { graceMs, forMs, everyMs, known }: WatchRequest,
  stopping: () => boolean,
): Promise<Sighting> {
  const end = performance.now() + forMs;
  const participant = Context.current().info.taskQueue;
  for (;;) {
    const found = {
      ...(await survey(pool, { participant, namespace: callerNamespace() }, graceMs)),
      reservations: await overdueReservations(pool, participant, graceMs),
    };
    report(found);
    const all = [...found.overdue.map(({ gid }) => gid), ...found.reservations.map(nameOf)];
    if (stopping() || all.some((name) => !known.includes(name)) || performance.now() >= end) {
      await forgetEnded(pool, graceMs);
      return found;
    }
    // A pause may be longer than this activity: the next one is not begun sooner for that.
    for (const next = Math.min(performance.now() + everyMs, end); performance.now() < next && !stopping();)
      await sleep(NAP_MS);
  }
}

/** A reservation among what is waited for. No gid has a space. */
const nameOf = ({ transaction, branch }: OverdueReservation): string => `${transaction} ${branch}`;

/** From this share of the server's slots on, the next transaction may find none. */
const SLOTS_WARNING = 0.8;

function report({ oldestAgeMs, overdue, foreign, slots }: Survey): void {
  const { log, info } = Context.current();
  const label = { participant_id: info.taskQueue };
  if (overdue.length > 0)
    log.warn('Branches are in doubt for longer than the grace period', {
      ...label,
      count: overdue.length,
      oldestAgeSeconds: Math.round(oldestAgeMs / 1_000),
    });
  if (slots.limit > 0 && slots.used >= slots.limit * SLOTS_WARNING)
    log.warn('Prepared transactions use most of max_prepared_transactions', { ...label, ...slots });
  if (foreign.length > 0)
    log.info('There are prepared transactions of others in this database; they are left alone', {
      ...label,
      count: foreign.length,
    });
}

/** Where a coordinator was when it asked for a branch. */
interface Whereabouts {
  readonly namespace?: string;
  readonly namespaceId?: string;
  readonly workflowId?: string;
  readonly transaction?: string;
}

/**
 * "Not found" may also mean that we look in the wrong place: whoever is told `gone` still asks the register (O5, O6). A worker that
 * was pointed at another Temporal would find nobody there, and abort all that is undecided: names of namespaces are given twice, ids
 * are not. What a group has begun may go on as a workflow of its own.
 */
async function coordinatorOf(
  { namespace, namespaceId, workflowId, transaction }: Whereabouts,
  ours: string | undefined,
): Promise<'running' | 'gone' | 'unknown'> {
  const { client } = Context.current();
  if (workflowId === undefined || namespace !== client.options.namespace) return 'unknown';
  if (namespaceId !== undefined && ours !== undefined && namespaceId !== ours) return 'unknown';
  const heirs = isGroupId(workflowId) && typeof transaction === 'string' ? heirsOf(transaction) : [];
  for (const id of [workflowId, ...heirs]) if (await isRunning(client, id)) return 'running';
  return 'gone';
}

async function isRunning(client: Client, workflowId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
