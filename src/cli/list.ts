/** The command `list`: transactions as Temporal's visibility has them, newest first, page by page. */
import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { TxnStatus } from '../observability';
import { isGroupId, parseParticipantName } from '../protocol';
import { InvalidArgument, TemporalSaidNo } from './errors';
import { ExitCode } from './exit-code';
import { age, count, printable } from './printable';
import type { Answer } from './table';
import { columns } from './columns';
import type { TemporalAccess } from './temporal';

/** How `TxnStatus`, and the status of the workflow where that says it all, are asked for. */
export const STATUS_QUERIES = {
  held: "TxnStatus = 'held'",
  compensating: "TxnStatus = 'compensating'",
  overdue: "TxnStatus = 'overdue'",
  mixed: "TxnStatus = 'mixed'",
  compensated: "TxnStatus = 'compensated'",
  aborted: "TxnStatus = 'aborted'",
  running: "ExecutionStatus = 'Running'",
  // A transaction that simply commits sets no attribute.
  committed: "(TxnStatus = 'committed' or (TxnStatus is null and ExecutionStatus = 'Completed'))",
  failed: "ExecutionStatus = 'Failed'",
  interrupted: "(ExecutionStatus = 'Terminated' or ExecutionStatus = 'TimedOut')",
} as const satisfies Record<TxnStatus | 'running' | 'failed' | 'interrupted', string>;

type StatusFilter = keyof typeof STATUS_QUERIES;

export const PROTOCOLS = ['saga', 'two-phase-commit', 'three-phase-commit', 'try-confirm-cancel'] as const;

/** What a participant's workers run for themselves. */
const NOT_TRANSACTIONS = ['recoverParticipant', 'participateInThreePhaseCommit', 'relayOutbox'];

export interface ListFilter {
  readonly status?: StatusFilter;
  readonly protocol?: (typeof PROTOCOLS)[number];
  readonly participant?: string;
  readonly needsAttention?: boolean;
  readonly since?: Date;
  /** Ours is added to it with `and`. */
  readonly query?: string;
}

export interface ListRequest {
  readonly filter: ListFilter;
  readonly limit: number;
  /** From 1. */
  readonly page: number;
}

interface Listed {
  /** Whether it is one, or many that travel together. */
  readonly kind: 'transaction' | 'group';
  readonly id: string;
  readonly runId: string;
  readonly type: string;
  readonly protocol?: string;
  readonly status: string;
  readonly failedStep?: string;
  readonly needsAttention: boolean;
  readonly startedAt: Date;
  readonly closedAt?: Date;
  readonly tookMs: number;
}

/** Temporal's list filter for what was asked. */
function queryOf({ status, protocol, participant, needsAttention, since, query }: ListFilter): string {
  const parts = [
    ...(query === undefined ? [] : [`(${query})`]),
    ...(status === undefined ? [] : [STATUS_QUERIES[status]]),
    ...(protocol === undefined ? [] : [`TxnProtocol = '${protocol}'`]),
    ...(participant === undefined ? [] : [`TxnParticipants = '${nameOf(participant)}'`]),
    ...(needsAttention ? ['TxnNeedsAttention = true'] : []),
    ...(since === undefined ? [] : [`StartTime >= '${since.toISOString()}'`]),
    ...(query === undefined && !needsAttention ? NOT_TRANSACTIONS.map((type) => `WorkflowType != '${type}'`) : []),
  ];
  return parts.join(' and ');
}

function nameOf(participant: string): string {
  try {
    return parseParticipantName(participant);
  } catch {
    throw new InvalidArgument('--participant', participant, 'Name one as the workers do: 1 to 63 of a-z 0-9 -.');
  }
}

/**
 * Lists one page.
 *
 * @throws {TemporalSaidNo} when Temporal does not take the query
 */
