/**
 * What the Web UI shows of the transactions in this workflow: the Current Details, the search attributes, the query `report`.
 *
 * Details and query cost nothing, they are made when someone looks. An upsert of search attributes costs an event and a
 * billable action, so there is none while all goes well.
 */
import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';
import {
  defineQuery,
  metricMeter,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { METRICS } from '../observability';
import type { TxnStatus } from '../observability';
import { branchOfInterest, isEnded, isHeld, participantsOf } from '../protocol';
import type { TransactionId, TransactionReport } from '../protocol';
import { membership } from './context';
import type { TransactionContext } from './context';
import { detailsOf } from './details';
import { bytesOf } from './group/bytes';
import { perWorkflow } from './per-workflow';

/** The reports of every transaction of the workflow, the outermost first. */
export const reportQuery = defineQuery<readonly TransactionReport[]>('report');

const KEYS = {
  status: defineSearchAttributeKey('TxnStatus', SearchAttributeType.KEYWORD),
  protocol: defineSearchAttributeKey('TxnProtocol', SearchAttributeType.KEYWORD),
  participants: defineSearchAttributeKey('TxnParticipants', SearchAttributeType.KEYWORD_LIST),
  needsAttention: defineSearchAttributeKey('TxnNeedsAttention', SearchAttributeType.BOOL),
  failedStep: defineSearchAttributeKey('TxnFailedStep', SearchAttributeType.KEYWORD),
};

interface Posted {
  readonly outermost: boolean;
  readonly began: number;
  report: TransactionReport;
}

interface Board {
  readonly posted: Map<TransactionId, Posted>;
  /** The search attributes as they were last written, as text. */
  shown?: string;
}

const board = perWorkflow<Board>(() => ({ posted: new Map() }));

/** Shows how a transaction stands. */
export function post(
  report: TransactionReport,
  { outermost, heritage }: Pick<TransactionContext, 'outermost' | 'heritage'>,
): void {
  const group = membership();
  if (group) return group.show(report);
  const { posted } = board();
  if (posted.size === 0)
    setHandler(reportQuery, () => [...posted.values()].map((entry) => entry.report), {
      description: 'How each transaction of this workflow stands',
    });
  const before = posted.get(report.id);
  // The clocks of two servers may differ.
  const began = before?.began ?? Math.min(heritage?.began ?? Infinity, Date.now());
  if (isHeld(report) && !(before && isHeld(before.report)))
    metricMeter.createCounter(METRICS.held).add(1, { protocol: report.protocol });
  posted.set(report.id, { outermost, began, report });
  const reports = [...posted.values()].map((entry) => entry.report);
  setCurrentDetails(detailsOf(reports, workflowInfo()));
  showAttributes([...posted.values()]);
  if (!isEnded(report) || heritage?.told) return;
  countTransactions(report, 1);
  measureEnded(report, Date.now() - began);
}

/** When a transaction began that was shown, in milliseconds since 1970. */
export const beginningOf = (id: TransactionId): number | undefined => board().posted.get(id)?.began;

function showAttributes(entries: readonly Posted[]): void {
  const status = statusOf(entries);
  const state = board();
  const { shown } = state;
  if (shown === undefined && (status === undefined || status === 'committed')) return;
  const reports = entries.map(({ report }) => report);
  const failed = reports.map(branchOfInterest).find((branch) => branch !== undefined);
  const named = [...new Set(reports.flatMap(participantsOf))].sort();
  const changed = JSON.stringify([status, named, failed]);
  if (changed === shown) return;
  // What was shown and is true no more is taken back, with null: a step that a person has settled needs nobody any longer.
  const pairs: SearchAttributeUpdatePair[] = [
    { key: KEYS.status, value: status ?? null },
    { key: KEYS.protocol, value: entries.find(({ outermost }) => outermost)?.report.protocol ?? 'saga' },
    { key: KEYS.participants, value: fitting(named) },
    { key: KEYS.needsAttention, value: status === 'held' },
    ...(failed === undefined && shown === undefined ? [] : [{ key: KEYS.failedStep, value: failed ?? null }]),
  ];
  state.shown = changed;
  upsertSearchAttributes(pairs);
}

/** Of one search attribute: Temporal takes 2,048, and terminates the workflow that gives it more. */
const MOST_BYTES = 1_900;

/** As many of the names, from the first one on, as a search attribute takes. All of them are in the report. */
function fitting(names: readonly string[]): string[] {
  let bytes = 1; // Of the bracket. With each name goes a comma, or the other bracket.
  return names.filter((name) => (bytes += bytesOf(name) + 1) <= MOST_BYTES);
}

/** One status for the workflow: a held or overdue transaction anywhere in it, or else its last outermost one. */
function statusOf(entries: readonly Posted[]): TxnStatus | undefined {
  if (entries.some(({ report }) => isHeld(report))) return 'held';
  if (entries.some(({ report }) => report.outcome === 'overdue')) return 'overdue';
  const last = entries.filter(({ outermost }) => outermost).at(-1)?.report;
  if (last === undefined) return undefined;
  // Under way: nothing that somebody would look for.
  return isEnded(last) || last.outcome === 'compensating' ? (last.outcome as TxnStatus) : undefined;
}

/** Counts transactions that have ended like this one. */
export const countTransactions = ({ protocol, outcome }: TransactionReport, count: number): void =>
  metricMeter.createCounter(METRICS.transactions).add(count, { protocol, outcome });

/** What is told of each one that has ended by itself. */
export function measureEnded(report: TransactionReport, tookMs: number): void {
  const { protocol, outcome } = report;
  metricMeter.createHistogram(METRICS.transactionDuration, 'float').record(tookMs / 1_000, { protocol, outcome });
  metricMeter.createHistogram(METRICS.participants, 'int').record(participantsOf(report).length, { protocol });
  if (report.protocol !== 'saga') return;
  for (const { participant, operation, compensation } of report.steps) {
    if (compensation.kind === 'not-needed') continue;
    metricMeter
      .createCounter(METRICS.compensations)
      .add(1, { participant_id: participant ?? 'workflow', operation, fate: compensation.kind });
  }
}
