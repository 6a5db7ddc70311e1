/** The report of this part: what a transfer takes by each protocol, and the ratios within a round. */
import { cpus } from 'node:os';
import { table } from '../../clients/lib/table';
import type { Cost } from '../cost';
import { each } from '../measure';
import type { Round, Size } from '../measure';
import { cpuOf, figuresOf, milliseconds, ratioText } from '../report';
import type { Figures } from '../report';
import { percentile, spreadOf } from '../statistics';
import type { Spread } from '../statistics';
import type { Kept } from './locks';
import { WAYS } from './ways';
import type { Costs, Way } from './ways';

export interface MeasuredRound {
  readonly samples: Round<Way>;
  readonly alone: readonly Kept[];
  readonly together: readonly Kept[];
}

/** Medians, in milliseconds. */
interface KeptFigures {
  readonly lockedAlone: number;
  readonly lockedAt16: number;
  readonly reservedAlone: number;
  readonly reservedAt16: number;
}

type Measure = 'latency' | 'timeAt16' | 'lockedAlone' | 'lockedAt16' | 'cpu';

/** What is compared with what, in time: 1.05 is five per cent more. */
const PAIRS: readonly (readonly [Way, Way])[] = [
  ['2pc', 'saga'],
  ['3pc', 'saga'],
  ['tcc', 'saga'],
  ['3pc', '2pc'],
];

export interface ProtocolsReport {
  /** When, and with what. */
  readonly taken: { readonly on: string; readonly node: string; readonly processors: number };
  readonly rounds: number;
  readonly size: Size;
  readonly figures: Readonly<Record<Way, Figures & KeptFigures & { readonly cost: Record<keyof Cost, Spread> }>>;
  /** By `first/second`. */
  readonly ratios: Readonly<Record<Measure, Readonly<Record<string, Spread>>>>;
}

export function reportOf(rounds: readonly MeasuredRound[], size: Size, costs: Costs): ProtocolsReport {
  const ratio = (measure: (round: MeasuredRound, way: Way) => number): Record<string, Spread> =>
    Object.fromEntries(
      PAIRS.map(([a, b]) => [`${a}/${b}`, spreadOf(rounds.map((round) => measure(round, a) / measure(round, b)))]),
    );
  const over = (of: (round: MeasuredRound) => number): number => spreadOf(rounds.map(of)).median;
  return {
    taken: { on: new Date().toISOString().slice(0, 10), node: process.version, processors: cpus().length },
    rounds: rounds.length,
    size,
    figures: each(WAYS, (way) => ({
      ...figuresOf(
        rounds.map(({ samples }) => samples[way]),
        'protocols',
      ),
      lockedAlone: over(({ alone }) => medianOf(alone, way, 'lockedMs')),
      lockedAt16: over(({ together }) => medianOf(together, way, 'lockedMs')),
      reservedAlone: over(({ alone }) => medianOf(alone, way, 'reservedMs')),
      reservedAt16: over(({ together }) => medianOf(together, way, 'reservedMs')),
      cost: each(COUNTS, (key) => spreadOf(costs[way].map((cost) => cost[key]))),
    })),
    ratios: {
      latency: ratio(({ samples }, way) => percentile(samples[way].alone.done, 0.5)),
      timeAt16: ratio(({ samples }, way) => 1 / samples[way].throughput),
      lockedAlone: ratio(({ alone }, way) => medianOf(alone, way, 'lockedMs')),
      lockedAt16: ratio(({ together }, way) => medianOf(together, way, 'lockedMs')),
      cpu: ratio(({ samples }, way) => cpuOf(samples[way], 'protocols')),
    },
  };
}

const medianOf = (kept: readonly Kept[], way: Way, what: 'lockedMs' | 'reservedMs'): number =>
  percentile(
    kept.filter((one) => one.way === way).map((one) => one[what]),
    0.5,
  );

const COUNTS = ['events', 'workflowTasks', 'activities', 'timers', 'upserts', 'signals', 'updates', 'actions'] as const;

/** Of each protocol, as rows of text. */
export function figureRows({ figures }: ProtocolsReport): string[][] {
  const row = (name: string, value: (of: ProtocolsReport['figures'][Way]) => string): string[] => [
    name,
    ...WAYS.map((way) => value(figures[way])),
  ];
  const ms = milliseconds;
  const count = (key: keyof Cost) => (of: ProtocolsReport['figures'][Way]) => countText(of.cost[key]);
  const reserved = (value: number): string => (value === 0 ? '–' : ms(value));
  return [
    row('latency p50, one at a time', (of) => ms(of.latencyP50Ms)),
    row('latency p99, one at a time', (of) => ms(of.latencyP99Ms)),
    row('throughput, 16 callers', (of) => `${of.throughputPerSecond.toFixed(1)}/s`),
    row('debited row locked, one at a time', (of) => ms(of.lockedAlone)),
    row('debited row locked, 16 callers', (of) => ms(of.lockedAt16)),
    row('money reserved, one at a time', (of) => reserved(of.reservedAlone)),
    row('money reserved, 16 callers', (of) => reserved(of.reservedAt16)),
    row('CPU: workers', (of) => ms(of.cpuMs?.workers)),
    row('CPU: PostgreSQL', (of) => ms(of.cpuMs?.postgres)),
    row('CPU: Temporal server', (of) => ms(of.cpuMs?.temporal)),
    row('history events', count('events')),
    row('workflow tasks', count('workflowTasks')),
    row('activities', count('activities')),
    row('signals', count('signals')),
    row('timers', count('timers')),
    row('billable actions', count('actions')),
  ];
}

export function ratioRows({ ratios }: ProtocolsReport): string[][] {
  const row = (name: string, measure: Measure): string[] => [
    name,
    ...PAIRS.map(([a, b]) => ratioText(ratios[measure][`${a}/${b}`])),
  ];
  return [
    row('latency, one at a time', 'latency'),
    row('time of each, 16 callers', 'timeAt16'),
    row('debited row locked, one at a time', 'lockedAlone'),
    row('debited row locked, 16 callers', 'lockedAt16'),
    row('CPU: all of it', 'cpu'),
  ];
}

export const ratioHeadings = (first: string): string[] => [first, ...PAIRS.map(([a, b]) => `${a}/${b}`)];

export const roundsText = ({ rounds, size: { alone, together } }: ProtocolsReport): string =>
  `${rounds} rounds of ${alone} + ${2 * together} transfers each, of three-phase commit ${alone} + ${together}`;

export function textOf(report: ProtocolsReport): string {
  const { taken } = report;
  return `${table(['per transfer, median', ...WAYS], figureRows(report))}

${table(ratioHeadings('ratio of times'), ratioRows(report))}

${roundsText(report)}, ${taken.processors} processors. Ratios: median of the rounds (least–most).`;
}

const countText = ({ median, least, most }: Spread): string =>
  least === most ? String(median) : `${median} (${least}–${most})`;
