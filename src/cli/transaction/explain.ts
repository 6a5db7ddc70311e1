/** The command `explain`: a transaction in sentences. What happened, why it stands as it stands, what happens by itself, what to type. */
import { isGroupId } from '../../protocol';
import { printable } from '../printable';
import type { Answer } from '../table';
import { clock, duration } from '../timeline/scale';
import { tellEnd } from '../timeline/tell-span';
import { timelineOf } from '../timeline/timeline';
import type { Lane, Mark, Span } from '../timeline/timeline';
import type { Standing } from './look';
import { atMost } from './verdict-words';

/** Puts it into sentences. */
export function explain(standing: Standing): Answer {
  const { id, verdict, databases, exitCode } = standing;
  const happened = storyOf(standing);
  const lines = [
    `${verdict.first} Nothing was changed.`,
    '',
    `${printable(id)} is ${kindOf(standing)}.`,
    '',
    'What happened:',
    ...happened.map((sentence, i) => `${String(i + 1).padStart(3)}. ${sentence}`),
    '',
    `Why it stands as it stands: ${verdict.why}`,
    ...atMost(
      standing.disagreements.map(
        ({ branch, participant, told }) => `Of ${printable(branch)} at ${participant}, ${told}.`,
      ),
      (n) => `And ${n} more disagree: see temporal-txn show.`,
    ),
    ...databases.notLookedAt.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`),
    '',
    `What happens by itself: ${verdict.byItself}`,
    '',
    ...(verdict.toDo.length === 0
      ? ['What to do: nothing.']
      : ['What to do:', ...verdict.toDo.map((one) => `  ${one}`)]),
  ];
  return { exitCode, text: lines.join('\n'), json: { changed: false, id, needs: verdict.need, verdict, happened } };
}

const NAMES: Readonly<Record<string, string>> = {
  saga: 'a saga',
  'two-phase-commit': 'a two-phase commit',
  'three-phase-commit': 'a three-phase commit',
  'try-confirm-cancel': 'a try-confirm-cancel',
};

function kindOf({ id, workflow, reports, databases }: Standing): string {
  if (isGroupId(id)) return 'a group, in which transactions travel';
  const protocols = [...new Set(reports.map(({ protocol }) => NAMES[protocol] ?? protocol))].join(' and ');
  const kind =
    protocols === ''
      ? databases.decisions.length > 0
        ? 'a transaction with one decision for all branches'
        : 'a transaction'
      : protocols;
  return workflow.kind === 'found' ? `${kind}, run by the workflow ${printable(workflow.type)}` : kind;
}

/** A transaction with very many steps is better read as a timeline. */
const MOST_SENTENCES = 60;

function storyOf(standing: Standing): string[] {
  const { workflow } = standing;
  const history = workflow.kind === 'found' ? historyOf(workflow.events, workflow.pending) : [];
  const told = history.length > 0 ? history : fromDatabases(standing);
  if (told.length <= MOST_SENTENCES) return told;
  const half = MOST_SENTENCES / 2;
  return [
    ...told.slice(0, half),
    `(${told.length - MOST_SENTENCES} more: see temporal-txn timeline.)`,
    ...told.slice(-half),
  ];
}

function historyOf(...history: Parameters<typeof timelineOf>): string[] {
  const timeline = timelineOf(...history);
  return timeline.lanes
    .flatMap((lane) => [
      ...lane.spans.map((span) => ({ atMs: span.fromMs, told: tellSpan(lane, span) })),
      ...lane.marks.map((mark) => ({ atMs: mark.atMs, told: tellMark(lane, mark) })),
    ])
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ atMs, told }) => `${clock(atMs)} (+${duration(atMs - timeline.fromMs)}): ${told}.`);
}

function tellSpan({ name, participant }: Lane, span: Span): string {
  const label = printable(span.label);
  if (span.kind === 'timer') return `A timer was set (${label}): ${tellEnd(span)}`;
  const where = participant === undefined ? '' : ` at ${printable(participant)}`;
  const what =
    span.kind === 'child'
      ? `The workflow of ${printable(name)}${where} was started`
      : `${label} of ${printable(name)}${where} was asked for`;
  return `${what}: ${tellEnd(span)}`;
}

function tellMark({ name, kind: lane }: Lane, { kind, label }: Mark): string {
  const told = printable(label);
  switch (kind) {
    case 'vote':
      return lane === 'branch' ? `${printable(name)} sent its ${told}` : `Somebody sent a ${told}`;
    case 'ruling':
      return `A person ruled: ${told}`;
    case 'end':
      return `The workflow ended: ${told}`;
    case 'turn':
      return `The workflow was ${told}`;
    case 'trouble':
      return `Trouble: ${told}`;
    case 'signal':
      return lane === 'branch' ? `${printable(name)}: ${told}` : `The workflow: ${told}`;
  }
}

function fromDatabases({ databases }: Standing): string[] {
  const { decisions, rows, inDoubt } = databases;
  const told = [
    ...decisions.map(
      ({ participant, decision, by, ageMs }) =>
        `It was decided ${decision} by ${printable(by)}, ${duration(ageMs)} ago: that is in the register at ${participant}.`,
    ),
    ...rows.map(
      ({ branch, participant, state }) => `The branch log of ${participant} has ${printable(branch)} as ${state}.`,
    ),
    ...inDoubt.map(
      ({ branch, participant, ageMs, prepared }) =>
        `${printable(branch ?? 'A branch')} at ${participant} was ${prepared ? 'prepared' : 'asked to prepare'} ${duration(ageMs)} ago.`,
    ),
  ];
  return told.length > 0 ? told : ['Nothing that is still known.'];
}