export async function list({ client }: TemporalAccess, { filter, limit, page }: ListRequest): Promise<Answer> {
  const query = queryOf(filter);
  const { found, more } = await pageOf(client.workflow.list({ query, pageSize: Math.min(limit, 1_000) }), limit, page)
    // A query of ours that is refused lacks the attributes.
    .catch((error: unknown) => {
      const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new TemporalSaidNo(
        `Temporal does not answer the query ${printable(query)}`,
        `${printable(why)}.`,
        'Correct --query; where a search attribute is missing, run temporal-txn setup.',
      );
    });
  const now = new Date();
  const transactions = found.map((info) => readInfo(info, now));
  const needy = transactions.some(({ needsAttention }) => needsAttention);
  return {
    exitCode: needy ? ExitCode.NeedsPerson : ExitCode.Well,
    text: tell(transactions, page, more, now),
    json: { query, page, more, transactions },
  };
}

async function pageOf(
  all: AsyncIterable<WorkflowExecutionInfo>,
  limit: number,
  page: number,
): Promise<{ readonly found: WorkflowExecutionInfo[]; readonly more: boolean }> {
  const found: WorkflowExecutionInfo[] = [];
  let skip = (page - 1) * limit;
  for await (const info of all) {
    if (skip-- > 0) continue;
    if (found.length === limit) return { found, more: true };
    found.push(info);
  }
  return { found, more: false };
}

const ENDED_BY_OTHERS: Readonly<Record<string, string>> = {
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed out',
  CANCELLED: 'cancelled',
};

function readInfo(info: WorkflowExecutionInfo, now: Date): Listed {
  const { workflowId, runId, type, startTime, closeTime, typedSearchAttributes } = info;
  const attributes = new Map(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
  const txnStatus = attributes.get('TxnStatus');
  const protocol = attributes.get('TxnProtocol');
  const failedStep = attributes.get('TxnFailedStep');
  const workflow = ENDED_BY_OTHERS[info.status.name];
  const own = txnStatus === undefined ? info.status.name.toLowerCase().replaceAll('_', ' ') : String(txnStatus);
  return {
    kind: isGroupId(workflowId) ? 'group' : 'transaction',
    id: workflowId,
    runId,
    type,
    ...(protocol === undefined ? {} : { protocol: String(protocol) }),
    status: workflow === undefined || workflow === own ? own : `${own}, ${workflow}`,
    ...(failedStep === undefined || failedStep === '' ? {} : { failedStep: String(failedStep) }),
    // What was ended under it waits for nobody any more, whatever its attribute still says.
    needsAttention: attributes.get('TxnNeedsAttention') === true && info.status.name === 'RUNNING',
    startedAt: startTime,
    ...(closeTime === undefined ? {} : { closedAt: closeTime }),
    tookMs: (closeTime ?? now).getTime() - startTime.getTime(),
  };
}

function tell(transactions: readonly Listed[], page: number, more: boolean, now: Date): string {
  if (transactions.length === 0) return page === 1 ? 'There is none.' : `There is none on page ${page}.`;
  const needy = transactions.filter(({ needsAttention }) => needsAttention).length;
  const groups = transactions.filter(({ kind }) => kind === 'group').length;
  const rows = transactions.map(
    ({ kind, id, type, protocol, status, failedStep, needsAttention, startedAt, ...rest }) => [
      printable(id),
      printable(type),
      kind === 'group' ? '(group)' : printable(protocol ?? '-'),
      `${printable(status)}${needsAttention ? ' (!)' : ''}`,
      printable(failedStep ?? '-'),
      `${startedAt.toISOString().slice(0, 19)}Z`,
      rest.closedAt === undefined ? `${age(now.getTime() - startedAt.getTime())}, not ended` : took(rest.tookMs),
    ],
  );
  return [
    `${count(transactions.length - groups, 'transaction')}${groups === 0 ? '' : ` and ${count(groups, 'group')} in which others travel`}${needy === 0 ? '' : `, ${needy} of them (!) waiting for a person`}.${
      more ? ` There are more: add --page ${page + 1}.` : ''
    }`,
    columns(['id', 'workflow type', 'protocol', 'status', 'failed step', 'started', 'took'], rows),
  ].join('\n\n');
}

const took = (ms: number): string => (ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : age(ms));
