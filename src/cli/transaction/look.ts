/** Everything that Temporal and the databases know of one transaction, and what that amounts to. Reads only. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isGroupId } from '../../protocol';
import type { Patience, TransactionReport } from '../../protocol';
import type { Coordinators } from '../coordinators';
import type { Database } from '../databases';
import { NotATransaction, UnknownTransaction } from '../errors';
import { ExitCode } from '../exit-code';
import { lookAtDatabases } from './databases';
import type { DatabaseLook } from './databases';
import { disagreementsOf } from './disagreements';
import type { Disagreement } from './disagreements';
import { lookAtGroup, withoutThoseWhoLeft } from './group';
import { verdictOf } from './verdict';
import type { Found, Verdict } from './verdict-words';
import { lookAtWorkflow } from './workflow';
import type { WorkflowLook } from './workflow';

export interface Looking {
  readonly id: string;
  readonly namespace: string;
  readonly patience: Patience;
  /** Pause before what looks wrong is looked at again, in milliseconds. */
  readonly pauseMs: number;
}

export interface Standing extends Found {
  readonly verdict: Verdict;
  readonly exitCode: ExitCode;
}

/**
 * Looks everywhere.
 *
 * @throws {UnknownTransaction} when nobody knows it
 * @throws {NotATransaction} when it is a workflow of another kind
 */
export async function lookAt(
  databases: readonly Database[],
  coordinators: Coordinators,
  looking: Looking,
): Promise<Standing> {
  let found = await lookOnce(databases, coordinators, looking);
  // Things go on between one look and the other: only what is so twice is told.
  if (found.disagreements.length > 0) {
    await sleep(looking.pauseMs);
    const again = await lookOnce(databases, coordinators, looking);
    const both = again.disagreements.filter((one) => found.disagreements.some((first) => isSame(one, first)));
    found = { ...again, disagreements: await withoutThoseUnderWay(coordinators, both) };
  }
  const verdict = verdictOf(found);
  return { ...found, verdict, exitCode: exitCodeOf(verdict, found) };
}

/** A group that runs may have done what a workflow does not tell of, and has not left it to that yet. */
async function withoutThoseUnderWay(
  coordinators: Coordinators,
  disagreements: readonly Disagreement[],
): Promise<Disagreement[]> {
  const askers = new Set(disagreements.flatMap(({ unreported }) => unreported?.askedBy ?? []));
  const running = new Set<string>();
  for (const workflowId of askers)
    if ((await coordinators.ask({ workflowId })).state === 'running') running.add(workflowId);
  return disagreements.filter(({ unreported }) => !running.has(unreported?.askedBy ?? ''));
}

const isSame = (one: Disagreement, other: Disagreement): boolean =>
  one.transaction === other.transaction &&
  one.branch === other.branch &&
  one.participant === other.participant &&
  one.told === other.told;

async function lookOnce(
  databases: readonly Database[],
  coordinators: Coordinators,
  { id, namespace, patience, pauseMs }: Looking,
): Promise<Found> {
  const own = await lookAtOwn(coordinators, id);
  const asked = { id, reports: reportsOf(own), namespace, patience, pauseMs };
  const found = await lookAtDatabases(databases, coordinators, asked);
  const workflow = own.kind === 'unknown' ? await lookAtGroup(coordinators, id, found) : own;
  const reports = reportsOf(workflow);
  checkKnown(id, workflow, reports, found);
  return {
    id,
    workflow,
    reports,
    databases: found,
    disagreements: disagreementsOf(reports, found, mayBePurged(workflow)),
    graceMs: patience.graceMs,
    namespace,
  };
}

async function lookAtOwn(coordinators: Coordinators, id: string): Promise<WorkflowLook> {
  const look = await lookAtWorkflow(coordinators, id);
  return look.kind === 'found' ? withoutThoseWhoLeft(look) : look;
}

const reportsOf = (workflow: WorkflowLook): readonly TransactionReport[] =>
  workflow.kind === 'found' && workflow.report.kind === 'told' ? workflow.report.reports : [];

function checkKnown(
  id: string,
  workflow: WorkflowLook,
  reports: readonly TransactionReport[],
  { rows, decisions, inDoubt, notLookedAt, lookedAt }: DatabaseLook,
): void {
  if (reports.length > 0 || rows.length + decisions.length + inDoubt.length > 0) return;
  if (workflow.kind === 'found') {
    if (workflow.report.kind === 'none' && !isGroupId(id)) throw new NotATransaction(id, workflow.type);
    return;
  }
  // Where somebody could not be asked, it is not unknown.
  const incomplete = workflow.kind === 'down' || notLookedAt.length > 0;
  throw new UnknownTransaction(id, incomplete && lookedAt.length > 0 ? ExitCode.Incomplete : ExitCode.WrongUsage, [
    ...(workflow.kind === 'down' ? ['Temporal'] : []),
    ...notLookedAt.map(({ participant }) => participant),
  ]);
}

/** No purge removes a branch whose workflow is open, or one that is young. */
const YOUNG_MS = 60 * 60_000;

const mayBePurged = (workflow: WorkflowLook): boolean =>
  workflow.kind !== 'found' || (workflow.closedAt !== undefined && Date.now() - workflow.closedAt.getTime() > YOUNG_MS);

function exitCodeOf({ need }: Verdict, { databases, workflow }: Found): ExitCode {
  if (need === 'person') return ExitCode.NeedsPerson;
  if (need === 'unknown' || databases.notLookedAt.length > 0) return ExitCode.Incomplete;
  // With nothing but what the workflow says, half of it was not looked at.
  return workflow.kind === 'found' && databases.lookedAt.length === 0 ? ExitCode.Incomplete : ExitCode.Well;
}
