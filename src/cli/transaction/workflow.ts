/** A transaction as Temporal knows it: its workflow, what it reports of itself, and its history. Reads only. */
import { QueryNotRegisteredError, WorkflowNotFoundError, isGrpcServiceError } from '@temporalio/client';
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { FailureType } from '../../protocol';
import type { TransactionReport } from '../../protocol';
import type { Coordinators } from '../coordinators';
import { decodeHistory, readUnreadable } from '../payloads';
import { printable } from '../printable';
import { dataConverterOfEnvironment } from '../temporal';
import { failureType, fieldsOf, messageOf, numberOf, readEvents, textOf, valuesOf } from '../timeline/history';
import type { HistoryEvent } from '../timeline/history';
import type { Pending } from '../timeline/timeline';

export type WorkflowLook =
  /** Temporal does not answer. */
  | { readonly kind: 'down'; readonly why: string }
  /** It knows no such workflow, or has forgotten it. */
  | {
      readonly kind: 'unknown';
      /** The group that has begun it, and how that stands: `undefined` where Temporal has forgotten that too. */
      readonly begunIn?: { readonly group: string; readonly status: string | undefined };
    }
  | FoundWorkflow;

export interface FoundWorkflow {
  readonly kind: 'found';
  readonly id: string;
  readonly type: string;
  /** RUNNING, COMPLETED, FAILED, … */
  readonly status: string;
  readonly taskQueue: string;
  readonly startedAt: Date;
  readonly closedAt?: Date;
  /** What it says of its transactions, the outermost first. */
  readonly report: ReportLook;
  readonly events: readonly HistoryEvent[];
  /** Activities under way. */
  readonly pending: readonly Pending[];
  /** Of a group: the transactions that go on, or have ended, as workflows of their own, under their ids. It reports none of them. */
  readonly left?: readonly string[];
}

type ReportLook =
  /** From a worker, or from the failure with which it ended. */
  | { readonly kind: 'told'; readonly reports: readonly TransactionReport[] }
  /** Workers know no such question: it is no transaction, or has not begun. */
  | { readonly kind: 'none' }
  | { readonly kind: 'no-worker'; readonly why: string };

/** A worker that is busy answers within this, and a person waits for it. */
const QUERY_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 5_000;

export type HistoryLook =
  | Exclude<WorkflowLook, FoundWorkflow>
  | (Pick<FoundWorkflow, 'kind' | 'events' | 'pending'> & {
      readonly description: WorkflowExecutionDescription;
      readonly client: Client;
    });

