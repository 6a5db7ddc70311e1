/**
 * Transactions that travel in a group, or have ended in one: no workflow has their ids, and the group says how they stand. Those that
 * have left it are told by workflows of their own, and the group tells only how they stood when they left.
 */
import { isEnded, isGroupId } from '../../protocol';
import type { TransactionReport } from '../../protocol';
import type { Coordinators } from '../coordinators';
import { fieldsOf, textOf, valuesOf } from '../timeline/history';
import type { Fields } from '../timeline/history';
import type { DatabaseLook } from './databases';
import { lookAtWorkflow } from './workflow';
import type { FoundWorkflow, WorkflowLook } from './workflow';

/** Looks at the group that the databases name. Unknown where none does, or that group has handed it over. Never throws. */
export async function lookAtGroup(
  coordinators: Coordinators,
  id: string,
  { rows, inDoubt }: Pick<DatabaseLook, 'rows' | 'inDoubt'>,
): Promise<WorkflowLook> {
  const group = [...rows, ...inDoubt].map(({ workflowId }) => workflowId).find((one) => isGroupId(one ?? ''));
  if (typeof group !== 'string') return { kind: 'unknown' };
  const look = await lookAtWorkflow(coordinators, group);
  if (look.kind === 'down') return look;
  if (look.kind === 'unknown') return { kind: 'unknown', begunIn: { group, status: undefined } };
  const { report, left = [], ...rest } = withoutThoseWhoLeft(look);
  const leftIt = { kind: 'unknown', begunIn: { group, status: look.status } } as const;
  if (left.includes(id)) return leftIt;
  if (report.kind === 'no-worker') return { ...rest, report };
  const reports = report.kind === 'told' ? report.reports.filter((one) => one.id === id) : [];
  return reports.length > 0 ? { ...rest, report: { kind: 'told', reports } } : leftIt;
}

/** What a group tells of those that have left it has not been true since. */
export function withoutThoseWhoLeft(group: FoundWorkflow): FoundWorkflow {
  if (!isGroupId(group.id)) return group;
  const { report, status } = group;
  const reports = report.kind === 'told' ? report.reports : [];
  const left = new Set([
    ...handedOverBy(group),
    // It has ended with all that have not left it.
    ...(status === 'COMPLETED' ? reports.filter((one) => !isEnded(one)).map(({ id }) => id) : []),
  ]);
  const here = reports.filter(({ id }: TransactionReport) => !left.has(id));
  return { ...group, left: [...left], ...(report.kind === 'told' ? { report: { kind: 'told', reports: here } } : {}) };
}

/**
 * Those that others go on with. While a group runs, and once it has completed, those are all that it wanted to be gone on with. Where it was
 * ended from outside, only those of which it has heard so: Temporal starts none for a workflow that is terminated meanwhile.
 */
function handedOverBy({ status, events }: FoundWorkflow): string[] {
  const idsIn = (type: string): string[] =>
    events
      .filter((event) => event.type === type)
      .flatMap(({ attributes }) => {
        const { workflowId } = { ...attributes, ...fieldsOf(attributes['workflowExecution']) } as Fields;
        return textOf(workflowId) ?? [];
      });
  return ['RUNNING', 'COMPLETED'].includes(status)
    ? idsIn('startChildWorkflowExecutionInitiated')
    : [...idsIn('childWorkflowExecutionStarted'), ...idsIn('externalWorkflowExecutionSignaled')];
}

/** How many transactions a group was given. Undefined where its history does not say. */
export function sizeOf({ events }: FoundWorkflow): number | undefined {
  const [request] = valuesOf(events.find(({ type }) => type === 'workflowExecutionStarted')?.attributes['input']);
  const items = fieldsOf(request)['items'];
  return Array.isArray(items) ? items.length : undefined;
}

/** What a group that has completed has answered of one of its transactions: `ended`, `failed`, `on-its-own`. Needs no worker. */
export function answerOf({ events }: FoundWorkflow, id: string): string | undefined {
  const [answer] = valuesOf(events.find(({ type }) => type === 'workflowExecutionCompleted')?.attributes['result']);
  const outcomes = fieldsOf(answer)['outcomes'];
  const own = (Array.isArray(outcomes) ? outcomes : []).map(fieldsOf).find((one) => one['id'] === id);
  return textOf(own?.['kind']);
}
