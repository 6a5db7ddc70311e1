/** The report of this part: rates, latencies, what a wake-up costs, and what of the aims was met. */
import { cpus } from 'node:os';
import { table } from '../../clients/lib/table';
import { each } from '../measure';
import { ratioText } from '../report';
import { percentile, spreadOf } from '../statistics';
import type { Spread } from '../statistics';
import { DRAIN_NAMES } from './drain';
import type { Drain, Drained } from './drain';
import { LATENCY_WAYS } from './latency';
import type { LatencySamples, LatencyWay } from './latency';
import { RELAYS_AT_WORK, WAKE_WAYS } from './producers';
import type { RelayAtWork, WakeCosts, WakeWay } from './producers';

export interface OutboxRound {
  readonly drained: Readonly<Record<Drain, Drained>>;
  readonly latencies: LatencySamples;
  readonly wakes: WakeCosts;
}

interface LatencyFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
}

/** Of the peer's replication. */
interface Lost {
  readonly lost: number;
  readonly of: number;
}

/** What is compared with what, in time for each event: 20 is twenty times the time. */
const DRAIN_PAIRS: readonly (readonly [Drain, Drain])[] = [
  ['4×100', '1×100'],
  ['4×500', '1×500'],
  ['polling', '1×100'],
  ['replication', '1×100'],
  ['polling', '1×500'],
  ['replication', '1×500'],
];

const LATENCY_PAIRS: readonly (readonly [LatencyWay, LatencyWay])[] = [
  ['replication', 'woken'],
  ['polling', 'unwoken'],
];

interface Aim {
  readonly aim: string;
  readonly measured: string;
  readonly met: boolean;
}

export interface OutboxReport {
  /** When, and with what. */
  readonly taken: { readonly on: string; readonly node: string; readonly processors: number };
  readonly rounds: number;
  /** Events a second. */
  readonly drained: Readonly<Record<Drain, Spread>>;
  readonly latencies: Readonly<Record<LatencyWay, LatencyFigures>>;
  /** Messages that the peer's replication did not hand over, one at a time. */
  readonly lost: Lost;
  /** Transactions a second, of all producers. */
  readonly producers: Readonly<Record<RelayAtWork, Readonly<Record<WakeWay, Spread>>>>;
  /** By `first/second`, taken within a round. */
  readonly ratios: {
    readonly drained: Readonly<Record<string, Spread>>;
    readonly latencyP50: Readonly<Record<string, Spread>>;
    /** To none. */
    readonly producers: Readonly<Record<RelayAtWork, Readonly<Record<WakeWay, Spread>>>>;
  };
  readonly aims: readonly Aim[];
}

export function reportOf(rounds: readonly OutboxRound[]): OutboxReport {
  const over = (of: (round: OutboxRound) => number): Spread => spreadOf(rounds.map(of));
  const drainedRatio = (a: Drain, b: Drain): Spread =>
    over(({ drained }) => drained[a].msPerEvent / drained[b].msPerEvent);
  const median = ({ latencies }: OutboxRound, way: LatencyWay): number => percentile(latencies.samples[way], 0.5);
  const figures = {
    taken: { on: new Date().toISOString().slice(0, 10), node: process.version, processors: cpus().length },
    rounds: rounds.length,
    drained: each(DRAIN_NAMES, (name) => over(({ drained }) => 1_000 / drained[name].msPerEvent)),
    latencies: each(LATENCY_WAYS, (way) => {
      const samples = rounds.flatMap(({ latencies }) => latencies.samples[way]);
      return { p50Ms: percentile(samples, 0.5), p99Ms: percentile(samples, 0.99), samples: samples.length };
    }),
    lost: lostOf(rounds),
    producers: each(RELAYS_AT_WORK, (relay) =>
      each(WAKE_WAYS, (way) => over(({ wakes }) => 1_000 / wakes[relay][way])),
    ),
    ratios: {
      drained: Object.fromEntries(DRAIN_PAIRS.map(([a, b]) => [`${a}/${b}`, drainedRatio(a, b)])),
      latencyP50: Object.fromEntries(
        LATENCY_PAIRS.map(([a, b]) => [`${a}/${b}`, over((round) => median(round, a) / median(round, b))]),
      ),
      producers: each(RELAYS_AT_WORK, (relay) =>
        each(WAKE_WAYS, (way) => over(({ wakes }) => wakes[relay][way] / wakes[relay].none)),
      ),
    },
  };
  return { ...figures, aims: aimsOf(figures) };
}

