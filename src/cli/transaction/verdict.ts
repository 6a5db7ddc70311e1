/**
 * What a person needs to know first of a transaction: whether anybody is needed, why, what happens by itself, and what to type.
 * Pure: over what the workflow says and what the databases say.
 */
import { isGroupId } from '../../protocol';
import { standing, whatToType } from '../in-doubt';
import { count, printable } from '../printable';
import type { Disagreement } from './disagreements';
import { handOverOf, judgeAlone, judgeWithoutWorker } from './verdict-alone';
import { judgeGroup } from './verdict-group';
import { judgeReport } from './verdict-report';
import { atMost, HOW_INTERRUPTED, NOTHING_KNOWN } from './verdict-words';
import type { Found, Verdict } from './verdict-words';
import type { WorkflowLook } from './workflow';

/** Judges a transaction. What needs a person anywhere outranks what is well elsewhere. */
export function verdictOf(found: Found): Verdict {
  const told = inWorkflow(found);
  const seen = inDatabases(found);
  // A workflow that runs is the one to be told; one that has ended cannot do anything about what the databases say. A group says of many.
  const all = isRunning(found.workflow) || isGroupId(found.id) ? [...told, ...seen] : [...seen, ...told];
  const needy = all.filter(({ need }) => need === 'person');
  const [first] = needy;
  if (first === undefined) return all.find(({ need }) => need === 'unknown') ?? all[0] ?? NOTHING_KNOWN;
  const others = told.filter((one) => one.need === 'nobody').map((one) => one.first);
  return {
    ...first,
    why: [...new Set([...needy.map(({ why }) => why), ...others])].join(' '),
    toDo: [...new Set(needy.flatMap(({ toDo }) => toDo))],
  };
}

/** Only what needs a person: what is well there is part of what the workflow says. */
function inDatabases(found: Found): Verdict[] {
  const { id, databases, disagreements, graceMs, workflow, reports } = found;
  const { findings, inDoubt } = databases;
  const [finding] = findings;
  const [disagreement] = disagreements;
  const needy = inDoubt.filter((branch) => standing(branch, graceMs) === 'person');
  const verdicts: Verdict[] = [];
  if (finding !== undefined)
    verdicts.push({
      need: 'person',
      first: `Somebody has to look: at ${finding.participant}, ${printable(finding.branch ?? 'a branch')} did otherwise than the others (${finding.kind}).`,
      why: finding.told,
      byItself: 'Nothing: no program may guess what is right here.',
      toDo: [`${finding.toDo}.`, `temporal-txn audit`],
    });
  // What the audit has found, or a person has accepted, is known to disagree.
  if (disagreement !== undefined && findings.length === 0 && databases.accepted.length === 0)
    verdicts.push(disagreement.unreported === undefined ? otherwise(disagreement) : unreported(disagreement));
  const [first] = needy;
  // While its coordinator is held, the workflow says better what to do.
  if (first !== undefined && !(isRunning(workflow) && reports.some(({ outcome }) => outcome === 'held')))
    verdicts.push({
      need: 'person',
      first: `Somebody has to look: ${count(needy.length, 'branch is', 'branches are')} in doubt, prepared and not finished, and ${needy.length === 1 ? 'holds its' : 'hold their'} locks. No money is lost: what is prepared waits for its decision.`,
      why: first.verdict.because,
      byItself:
        'The recovery of each participant does the same where its worker runs; that it has not yet means that one does not.',
      toDo: [
        ...handOverOf(found),
        ...atMost(
          [...new Set(needy.map((branch) => whatToType(branch, graceMs)))],
          (n) => `And ${n} more: temporal-txn in-doubt`,
        ),
      ],
    });
  if (needy.length === 0 && inDoubt.length > 0 && workflow.kind === 'found' && !isRunning(workflow))
    verdicts.push({
      need: 'nobody',
      first: `Nothing needs a person yet: its workflow was ended, and ${count(inDoubt.length, 'branch')} will be settled by recovery. Your money is safe: all of them get the same decision.`,
      why: inDoubt[0]?.verdict.because ?? '',
      byItself: 'The recovery of the participants settles it, once it is older than their grace period.',
      toDo: [`temporal-txn show ${id}`],
    });
  return verdicts;
}

const otherwise = ({ branch, participant, told }: Disagreement): Verdict => ({
  need: 'person',
  first: `Somebody has to look: workflow and database disagree about ${printable(branch)} at ${participant}.`,
  why: `Of ${printable(branch)}, ${told}.`,
  byItself: 'Nothing: no program may guess what is right here.',
  toDo: [
    'Find out who changed the branch log or the data, and repair the business data by hand.',
    'temporal-txn audit',
  ],
});

/** Its saga has ended, so nobody will undo it. */
function unreported({ branch, participant, told, unreported: { outcome, askedBy } = UNTOLD }: Disagreement): Verdict {
  const said = outcome === 'compensated' ? 'says that everything is undone' : 'does not tell of it';
  const asker = askedBy === null ? '' : ` It was asked for by ${printable(askedBy)}.`;
  return {
    need: 'person',
    first: `Somebody has to look: ${printable(branch)} at ${participant} took effect and stands, and the workflow ${said}.`,
    why: `Of ${printable(branch)}, ${told}.${asker}`,
    byItself: 'Nothing: the workflow has ended, and no other one answers for it.',
    toDo: [
      `Look at the business data of ${participant}, and undo by hand what ${printable(branch)} did there, unless it is wanted.`,
      ...(askedBy === null ? [] : [`See who asked for it: temporal-txn timeline ${printable(askedBy)}`]),
    ],
  };
}

const UNTOLD = { outcome: '', askedBy: null };

const isRunning = (workflow: WorkflowLook): boolean => workflow.kind === 'found' && workflow.status === 'RUNNING';

function inWorkflow(found: Found): Verdict[] {
  const { id, workflow, reports } = found;
  if (workflow.kind !== 'found') return [judgeAlone(found)];
  if (workflow.id === id && isGroupId(id)) return [judgeGroup(found, workflow)];
  if (reports.length === 0)
    return [
      workflow.status in HOW_INTERRUPTED || workflow.report.kind === 'none'
        ? judgeAlone(found)
        : judgeWithoutWorker(found, workflow),
    ];
  return reports.map((report) => judgeReport(found, workflow, report));
}
