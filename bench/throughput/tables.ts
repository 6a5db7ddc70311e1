/** The report as tables, for the terminal and for the page. */
import type { Spread } from '../statistics';
import { contestantOf } from './contestants';
import type { Contestant } from './contestants';
import { cpuEach, titleOf } from './report';
import type { Figures, ThroughputReport } from './report';

export interface Table {
  readonly title: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The number of callers whose CPU time is shown in parts: where all who take part are busy, and none is drowned. */
const SHOWN_IN_PARTS = 64;

export function tablesOf(report: ThroughputReport): readonly Table[] {
  const levels = [...new Set(report.figures.map(({ callers }) => callers))];
  const inParts = levels.includes(SHOWN_IN_PARTS) ? SHOWN_IN_PARTS : levels.at(-1);
  return [
    aimTable('Aims, a local transaction for each movement', report, ({ sets }) => !sets),
    aimTable('Aims, many movements in one local transaction', report, ({ sets }) => sets === true),
    ...levels.map((callers) => callersTable(report, callers)),
    cpuTable(report, inParts),
    costTable(report, levels),
    memoryTable(report),
  ].filter(({ rows }) => rows.length > 0);
}

const aimTable = (title: string, { aims }: ThroughputReport, isOf: (contestant: Contestant) => boolean): Table => ({
  title,
  headings: ['aim', 'measured', 'met'],
  rows: aims
    .filter(({ way }) => isOf(contestantOf(way)))
    .map(({ way, callers, goal, measured, met }) => [
      `${titleOf(way)}, ${callersText(callers)}: ${goal}`,
      digits(measured),
      met ? 'yes' : 'no',
    ]),
});

const callersTable = ({ figures }: ThroughputReport, callers: number): Table => ({
  title: callersText(callers),
  headings: [
    '',
    'transfers/s',
    'p50',
    'p99',
    'CPU each',
    'to direct pg',
    'to the better of DBOS and Restate',
    'refused',
  ],
  rows: figures
    .filter((one) => one.callers === callers)
    .map((one) => [
      titleOf(one.way),
      perSecond(one.throughput),
      milliseconds(one.p50Ms),
      milliseconds(one.p99Ms),
      milliseconds(cpuEach(one)),
      ratio(one.toDirect),
      ratio(one.toPeers),
      one.refused === 0 ? '' : `${one.refused} of ${thousands(one.transfers)}`,
    ]),
});

const cpuTable = ({ figures }: ThroughputReport, callers: number | undefined): Table => ({
  title: `CPU of a transfer, ${callers} callers`,
  headings: ['', 'own processes', 'PostgreSQL', 'server of Temporal or Restate', 'all of it'],
  rows: figures.flatMap((one) =>
    one.callers === callers && one.cpu
      ? [
          [
            titleOf(one.way),
            milliseconds(one.cpu.workers),
            milliseconds(one.cpu.postgres),
            contestantOf(one.way).server === undefined ? '–' : milliseconds(one.cpu.server),
            milliseconds(cpuEach(one)),
          ],
        ]
      : [],
  ),
});

function costTable({ entrants, figures }: ThroughputReport, levels: readonly number[]): Table {
  const costOf = (way: string, callers: number): Figures['cost'] =>
    figures.find((one) => one.way === way && one.callers === callers)?.cost;
  return {
    title: 'What Temporal does for a transfer: history events, billable actions',
    headings: ['', ...levels.map((callers) => `${thousands(callers)} at a time`)],
    rows: entrants
      .filter(({ way }) => levels.some((callers) => costOf(way, callers)))
      .map(({ way, title }) => [
        title,
        ...levels.map((callers) => {
          const cost = costOf(way, callers);
          return cost ? `${digits(cost.events)}, ${digits(cost.actions)}` : '–';
        }),
      ]),
  };
}

const memoryTable = ({ entrants, open }: ThroughputReport): Table => ({
  title: `Memory of an open transaction, ${thousands(open)} open at once`,
  headings: ['', 'KiB each'],
  rows: entrants.flatMap(({ title, openBytes }) =>
    openBytes === undefined ? [] : [[title, (openBytes / 1024).toFixed(0)]],
  ),
});

const callersText = (callers: number): string => (callers === 1 ? '1 caller' : `${thousands(callers)} callers`);

/** How often each had its turn, and so what the figures are. */
export const roundsText = (rounds: number): string =>
  rounds === 1
    ? 'One round, one block of each: what is shown is that block, and no median of several'
    : `${thousands(rounds)} rounds: medians, in brackets least and most`;

/** Three digits that count. */
export const digits = (value: number): string => (Number.isNaN(value) ? '–' : String(Number(value.toPrecision(3))));

export const thousands = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

export const milliseconds = (value: number): string => (Number.isNaN(value) ? '–' : `${plain(value)} ms`);

const perSecond = ({ median, least, most }: Spread): string =>
  least === most ? plain(median) : `${plain(median)} (${plain(least)}–${plain(most)})`;

const ratio = (spread: Spread | undefined): string =>
  spread === undefined
    ? ''
    : spread.least === spread.most
      ? digits(spread.median)
      : `${digits(spread.median)} (${digits(spread.least)}–${digits(spread.most)})`;

export const plain = (value: number): string => (value < 100 ? value.toFixed(1) : thousands(value));
