/** The report of this part: what each way took, and the ratios of what they took in the same round. */
import { cpus } from 'node:os';
import { table } from '../../clients/lib/table';
import type { Cost } from '../cost';
import { each } from '../measure';
import type { Latencies, Round, Sample, Size } from '../measure';
import { cpuOf, milliseconds, ratioText } from '../report';
import { percentile, spreadOf } from '../statistics';
import type { Spread } from '../statistics';
import type { Hold } from './locks';
import { HISTORY_WAYS } from './ways';
import type { AskingWay, CostSamples, HistoryWay, Pace, Way } from './ways';

export interface MeasuredRound {
  readonly samples: Round<Way>;
  readonly holds: Readonly<Record<Pace, readonly Hold[]>>;
}

type Column = Exclude<Way, AskingWay>;

const COLUMNS: readonly Column[] = ['saga', 'signal', 'answer', 'direct'];
const HEADINGS: Readonly<Record<Column, string>> = {
  saga: 'saga',
  signal: '2PC, signals',
  answer: '2PC, answers',
  direct: 'no coordinator',
};

/** What is compared with what. */
const PAIRS: readonly (readonly [Column, Column])[] = [
  ['signal', 'saga'],
  ['answer', 'saga'],
  ['answer', 'signal'],
  ['signal', 'direct'],
];

/** Of one way in one round, in milliseconds; not a number where the way has no such thing. */
const MEASURES = {
  'decided, one at a time': (round, way) => p50(askedOf(round, way).alone.decided),
  'done, one at a time': (round, way) => p50(round.samples[way].alone.done),
  'decided, 16 at a time': (round, way) => p50(askedOf(round, way).together.decided),
  'done, 16 at a time': (round, way) => p50(round.samples[way].together.done),
  'time each, 16 at a time': (round, way) => 1000 / round.samples[way].throughput,
  'lock at the primary, one': ({ holds }, way) => heldP50(holds.alone, way, 'debit'),
  'lock at a follower, one': ({ holds }, way) => heldP50(holds.alone, way, 'credit'),
  'lock at the primary, 16': ({ holds }, way) => heldP50(holds.together, way, 'debit'),
  'lock at a follower, 16': ({ holds }, way) => heldP50(holds.together, way, 'credit'),
  'CPU: workers': ({ samples }, way) => samples[way].cpu?.[way === 'direct' ? 'direct' : 'two-phase'] ?? Number.NaN,
  'CPU: PostgreSQL': ({ samples }, way) => samples[way].cpu?.postgres ?? Number.NaN,
  'CPU: Temporal server': ({ samples }, way) => samples[way].cpu?.temporal ?? Number.NaN,
  'CPU: all of it': ({ samples }, way) => cpuOf(samples[way], way === 'direct' ? 'direct' : 'two-phase'),
} as const satisfies Record<string, (round: MeasuredRound, way: Column) => number>;
type Measure = keyof typeof MEASURES;
const NAMES = Object.keys(MEASURES) as Measure[]; // Cast: its own keys.

const p50 = (values: readonly number[]): number => percentile(values, 0.5);

/** Asking for the decision is an update more, so it is measured apart. Without a coordinator callers hear it unasked. */
const askedOf = ({ samples }: MeasuredRound, way: Column): Readonly<Record<Pace, Latencies>> =>
  samples[way === 'signal' || way === 'answer' ? (`${way}-decision` as const) : way] satisfies Sample;

const heldP50 = (holds: readonly Hold[], way: Column, branch: Hold['branch']): number =>
  p50(holds.filter((hold) => hold.way === way && hold.branch === branch).map(({ ms }) => ms));

interface TwoPhaseReport {
  readonly rounds: number;
  readonly size: Size;
  readonly processors: number;
  /** Milliseconds. */
  readonly figures: Readonly<Record<Measure, Readonly<Record<Column, Spread>>>>;
  /** By `first/second`: the time of the first in that of the second. */
  readonly ratios: Readonly<Record<Measure, Readonly<Record<string, Spread>>>>;
  readonly costs: Readonly<Record<HistoryWay, Readonly<Record<Pace, Readonly<Record<keyof Cost, Spread>>>>>>;
}

export function reportOf(rounds: readonly MeasuredRound[], size: Size, costs: CostSamples): TwoPhaseReport {
  const over = (of: (round: MeasuredRound) => number): Spread => spreadOf(rounds.map(of));
  return {
    rounds: rounds.length,
    size,
    processors: cpus().length,
    figures: each(NAMES, (name) => each(COLUMNS, (way) => over((round) => MEASURES[name](round, way)))),
    ratios: each(NAMES, (name) =>
      Object.fromEntries(
        PAIRS.map(([a, b]) => [`${a}/${b}`, over((round) => MEASURES[name](round, a) / MEASURES[name](round, b))]),
      ),
    ),
    costs: each(HISTORY_WAYS, (way) => ({
      alone: spreadsOf(costs[way].alone),
      together: spreadsOf(costs[way].together),
    })),
  };
}

const COUNTS = ['events', 'workflowTasks', 'activities', 'timers', 'upserts', 'signals', 'updates', 'actions'] as const;

const spreadsOf = (costs: readonly Cost[]): Record<keyof Cost, Spread> =>
  each(COUNTS, (key) => spreadOf(costs.map((cost) => cost[key])));

export function textOf({ rounds, size, processors, figures, ratios, costs }: TwoPhaseReport): string {
  const measured = NAMES.map((name) => [name, ...COLUMNS.map((way) => milliseconds(figures[name][way].median))]);
  const counted = (name: string, key: keyof Cost, pace: Pace): string[] => [
    name,
    ...COLUMNS.map((way) => (way === 'direct' ? '–' : countText(costs[way][pace][key]))),
  ];
  const rows = [
    ...measured,
    ['throughput, 16 at a time', ...COLUMNS.map((way) => perSecond(figures['time each, 16 at a time'][way]))],
    counted('history events, one at a time', 'events', 'alone'),
    counted('history events, 16 at a time', 'events', 'together'),
    counted('workflow tasks, one at a time', 'workflowTasks', 'alone'),
    counted('workflow tasks, 16 at a time', 'workflowTasks', 'together'),
    counted('activities', 'activities', 'alone'),
    counted('signals', 'signals', 'alone'),
    counted('timers', 'timers', 'alone'),
    counted('billable actions', 'actions', 'alone'),
  ];
  const compared = NAMES.map((name) => [name, ...PAIRS.map(([a, b]) => ratioText(ratios[name][`${a}/${b}`]))]);
  return `${table(['per transfer, median', ...COLUMNS.map((way) => HEADINGS[way])], rows)}

${table(['ratio of times', ...PAIRS.map(([a, b]) => `${a}/${b}`)], compared)}

${rounds} rounds of ${size.alone} + ${2 * size.together} transfers a way, ${processors} processors. Ratios: median of the rounds (least–most).
Asking for the decision is one update more: ${countText(costs['signal-decision'].alone.actions)} billable actions by signal, ${countText(costs['answer-decision'].alone.actions)} by answer.`;
}

const perSecond = ({ median }: Spread): string => `${(1000 / median).toFixed(1)}/s`;

const countText = ({ median, least, most }: Spread): string =>
  least === most ? String(median) : `${median} (${least}–${most})`;
