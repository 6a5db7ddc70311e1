/** What a person needs to know of a transaction whose workflow does not say itself how it stands. */
import { isGroupId } from '../../protocol';
import type { StepReport, TransactionReport } from '../../protocol';
import { count, printable } from '../printable';
import type { Found, Verdict } from './verdict-words';
import { failureOf } from './workflow';
import type { FoundWorkflow } from './workflow';

/** No worker answers. */
export function judgeWithoutWorker({ id, databases }: Found, workflow: FoundWorkflow): Verdict {
  const { status, taskQueue } = workflow;
  if (status === 'COMPLETED')
    return {
      need: 'nobody',
      first: 'Nothing needs a person: its workflow has ended well. Your money is safe.',
      why: `Its workflow is COMPLETED. No worker of ${printable(taskQueue)} answers, so what each branch did is told by the databases and the history only.`,
      byItself: 'Nothing more: it has ended.',
      toDo: [],
    };
  if (status !== 'RUNNING')
    return {
      need: 'person',
      first: `Somebody has to look: its workflow is ${status}, and left no report.`,
      why: failureOf(workflow) ?? `It is ${status}.`,
      byItself: 'Nothing: its workflow has ended.',
      toDo: [`temporal-txn timeline ${id}`, 'temporal-txn audit'],
    };
  const decided = databases.decisions[0];
  return {
    need: 'unknown',
    first: `It cannot be told whether somebody is needed: the workflow runs, and no worker of task queue ${printable(taskQueue)} answers.`,
    why:
      decided === undefined
        ? 'What was done is in the branch logs, and nothing of it is lost; only a worker can go on, and say how it stands.'
        : `The register at ${decided.participant} says ${decided.decision}, and all branches get that.`,
    byItself: 'It goes on where it was as soon as a worker is there.',
    toDo: [`Start a worker of task queue ${printable(taskQueue)}.`],
  };
}

/** Temporal does not know, or does not answer: only the databases say something. */
export function judgeAlone({ id, workflow, databases }: Found): Verdict {
  const { decisions, rows, inDoubt, lookedAt } = databases;
  const said =
    workflow.kind === 'down'
      ? `Temporal could not be asked: ${workflow.why}.`
      : workflow.kind === 'unknown'
        ? 'Temporal does not know it, or has forgotten it.'
        : `Its workflow is ${workflow.status} and reports nothing.`;
  const last = decisions.at(-1);
  if (last !== undefined && inDoubt.length === 0)
    return {
      need: 'nobody',
      first:
        last.decision === 'commit'
          ? 'Your money is safe: it is decided commit, and every branch that was looked at did so.'
          : 'Your money is safe: it is decided abort, and nothing took effect.',
      why: `The register at ${last.participant} says ${last.decision}, by ${printable(last.by)}. ${said}`,
      byItself: 'Nothing more: the decision is final.',
      toDo: [],
    };
  if (inDoubt.length > 0)
    return {
      need: 'nobody',
      first: `No person is needed yet: ${count(inDoubt.length, 'branch is', 'branches are')} in doubt. Your money is safe: what is prepared waits for its decision.`,
      why: `${inDoubt[0]?.verdict.because ?? ''} ${said}`,
      byItself: 'Its coordinator or the recovery of the participants settles it.',
      toDo: [`temporal-txn show ${id}`],
    };
  const standing = rows.filter(({ state }) => state === 'applied').length;
  return {
    need: 'unknown',
    first:
      rows.length === 0
        ? `It cannot be told how it stands: ${lookedAt.length === 0 ? 'no database was looked at' : 'no database has anything of it'}.`
        : `It cannot be told whether it has ended: ${count(standing, 'branch', 'branches')} of ${rows.length} in the databases took effect and ${standing === 1 ? 'stands' : 'stand'}.`,
    why: `${said} It has no decision in a register, so it is a saga or was done in one phase, and only its workflow knows which branches it has.`,
    byItself: 'A saga goes on, or is undone, as long as its workflow runs.',
    toDo: workflow.kind === 'down' ? ['Try again when Temporal answers.'] : [],
  };
}

/** Its workflow was ended from outside, and the transaction had not ended. */
export function judgeInterrupted(
  { id, databases }: Found,
  workflow: FoundWorkflow,
  report: TransactionReport,
): Verdict {
  const { type, status } = workflow;
  const how = HOW[status] ?? `ended (${status})`;
  const resume = isGroupId(workflow.id)
    ? 'Execute it again in code, with the same id and input: what was done answers from the branch logs, and it goes on from there.'
    : status in HOW
      ? `Resume it in code, with the same input: new TransactionClient({ client }).resume('${printable(type)}', { id: '${printable(id)}', input })`
      : `Look why it ended like this, and repair the business data by hand: temporal-txn timeline ${id}`;
  if (report.protocol === 'saga') {
    const open = report.steps.filter(mayStand);
    if (open.length === 0)
      return {
        need: 'nobody',
        first: `Your money is safe: its workflow was ${how} when nothing had taken effect.`,
        why: `The workflow is ${status}. No step was done, or all of them were undone.`,
        byItself: 'Nothing: no code of it runs any more.',
        toDo: [],
      };
    return {
      need: 'person',
      first: `Somebody has to act: its workflow was ${how}, and what ${count(open.length, 'step')} did stands: ${open.map(({ branch }) => printable(branch)).join(', ')}.`,
      why: `The workflow is ${status}: no code of it runs that could go on or undo anything.`,
      byItself: 'Nothing: no code of it runs any more.',
      toDo: [resume],
    };
  }
  const decided = databases.decisions.at(-1);
  if (decided === undefined)
    return {
      need: databases.notLookedAt.length > 0 ? 'unknown' : 'nobody',
      first: `Your money is safe: its workflow was ${how} before anything was decided, and nothing can be committed without a decision.`,
      why: `The workflow is ${status}, and no register that was looked at has a decision.`,
      byItself: 'What is prepared or reserved is given up by the recovery of each participant.',
      toDo: [],
    };
  return {
    need: 'nobody',
    first: `Your money is safe: its workflow was ${how}, but it is decided ${decided.decision}, and every branch gets that.`,
    why: `The register at ${decided.participant} says ${decided.decision}, by ${printable(decided.by)}.`,
    byItself: 'The recovery of each participant does what the register says.',
    toDo: [],
  };
}

const HOW: Readonly<Record<string, string>> = { TERMINATED: 'terminated', TIMED_OUT: 'timed out' };

const mayStand = ({ fate, compensation }: StepReport): boolean =>
  !['compensated', 'nothing-to-compensate', 'resolved'].includes(compensation.kind) &&
  (fate.kind === 'unknown' ||
    fate.kind === 'running' ||
    fate.kind === 'held' ||
    (fate.kind === 'done' && fate.answer !== 'read-only'));
