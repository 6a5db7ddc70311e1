/** What a person needs to know of a group: how many of its transactions stand how, whether any of them needs somebody, and what to type. */
import { idInDatabases, isEnded } from '../../protocol';
import type { TransactionReport } from '../../protocol';
import { standing } from '../in-doubt';
import { count, printable } from '../printable';
import { sizeOf } from './group';
import { judgeWithoutWorker } from './verdict-alone';
import { judgeReport } from './verdict-report';
import { atMost, HOW_INTERRUPTED, resetCommand, startWorker } from './verdict-words';
import type { Found, Verdict } from './verdict-words';
import type { FoundWorkflow } from './workflow';

interface Member {
  readonly report: TransactionReport;
  readonly verdict: Verdict;
}

/** Judges a group that is asked for by its own id. */
export function judgeGroup(found: Found, workflow: FoundWorkflow): Verdict {
  const { status, report } = workflow;
  const how = HOW_INTERRUPTED[status];
  if (report.kind === 'no-worker')
    return how === undefined ? judgeWithoutWorker(found, workflow) : judgeInterruptedWithoutWorker(found, workflow);
  const members = membersOf(found, workflow);
  if (how === undefined && members.length === 0 && !['RUNNING', 'COMPLETED'].includes(status))
    return judgeWithoutWorker(found, workflow);
  const needy = members.filter(({ verdict }) => verdict.need === 'person');
  const first = `${how === undefined ? firstOf(workflow, needy) : firstInterrupted(how, needy)} ${countsOf(workflow, members)}`;
  const unclear = members.some(({ verdict }) => verdict.need === 'unknown');
  const need = needy.length > 0 ? 'person' : unclear ? 'unknown' : 'nobody';
  if (how !== undefined)
    return {
      need,
      first,
      why: `The workflow is ${status}: no code of it runs that could go on, or hand over what it has begun.`,
      byItself: 'Nothing is undone, and no step is done. What is prepared or reserved is settled by recovery.',
      toDo: openIn(workflow, members) ? [handOver(workflow, found)] : [],
    };
  return {
    need,
    first,
    why: atMost([...new Set(needy.map(({ verdict }) => verdict.why))], (n) => `And ${n} more.`).join(' '),
    byItself:
      status === 'RUNNING'
        ? 'It goes on; those that do not end in it soon go on as workflows of their own, under their ids.'
        : 'Nothing more: it has ended.',
    toDo: atMost([...new Set(needy.flatMap(({ verdict }) => verdict.toDo))], (n) => `And ${n} more: see -o json.`),
  };
}

const membersOf = (found: Found, workflow: FoundWorkflow): Member[] =>
  found.reports.map((report) => ({ report, verdict: judgeReport(found, workflow, report) }));

function firstOf({ status }: FoundWorkflow, { length }: readonly Member[]): string {
  const goes =
    status === 'RUNNING'
      ? 'the group is under way'
      : status === 'COMPLETED'
        ? 'the group has ended well'
        : `the group is ${status}`;
  return length === 0
    ? `Nothing needs a person: ${goes}.`
    : `Somebody has to look: ${goes}, and ${count(length, 'of its transactions needs', 'of its transactions need')} somebody.`;
}

const firstInterrupted = (how: string, { length }: readonly Member[]): string =>
  length === 0
    ? `Your money is safe: the group was ${how}, and nothing is half done.`
    : `Somebody has to act: the group was ${how}.`;

/** Such as `Its 5 transactions: 2 interrupted half done, 2 committed, 1 gone on under its own id.` */
function countsOf(workflow: FoundWorkflow, members: readonly Member[]): string {
  const { left = [] } = workflow;
  const counts = new Map<string, number>();
  const add = (what: string, n: number): unknown => n > 0 && counts.set(what, (counts.get(what) ?? 0) + n);
  const labels = members.map((member) => labelOf(workflow, member));
  for (const first of ['interrupted half done', 'interrupted'])
    add(first, labels.filter((label) => label === first).length);
  for (const label of labels.filter((one) => !one.startsWith('interrupted'))) add(label, 1);
  add(left.length === 1 ? 'gone on under its own id' : 'gone on under their own ids', left.length);
  add('not begun', notBegun(workflow, members));
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  const told = [...counts].map(([what, n]) => `${n} ${what}`).join(', ');
  return `Its ${count(total, 'transaction')}${told === '' ? '' : `: ${told}`}.`;
}

function labelOf({ status }: FoundWorkflow, { report, verdict }: Member): string {
  if (status === 'RUNNING' || isEnded(report)) return report.outcome;
  return verdict.need === 'person' ? 'interrupted half done' : 'interrupted';
}

const notBegun = (workflow: FoundWorkflow, { length }: readonly Member[]): number =>
  Math.max(0, (sizeOf(workflow) ?? 0) - length - (workflow.left?.length ?? 0));

const openIn = (workflow: FoundWorkflow, members: readonly Member[]): boolean =>
  members.some(({ report }) => !isEnded(report)) || notBegun(workflow, members) > 0;

function judgeInterruptedWithoutWorker(found: Found, workflow: FoundWorkflow): Verdict {
  const { status, taskQueue } = workflow;
  return {
    need: 'unknown',
    first: `It cannot be told how its transactions stand: the group is ${status}, and no worker of task queue ${printable(taskQueue)} answers.`,
    why: 'What was done is in the branch logs, and nothing of it is lost; only a worker can say which of its transactions have ended.',
    byItself: 'Nothing: no code of it runs any more.',
    toDo: [startWorker(workflow), handOver(workflow, found)],
  };
}

const handOver = ({ id }: FoundWorkflow, { namespace }: Found): string =>
  `Have all that have not ended in it go on under their own ids: ${resetCommand(id, namespace)}`;

/** Of a group, the reports of those that need somebody. */
export function needyIn(found: Found, workflow: FoundWorkflow): TransactionReport[] {
  const { disagreements, databases, graceMs } = found;
  const told = new Set<string | undefined>([
    ...disagreements.map(({ transaction }) => transaction),
    ...databases.findings.map(({ transaction }) => transaction),
    ...databases.inDoubt.filter((one) => standing(one, graceMs) === 'person').map(({ transaction }) => transaction),
  ]);
  return membersOf(found, workflow)
    .filter(({ report, verdict }) => verdict.need === 'person' || told.has(idInDatabases(report)))
    .map(({ report }) => report);
}
