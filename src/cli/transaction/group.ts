/** A transaction that has ended in a group, or is still in one: no workflow has its id, and its group says how it stands. */
import { isEnded, isGroupId } from '../../protocol';
import type { Coordinators } from '../coordinators';
import type { DatabaseLook } from './databases';
import { lookAtWorkflow } from './workflow';
import type { WorkflowLook } from './workflow';

/** Looks at the group that the databases name. Unknown where none does, or that group has handed it over. Never throws. */
export async function lookAtGroup(
  coordinators: Coordinators,
  id: string,
  { rows, inDoubt }: DatabaseLook,
): Promise<WorkflowLook> {
  const group = [...rows, ...inDoubt].map(({ workflowId }) => workflowId).find((one) => isGroupId(one ?? ''));
  if (typeof group !== 'string') return { kind: 'unknown' };
  const look = await lookAtWorkflow(coordinators, group);
  if (look.kind !== 'found') return look;
  const reports = look.report.kind === 'told' ? look.report.reports.filter((one) => one.id === id) : [];
  const isThere = reports.length > 0 && (look.status !== 'COMPLETED' || reports.every(isEnded));
  return isThere ? { ...look, report: { kind: 'told', reports } } : { kind: 'unknown' };
}
