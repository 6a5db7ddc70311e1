/** What a person needs to know of a transaction whose workflow does not say itself how it stands. */
import { idInDatabases, isGroupId } from '../../protocol';
import type { StepReport, TransactionReport } from '../../protocol';
import { count, printable } from '../printable';
import { answerOf } from './group';
import type { DecisionRow } from './databases';
import { isForContention, ownDecision } from './own-decision';
import { judgeOnePhase, onlyBranchOf } from './verdict-one-phase';
import { atMost, EXECUTE_AGAIN, HOW_INTERRUPTED, resetCommand, startWorker } from './verdict-words';
import type { Found, Verdict } from './verdict-words';
import { failureOf } from './workflow';
import type { FoundWorkflow, WorkflowLook } from './workflow';

/** No worker answers. */
export function judgeWithoutWorker({ id, databases }: Found, workflow: FoundWorkflow): Verdict {
  const { status, taskQueue } = workflow;
  const travels = isIn(id, workflow);
  if (status === 'COMPLETED' && travels) return judgeByAnswer(id, workflow);
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
  const { own, others } = ownDecision(id, databases);
  return {
    need: 'unknown',
    first: `It cannot be told whether somebody is needed: ${travels ? 'its group' : 'the workflow'} runs, and no worker of task queue ${printable(taskQueue)} answers.`,
    why: `${travels ? `It travels in ${printable(workflow.id)}. ` : ''}${
      own === undefined
        ? 'What was done is in the branch logs, and nothing of it is lost; only a worker can go on, and say how it stands.'
        : `${saidInRegister(own)}${isForContention(own) ? ': nothing of that attempt takes effect, and another one may follow' : ', and all branches get that'}.`
    }${beside(others)}`,
    byItself: 'It goes on where it was as soon as a worker is there.',
    toDo: [startWorker(workflow)],
  };
}

/** Whether a transaction has no workflow but that of its group. */
const isIn = (id: string, workflow: FoundWorkflow): boolean => workflow.id !== id && isGroupId(workflow.id);

/** The answer of its group is in the history. */
function judgeByAnswer(id: string, workflow: FoundWorkflow): Verdict {
  const answer = answerOf(workflow, id);
  const why = `It travelled in ${printable(workflow.id)}, which is COMPLETED. No worker of ${printable(workflow.taskQueue)} answers, so what each branch did is told by the databases and the history only.`;
  const byItself = 'Nothing more: it has ended.';
  if (answer === 'ended' || answer === 'failed') {
    const how =
      answer === 'ended' ? 'it has ended well in its group' : 'it was refused in its group, and has ended there';
    return { need: 'nobody', first: `Nothing needs a person: ${how}. Your money is safe.`, why, byItself, toDo: [] };
  }
  return {
    need: 'unknown',
    first: 'It cannot be told how it stands: its group has ended, and does not say that it has ended there.',
    why,
    byItself: 'Nothing is known.',
    toDo: [startWorker(workflow)],
  };
}

/** Temporal does not know, or does not answer: only the databases say something. */
export function judgeAlone(found: Found): Verdict {
  const { id, workflow, databases } = found;
  const { rows, inDoubt } = databases;
  const said = saidBy(id, workflow);
  if (inDoubt.length > 0)
    return {
      need: 'nobody',
      first: `No person is needed yet: ${count(inDoubt.length, 'branch is', 'branches are')} in doubt. Your money is safe: what is prepared waits for its decision.`,
      why: `${inDoubt[0]?.verdict.because ?? ''} ${said}`,
      byItself: 'Its coordinator or the recovery of the participants settles it.',
      toDo: [`temporal-txn show ${id}`],
    };
  const { own, others, alike } = ownDecision(id, databases);
  if (own !== undefined) {
    const why = `${saidInRegister(own)}, by ${printable(own.by)}. ${said}${beside(others)}`;
    if (isForContention(own) && mayGoOn(workflow)) return { ...mayBeTriedAgain(whoSaysMore(found)), why };
    return { ...(alike ? isDecided(own) : isDecidedItself(own, whoSaysMore(found))), why };
  }
  const standing = rows.filter(({ state }) => state === 'applied').length;
  return {
    need: 'unknown',
    first:
      rows.length === 0
        ? `It cannot be told how it stands: ${nothingIn(found, others)}.`
        : `It cannot be told whether it has ended: ${count(standing, 'branch', 'branches')} of ${rows.length} in the databases took effect and ${standing === 1 ? 'stands' : 'stand'}.`,
    why: `${said} It has no decision in a register, so it is a saga or was done in one phase, and only its workflow knows which branches it has.${beside(others)}`,
    byItself: 'A saga goes on, or is undone, as long as its workflow runs.',
    toDo: whoSaysMore(found),
  };
}

function nothingIn({ databases: { lookedAt } }: Found, others: readonly string[]): string {
  if (lookedAt.length === 0) return 'no database was looked at';
  return `no database has anything of it${others.length === 0 ? '' : ' but of others that its workflow ran'}`;
}

