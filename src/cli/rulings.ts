/**
 * The commands `retry`, `skip` and `compensate`: a person's ruling on what a transaction waits for. They send the updates that
 * every transaction takes at its desk, and nothing else: what is decided stays decided by the register.
 */
import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
} from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { RulingRefused, TransactionClient, TransactionNotFound } from '../client';
import { idInDatabases, isGroupId, show } from '../protocol';
import type { BranchReport, SagaReport, StepReport, TransactionReport } from '../protocol';
import type { Coordinators } from './coordinators';
import {
  NoWorkerAnswers,
  NotATransaction,
  NotWaiting,
  RulingNotTaken,
  RulingOnInterrupted,
  SeveralHeld,
  TemporalUnavailable,
  UnknownWorkflow,
} from './errors';
import type { CommandError } from './errors';
import { ExitCode } from './exit-code';
import { printable } from './printable';
import type { Answer } from './table';
import { HOW_INTERRUPTED, resetCommand } from './transaction/verdict-words';
import { lookAtWorkflow } from './transaction/workflow';
import type { FoundWorkflow } from './transaction/workflow';
import { tellTravels, whereItTravels } from './travels';

export type Ruling = 'retry' | 'skip' | 'compensate';

export interface RulingRequest {
  readonly ruling: Ruling;
  readonly id: string;
  readonly namespace: string;
  /** Branch id of what is ruled on, where more than one waits. */
  readonly step?: string;
  /** Where several transactions of the workflow hold a step of that name. */
  readonly transaction?: string;
  readonly by: string;
  readonly reason: string;
  readonly mode: 'dry-run' | 'apply';
}

/** Something that a person can rule on. */
interface Waiting {
  readonly report: TransactionReport;
  readonly branch: string;
  readonly what: 'step' | 'compensation' | 'branch' | 'late branch';
  readonly cause: string;
  readonly role: StepReport['role'] | 'branch';
}

/**
 * Rules, or says what that would do.
 *
 * @throws {CommandError} when the transaction does not wait for this ruling
 */
export async function rule(coordinators: Coordinators, request: RulingRequest): Promise<Answer> {
  const { id, mode } = request;
  const client = await coordinators.client();
  if ('down' in client) throw new TemporalUnavailable(client.down, REMEDY);
  const workflow = await lookAtWorkflow(coordinators, id);
  if (workflow.kind === 'down') throw new TemporalUnavailable(workflow.why, REMEDY);
  if (workflow.kind === 'unknown') throw await whyUnknown(coordinators, request);
  const waiting = findWaiting(workflow, request);
  const consequence = consequenceOf(waiting, request);
  if (mode === 'dry-run') return tell(waiting, request, consequence);
  await send(client, workflow, waiting, request);
  return tell(waiting, request, consequence);
}

/** It may be in a group, where nobody can rule on it: what waits for a person leaves its group. */
async function whyUnknown(coordinators: Coordinators, { id, namespace }: RulingRequest): Promise<CommandError> {
  const travels = await whereItTravels(coordinators, id, namespace);
  if (travels.kind !== 'interrupted') return new UnknownWorkflow(id, namespace, tellTravels(travels, id, namespace));
  const { group, how } = travels;
  const remedy = `Have the group hand it over: ${resetCommand(group, namespace)}`;
  return new RulingOnInterrupted(`${show(id)} is in group ${show(group)}, which`, how, remedy);
}

/** How a transaction goes on whose workflow was ended from outside. */
const wayOn = ({ id, type }: FoundWorkflow, namespace: string): string =>
  isGroupId(id)
    ? `Have all that have not ended in it go on under their own ids: ${resetCommand(id, namespace)}`
    : `Resume it with the same input: new TransactionClient({ client }).resume(${JSON.stringify(type)}, { id: ${JSON.stringify(id)}, input })`;

const REMEDY = 'A ruling is an update of the workflow: bring Temporal back, or check TEMPORAL_ADDRESS, then try again.';