function lostOf(rounds: readonly OutboxRound[]): Lost {
  const sum = (of: (latencies: LatencySamples) => number): number =>
    rounds.reduce((total, { latencies }) => total + of(latencies), 0);
  const lost = sum((latencies) => latencies.lost);
  return { lost, of: lost + sum(({ samples }) => samples.replication.length) };
}

/** By the medians. */
function aimsOf({ drained, latencies, ratios }: Omit<OutboxReport, 'aims'>): Aim[] {
  const least = (aim: string, value: number | undefined, bound: number, unit = ''): Aim => ({
    aim,
    measured: `${figure(value)}${unit}`,
    met: value !== undefined && value >= bound,
  });
  const below = (aim: string, value: number, bound: number, unit = ''): Aim => ({
    aim,
    measured: `${figure(value)}${unit}`,
    met: value < bound,
  });
  return [
    least('a backlog at batch 100: 10,000 events/s', drained['1×100'].median, 10_000, '/s'),
    least('a backlog at batch 500: 30,000 events/s', drained['1×500'].median, 30_000, '/s'),
    least("20 times the peer's polling, at batch 100", ratios.drained['polling/1×100']?.median, 20),
    least("no slower a message than the peer's replication", ratios.drained['replication/1×100']?.median, 1),
    below('from commit to published, p50: below 2 ms', latencies.woken.p50Ms, 2, ' ms'),
    below('from commit to published, p99: below 15 ms', latencies.woken.p99Ms, 15, ' ms'),
    ...RELAYS_AT_WORK.map((relay) =>
      below(
        `producers ${relay}: less than 10 % more time when they wake`,
        ratios.producers[relay]['after commit'].median,
        1.1,
      ),
    ),
  ];
}

const figure = (value: number | undefined): string => {
  if (value === undefined || Number.isNaN(value)) return '–';
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value < 10 ? 2 : 1);
};

const spreadText = ({ median, least, most }: Spread): string => `${figure(median)} (${figure(least)}–${figure(most)})`;

export function textOf(report: OutboxReport): string {
  const { drained, latencies, lost, producers, ratios, aims, rounds, taken } = report;
  const against = (name: Drain, base: Drain): string => ratioText(ratios.drained[`${name}/${base}`]);
  const backlog = table(
    ['a backlog', 'events/s', 'time to 1×100', 'time to 1×500'],
    DRAIN_NAMES.map((name) => [name, spreadText(drained[name]), against(name, '1×100'), against(name, '1×500')]),
  );
  const latency = table(
    ['commit to published', 'p50', 'p99', 'events', 'p50 to woken', 'p50 to unwoken'],
    LATENCY_WAYS.map((way) => {
      const { p50Ms, p99Ms, samples } = latencies[way];
      const to = (base: LatencyWay): string => ratioText(ratios.latencyP50[`${way}/${base}`]);
      return [way, `${figure(p50Ms)} ms`, `${figure(p99Ms)} ms`, String(samples), to('woken'), to('unwoken')];
    }),
  );
  const wake = table(
    ['16 producers', ...RELAYS_AT_WORK.flatMap((relay) => [`tx/s ${relay}`, 'time to none'])],
    WAKE_WAYS.map((way) => [
      way,
      ...RELAYS_AT_WORK.flatMap((relay) => [
        spreadText(producers[relay][way]),
        way === 'none' ? '' : ratioText(ratios.producers[relay][way]),
      ]),
    ]),
  );
  const met = table(
    ['aim', 'measured', 'met'],
    aims.map(({ aim, measured, met: isMet }) => [aim, measured, isMet ? 'yes' : 'no']),
  );
  return `${backlog}\n\n${latency}\n\n${wake}\n\n${met}

${rounds} rounds, ${taken.processors} processors. Rates and ratios: median of the rounds (least–most).
The peer's replication lost ${lost.lost} of ${lost.of} messages that were committed one at a time.`;
}