const saidInRegister = (own: DecisionRow): string =>
  `The register at ${own.participant} says ${own.decision}${isForContention(own) ? ' for contention' : ''}`;

const beside = (others: readonly string[]): string =>
  others.length === 0 ? '' : ` Of others that its workflow ran, ${atMost(others, andMore).join('; ')}.`;

/** Whether its workflow may run, now or once it is resumed. One that Temporal has forgotten has ended. */
function mayGoOn(workflow: WorkflowLook): boolean {
  if (workflow.kind === 'down') return true;
  // A group that is still known may have left it to a workflow that is only being started.
  if (workflow.kind === 'unknown') return workflow.begunIn?.status !== undefined;
  return workflow.status === 'RUNNING' || workflow.status in HOW_INTERRUPTED;
}

const mayBeTriedAgain = (toDo: readonly string[]): Omit<Verdict, 'why'> => ({
  need: 'unknown',
  first:
    'It cannot be told how it ends: its last attempt that is decided was aborted for contention, and took no effect, but another one may follow.',
  byItself: 'It is tried again, if it has attempts left, when its workflow goes on. Each attempt is decided by itself.',
  toDo,
});

const isDecided = ({ decision }: DecisionRow): Omit<Verdict, 'why'> => ({
  need: 'nobody',
  first:
    decision === 'commit'
      ? 'Your money is safe: it is decided commit, and every branch that was looked at did so.'
      : 'Your money is safe: it is decided abort, and nothing took effect.',
  byItself: 'Nothing more: the decision is final.',
  toDo: [],
});

const isDecidedItself = ({ decision }: DecisionRow, toDo: readonly string[]): Omit<Verdict, 'why'> => ({
  need: 'unknown',
  first: `It cannot be told how all of it stands: it is decided ${decision} itself, but its workflow ran more, which is not decided alike.`,
  byItself: 'What is decided is final. A saga goes on, or is undone, as long as its workflow runs.',
  toDo,
});

const andMore = (n: number): string => `and ${n} more`;

function saidBy(id: string, workflow: WorkflowLook): string {
  if (workflow.kind === 'down') return `Temporal could not be asked: ${workflow.why}.`;
  if (workflow.kind === 'found')
    return isIn(id, workflow)
      ? `It was in ${printable(workflow.id)}, which is ${workflow.status}, and no worker of it answers.`
      : `Its workflow is ${workflow.status} and reports nothing.`;
  const { begunIn } = workflow;
  if (begunIn === undefined) return 'Temporal does not know it, or has forgotten it.';
  return begunIn.status === undefined
    ? `Temporal does not know it. It was begun in ${printable(begunIn.group)}, which Temporal has forgotten.`
    : `Temporal has forgotten it. It was begun in ${printable(begunIn.group)}, which is ${begunIn.status} and has left it.`;
}

function whoSaysMore({ id, workflow, namespace }: Found): string[] {
  if (workflow.kind === 'down') return ['Try again when Temporal answers.'];
  if (workflow.kind === 'unknown') return workflow.begunIn === undefined ? [] : [EXECUTE_AGAIN];
  if (workflow.report.kind !== 'no-worker') return [];
  return [
    startWorker(workflow),
    ...(isIn(id, workflow) && workflow.status in HOW_INTERRUPTED
      ? [`If it has not ended, have its group hand it over: ${resetCommand(workflow.id, namespace)}`]
      : []),
  ];
}

/** What to type where a group was ended from outside before it could hand over what it has begun. */
export function handOverOf({ workflow, namespace }: Found): string[] {
  if (workflow.kind !== 'found' || !isGroupId(workflow.id) || !(workflow.status in HOW_INTERRUPTED)) return [];
  return [`Have its group hand it over: ${resetCommand(workflow.id, namespace)}`];
}

/** Its workflow was ended from outside, and the transaction had not ended. */
export function judgeInterrupted(found: Found, workflow: FoundWorkflow, report: TransactionReport): Verdict {
  const { id, databases } = found;
  const { type, status } = workflow;
  const how = HOW_INTERRUPTED[status] ?? `ended (${status})`;
  const [handOver = EXECUTE_AGAIN] = handOverOf(found);
  const resume = isGroupId(workflow.id)
    ? handOver
    : status in HOW_INTERRUPTED
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
  // Not that of another transaction of its workflow.
  const decided = databases.decisions.findLast(({ transaction }) => transaction === idInDatabases(report));
  const only = onlyBranchOf(report);
  if (decided === undefined && only !== undefined) return judgeOnePhase(report, only, databases, { how, resume });
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

const mayStand = ({ fate, compensation }: StepReport): boolean =>
  !['compensated', 'nothing-to-compensate', 'resolved'].includes(compensation.kind) &&
  (fate.kind === 'unknown' ||
    fate.kind === 'running' ||
    fate.kind === 'held' ||
    (fate.kind === 'done' && fate.answer !== 'read-only'));