function findWaiting(workflow: FoundWorkflow, { ruling, id, namespace, step, transaction }: RulingRequest): Waiting {
  const { status, type, taskQueue, report } = workflow;
  const name = NAMES[ruling];
  const interrupted = HOW_INTERRUPTED[status];
  if (interrupted !== undefined) throw new RulingOnInterrupted(show(id), interrupted, wayOn(workflow, namespace));
  if (status !== 'RUNNING')
    throw new NotWaiting(
      name,
      id,
      `Its workflow has ended: ${endOf(workflow)}. It waits for nothing; see temporal-txn show ${id}.`,
      false,
    );
  if (isGroupId(id)) throw new NotWaiting(name, id, NOT_IN_GROUPS, false);
  if (report.kind === 'no-worker') throw new NoWorkerAnswers(id, taskQueue, 'nothing');
  if (report.kind === 'none') throw new NotATransaction(id, type);
  const all = report.reports.flatMap(waitingIn);
  const named = all.filter(
    (one) =>
      (step === undefined || one.branch === step) &&
      (transaction === undefined || [one.report.id, idInDatabases(one.report)].includes(transaction)),
  );
  const [only, another] = named;
  if (only === undefined) {
    const asked = step === undefined ? '' : ` of ${printable(step)}`;
    throw new NotWaiting(`${name}${asked}`, id, whatItWaitsFor(report.reports, all), all.length > 0);
  }
  if (another !== undefined) throw new SeveralHeld(id, named.map(tellWaiting));
  return only;
}

const NOT_IN_GROUPS =
  'What travels in a group waits for no ruling: what needs one leaves it, and is ruled on under its own id. temporal-txn list --needs-attention lists such.';

const NAMES: Readonly<Record<Ruling, string>> = {
  retry: 'a retry',
  skip: 'being skipped',
  compensate: 'being compensated',
};

const endOf = ({ status, report }: FoundWorkflow): string =>
  report.kind === 'told' ? report.reports.map(({ outcome }) => outcome).join(', ') : status;

function waitingIn(report: TransactionReport): Waiting[] {
  return report.protocol === 'saga'
    ? report.steps.flatMap((step) => waitingStep(report, step))
    : report.branches.flatMap((branch) => waitingBranch(report, branch));
}

function waitingStep(report: SagaReport, { branch, role, fate, compensation }: StepReport): Waiting[] {
  if (compensation.kind === 'held') return [{ report, branch, role, what: 'compensation', cause: compensation.cause }];
  return fate.kind === 'held' ? [{ report, branch, role, what: 'step', cause: fate.cause }] : [];
}

function waitingBranch(report: TransactionReport, { branch, finish }: BranchReport): Waiting[] {
  if (finish.kind === 'held') return [{ report, branch, role: 'branch', what: 'branch', cause: finish.cause }];
  return finish.kind === 'overdue'
    ? [{ report, branch, role: 'branch', what: 'late branch', cause: finish.cause }]
    : [];
}

const tellWaiting = ({ what, branch, report }: Waiting): string =>
  `${WORDS[what]} ${printable(branch)} of ${printable(report.id)}`;

const WORDS: Readonly<Record<Waiting['what'], string>> = {
  step: 'step',
  compensation: 'the compensation of',
  branch: 'branch',
  'late branch': 'the overdue branch',
};

function whatItWaitsFor(reports: readonly TransactionReport[], all: readonly Waiting[]): string {
  if (all.length > 0) return `It waits for a ruling on ${all.map(tellWaiting).join(', ')}.`;
  const [report] = reports;
  if (report?.outcome === 'reserved')
    return 'Everything is reserved, and it waits for its caller to confirm or cancel: the business workflow has an update or signal for that.';
  if (report?.protocol === 'saga') {
    const running = report.steps.filter(
      ({ fate, compensation }) => fate.kind === 'running' || compensation.kind === 'running',
    );
    return running.length === 0
      ? `It is ${report.outcome}, and waits for no ruling.`
      : `It is ${report.outcome}: it waits for ${running.map(({ branch }) => printable(branch)).join(', ')}, which needs nobody.`;
  }
  const silent = (report?.branches ?? []).filter(({ vote }) => vote === 'none').map(({ branch }) => printable(branch));
  return silent.length > 0 && report?.decision === undefined
    ? `It is ${report?.outcome ?? 'under way'}: it waits for the vote of ${silent.join(', ')}. Whoever wants it decided now types temporal-txn resolve.`
    : `It is ${report?.outcome ?? 'under way'}, and waits for no ruling.`;
}

