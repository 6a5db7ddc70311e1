/** The tables of docs/protocols.md that are measured: what a run of the benchmark and what the tests of failures have recorded. */
import { markdownTable } from '../markdown';
import type { FailureOutcomes, ProtocolOutcome, RecordedOutcomes } from './outcomes';
import { figureRows, ratioHeadings, ratioRows, roundsText } from './report';
import type { ProtocolsReport } from './report';
import { WAYS } from './ways';
import type { Way } from './ways';

export const PAGE = 'docs/protocols.md';
/** As `npm run bench -- protocols --json` prints it. */
export const BENCH_FILE = 'bench/protocols/recorded.json';

export interface Recorded {
  readonly outcomes: RecordedOutcomes;
  readonly bench: { readonly protocols: ProtocolsReport };
}

/** Puts the tables between their markers, and leaves the rest of the page alone. @throws when a marker is missing */
export function fillPage(page: string, { outcomes, bench }: Recorded): string {
  return [
    ['cost', costOf(bench.protocols)] as const,
    ['ends', endsOf(outcomes)] as const,
    ['meanwhile', meanwhileOf(outcomes)] as const,
  ].reduce((text, [name, tables]) => fill(text, name, tables), page);
}

function fill(page: string, name: string, tables: string): string {
  const [begin, end] = [`<!-- measured: ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has no place for the tables "${name}".`);
  return `${page.slice(0, from)}${begin}\n\n${tables}\n\n${page.slice(to)}`;
}

function costOf(report: ProtocolsReport): string {
  return [
    markdownTable(['per transfer, median', ...WAYS.map((way) => NAMES[way])], figureRows(report)),
    markdownTable(ratioHeadings('ratio of times (least–most of the rounds)'), ratioRows(report)),
    `${roundsText(report)}, ${machineOf(report.taken)}.`,
  ].join('\n\n');
}

const endsOf = ({ failures, taken }: RecordedOutcomes): string =>
  [
    failureTable(failures, ({ outcome, by, seconds }) =>
      [outcome, BY[by], ...(seconds === null ? [] : [seconds === 0 ? '< 1 s' : `${seconds} s`])].join(', '),
    ),
    `Seconds: one run, ${machineOf(taken)}.`,
  ].join('\n\n');

const meanwhileOf = ({ failures }: RecordedOutcomes): string =>
  failureTable(failures, ({ seen, kept }) => {
    const met = [...(seen === 'half' ? ['half of it seen'] : []), ...(kept === 'nothing' ? [] : [KEPT[kept]])];
    return met.join(', ') || '–';
  });

const NAMES: Readonly<Record<Way, string>> = {
  saga: 'saga',
  '2pc': 'two-phase commit',
  '3pc': 'three-phase commit',
  tcc: 'try-confirm-cancel',
};

const BY: Readonly<Record<ProtocolOutcome['by'], string>> = {
  coordinator: 'by the coordinator',
  participants: 'by the participants',
  recovery: 'by recovery',
  'client.resume': 'once a person resumes it',
  nobody: 'and nothing was left to do',
};

const KEPT: Readonly<Record<Exclude<ProtocolOutcome['kept'], 'nothing'>, string>> = {
  locked: 'rows locked',
  reserved: 'money reserved',
};

const failureTable = (failures: readonly FailureOutcomes[], cell: (outcome: ProtocolOutcome) => string): string =>
  markdownTable(
    ['what happens', ...WAYS.map((way) => NAMES[way])],
    failures.map(({ failure, outcomes }) => [failure, ...WAYS.map((way) => cell(outcomes[way]))]),
  );

const machineOf = ({ processors, node, on }: RecordedOutcomes['taken']): string =>
  `${processors} processors, Node ${node.replace(/^v/, '')}, on ${on}`;