/** Looks at the history of a workflow, without asking any worker. Never throws. */
export async function lookAtHistory(coordinators: Coordinators, id: string): Promise<HistoryLook> {
  const client = await coordinators.client();
  if ('down' in client) return { kind: 'down', why: client.down };
  try {
    const description = await within(client, TIMEOUT_MS, () => client.workflow.getHandle(id).describe());
    const history = await within(client, TIMEOUT_MS, () =>
      // Of that run, and no later one of the same id.
      client.workflow.getHandle(id, description.runId).fetchHistory(),
    );
    const converter = dataConverterOfEnvironment();
    return {
      kind: 'found',
      client,
      description,
      events: readEvents(await decodeHistory(history.events, converter), id),
      pending: pendingOf(await decodeHistory(description.raw.pendingActivities ?? [], converter)),
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { kind: 'unknown' };
    return { kind: 'down', why: `Temporal does not say (${tell(error)})` };
  }
}

/** Looks at a workflow, and asks it how its transactions stand. Never throws. */
export async function lookAtWorkflow(coordinators: Coordinators, id: string): Promise<WorkflowLook> {
  const found = await lookAtHistory(coordinators, id);
  if (found.kind !== 'found') return found;
  const { client, description, events, pending } = found;
  const { type, taskQueue, closeTime, runId } = description;
  return {
    kind: 'found',
    id,
    type,
    status: description.status.name,
    taskQueue,
    startedAt: description.startTime,
    ...(closeTime === undefined ? {} : { closedAt: closeTime }),
    report: await reportOf(client, client.workflow.getHandle(id, runId), events),
    events,
    pending,
  };
}

const within = <T>(client: Client, ms: number, ask: () => Promise<T>): Promise<T> =>
  client.withDeadline(Date.now() + ms, ask);

async function reportOf(client: Client, run: WorkflowHandle, events: readonly HistoryEvent[]): Promise<ReportLook> {
  const ended = reportInFailure(events);
  if (ended !== undefined) return { kind: 'told', reports: [ended] };
  try {
    const reports: unknown = await within(client, QUERY_TIMEOUT_MS, () => run.query('report'));
    const unreadable = readUnreadable(reports);
    if (unreadable !== undefined)
      return { kind: 'no-worker', why: `what its worker says cannot be read: ${unreadable.why}` };
    return Array.isArray(reports) && reports.length > 0 && reports.every(isReport)
      ? { kind: 'told', reports }
      : { kind: 'none' };
  } catch (error) {
    if (error instanceof QueryNotRegisteredError) return { kind: 'none' };
    return { kind: 'no-worker', why: isGrpcServiceError(error) ? 'no worker answers' : tell(error) };
  }
}

const OF_REPORTS: readonly string[] = [
  FailureType.TransactionAborted,
  FailureType.TransactionCompensated,
  FailureType.TransactionMixed,
];

/** A transaction that did not commit left its report in its failure, for good. */
function reportInFailure(events: readonly HistoryEvent[]): TransactionReport | undefined {
  const last = events.findLast(({ type }) => type === 'workflowExecutionFailed');
  for (let failure = last?.attributes['failure'], depth = 0; failure && depth < 20; depth++) {
    const info = fieldsOf(fieldsOf(failure)['applicationFailureInfo']);
    const [report] = OF_REPORTS.includes(textOf(info['type']) ?? '') ? valuesOf(info['details']) : [];
    if (isReport(report)) return report;
    failure = fieldsOf(failure)['cause'];
  }
  return undefined;
}

const PROTOCOLS: readonly unknown[] = ['saga', 'two-phase-commit', 'three-phase-commit', 'try-confirm-cancel'];

/** Any workflow may answer a question of that name. */
function isReport(value: unknown): value is TransactionReport {
  const { id, protocol, outcome, steps, branches } = fieldsOf(value);
  if (typeof id !== 'string' || typeof outcome !== 'string' || !PROTOCOLS.includes(protocol)) return false;
  return protocol === 'saga' ? areLines(steps, ['fate', 'compensation']) : areLines(branches, ['finish']);
}

const areLines = (lines: unknown, kinds: readonly string[]): boolean =>
  Array.isArray(lines) &&
  lines.every(
    (line) =>
      typeof fieldsOf(line)['branch'] === 'string' &&
      kinds.every((kind) => typeof fieldsOf(fieldsOf(line)[kind])['kind'] === 'string'),
  );

const pendingOf = (activities: unknown): Pending[] =>
  (Array.isArray(activities) ? activities : []).map((activity) => {
    const { activityId, attempt, lastFailure } = fieldsOf(activity);
    const failure = messageOf(lastFailure);
    return {
      activityId: textOf(activityId) ?? '',
      attempts: numberOf(attempt) ?? 0,
      ...(failure === undefined ? {} : { failure }),
    };
  });

/** Why it ended, in its own words, where it failed otherwise than a transaction does. */
export function failureOf({ events }: FoundWorkflow): string | undefined {
  const { attributes } = events.findLast(({ type }) => type === 'workflowExecutionFailed') ?? {};
  if (attributes === undefined) return undefined;
  return `${failureType(attributes['failure']) ?? 'failure'}: ${messageOf(attributes['failure']) ?? 'no message'}`;
}

const tell = (error: unknown): string => printable(error instanceof Error ? error.message : String(error));