/** What would happen. @throws {NotWaiting} where this ruling is none for what waits */
function consequenceOf(waiting: Waiting, { ruling, id }: RulingRequest): string {
  const { what, report, role } = waiting;
  const refused = (why: string): never => {
    throw new NotWaiting(NAMES[ruling], id, why, true);
  };
  const name = tellWaiting(waiting);
  switch (ruling) {
    case 'retry':
      return `${name} is tried again at once; where it fails again, it is held again`;
    case 'skip':
      if (what === 'compensation')
        return `${name} is given up, its effect stays, and the outcome of the transaction is mixed`;
      if (what === 'branch')
        return `${name} is left as it is, otherwise than decided, and the outcome of the transaction is mixed; temporal-txn audit finds it until it is accepted`;
      if (what === 'late branch')
        return refused(
          `${name} is still being tried, and would stay prepared, with its locks: bring its participant back. What is decided is done with temporal-txn resolve ${idInDatabases(report)}.`,
        );
      return hasWayBack(waiting)
        ? `${name} counts as failed, and what was done is undone, unless the workflow goes another way`
        : `${name} counts as failed, with no way back: ${role === 'pivot' ? 'the outcome of the transaction is mixed' : 'what was done stays, and the outcome may be mixed'}`;
    case 'compensate':
      if (what === 'compensation')
        return refused(
          `It is being compensated already, and waits for a ruling on ${name}: retry, or skip to let the effect stay.`,
        );
      if (report.protocol !== 'saga')
        return refused(
          `It is decided in a register what becomes of all branches, and that cannot be taken back: see temporal-txn resolve ${idInDatabases(report)}.`,
        );
      if (!hasWayBack(waiting))
        return refused(`There is no way back after its pivot: ${name} can be retried, or skipped.`);
      return `${name} is given up, and everything that was done, also what it may have done itself, is undone`;
  }
}

/** Nothing can be undone once the pivot may have been done. */
function hasWayBack({ report, role }: Waiting): boolean {
  return (
    report.protocol === 'saga' &&
    role === 'compensatable' &&
    !report.steps.some((step) => step.role === 'pivot' && !isNotDone(step.fate))
  );
}

const isNotDone = (fate: StepReport['fate']): boolean =>
  fate.kind === 'not-done' || (fate.kind === 'resolved' && fate.as === 'not-done');

/** A worker that runs takes an update at once. */
const UPDATE_TIMEOUT_MS = 10_000;

async function send(
  client: Client,
  { taskQueue }: FoundWorkflow,
  waiting: Waiting,
  request: RulingRequest,
): Promise<void> {
  const { ruling, id, by, reason } = request;
  const handle = new TransactionClient({ client }).handle(id);
  // Of the attempt that was looked at, and no later one.
  const update = { step: waiting.branch, transaction: idInDatabases(waiting.report), by, reason };
  try {
    await client.withDeadline(Date.now() + UPDATE_TIMEOUT_MS, () =>
      ruling === 'retry' ? handle.retryStep(update) : handle.skipStep(update),
    );
  } catch (error) {
    if (error instanceof RulingRefused) throw new RulingNotTaken(id, error.message);
    if (error instanceof TransactionNotFound || error instanceof WorkflowNotFoundError)
      throw new RulingNotTaken(id, 'its workflow has ended meanwhile.');
    if (error instanceof WorkflowUpdateFailedError) throw new RulingNotTaken(id, error.message);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcServiceError(error))
      throw new NoWorkerAnswers(id, taskQueue, 'a ruling');
    throw error;
  }
}

function tell(waiting: Waiting, { ruling, id, by, reason, mode }: RulingRequest, consequence: string): Answer {
  const dry = mode === 'dry-run';
  const first = dry
    ? `Nothing was changed: this is a dry run. With --apply, ${consequence}.`
    : `Changed: the workflow has taken the ruling. So ${consequence}.`;
  const lines = [
    first,
    `It is held because: ${printable(waiting.cause)}`,
    `${dry ? 'It would be' : 'It is'} kept in the history of the workflow: by ${printable(by)}, because: ${printable(reason)}`,
    ...(dry ? [] : [`See how it goes on: temporal-txn show ${id}`]),
  ];
  const { branch, what, report, cause } = waiting;
  return {
    exitCode: dry ? ExitCode.NeedsPerson : ExitCode.Well,
    text: lines.join('\n'),
    json: {
      changed: !dry,
      said: first,
      ruling,
      id,
      transaction: report.id,
      step: branch,
      waits: what,
      cause,
      by,
      reason,
    },
  };
}
