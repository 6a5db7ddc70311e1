/** What came out of the rounds: the figures of each way, and the ratio of the two in each round. */
import { cpus } from 'node:os';
import { table } from '../clients/lib/table';
import type { Cost } from './cost';
import type { Part } from './cpu';
import type { Round, Sample } from './measure';
import { percentile, spreadOf } from './statistics';
import type { Spread } from './statistics';
import type { Way } from './transfer';

interface Figures {
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly throughputPerSecond: number;
  readonly cpuMs: { readonly temporal: number; readonly postgres: number; readonly workers: number } | undefined;
  readonly cost: Cost;
}

export interface Report {
  readonly rounds: number;
  readonly transactionsPerRound: number;
  readonly processors: number;
  readonly figures: Readonly<Record<Way, Figures>>;
  /** Saga to hand-written, in time: 1.05 is five per cent more. */
  readonly ratios: Readonly<Record<'latencyP50' | 'timeAt16' | 'cpu', Spread>>;
}

export function reportOf(
  rounds: readonly Round[],
  transactionsPerRound: number,
  costs: Readonly<Record<Way, Cost>>,
): Report {
  const ratio = (measure: (sample: Sample, way: Way) => number): Spread =>
    spreadOf(rounds.map((round) => measure(round.saga, 'saga') / measure(round['hand-written'], 'hand-written')));
  return {
    rounds: rounds.length,
    transactionsPerRound,
    processors: cpus().length,
    figures: {
      saga: figuresOf('saga', rounds, costs.saga),
      'hand-written': figuresOf('hand-written', rounds, costs['hand-written']),
    },
    ratios: {
      latencyP50: ratio(({ latencies }) => percentile(latencies, 0.5)),
      timeAt16: ratio(({ throughput }) => 1 / throughput),
      cpu: ratio(({ cpu }, way) => (cpu ? cpu.temporal + cpu.postgres + cpu[way] : Number.NaN)),
    },
  };
}

function figuresOf(way: Way, rounds: readonly Round[], cost: Cost): Figures {
  const samples = rounds.map((round) => round[way]);
  const latencies = samples.flatMap((sample) => sample.latencies);
  const cpu = (part: Part): number => spreadOf(samples.map((sample) => sample.cpu?.[part] ?? Number.NaN)).median;
  return {
    latencyP50Ms: percentile(latencies, 0.5),
    latencyP99Ms: percentile(latencies, 0.99),
    throughputPerSecond: spreadOf(samples.map(({ throughput }) => throughput)).median,
    cpuMs: samples[0]?.cpu && { temporal: cpu('temporal'), postgres: cpu('postgres'), workers: cpu(way) },
    cost,
  };
}

export function printReport({ rounds, transactionsPerRound, processors, figures, ratios }: Report): void {
  const { saga, 'hand-written': byHand } = figures;
  const row = (name: string, value: (figures: Figures) => string, ratio?: Spread): string[] => [
    name,
    value(saga),
    value(byHand),
    ratio && !Number.isNaN(ratio.median)
      ? `${ratio.median.toFixed(3)} (${ratio.least.toFixed(2)}–${ratio.most.toFixed(2)})`
      : '',
  ];
  const ms = (value: number | undefined): string => (value === undefined ? '–' : `${value.toFixed(1)} ms`);
  const rows = [
    row('latency p50, one at a time', (f) => ms(f.latencyP50Ms), ratios.latencyP50),
    row('latency p99, one at a time', (f) => ms(f.latencyP99Ms)),
    row('throughput, 16 at a time', (f) => `${f.throughputPerSecond.toFixed(1)}/s`, ratios.timeAt16),
    row('CPU: workers', (f) => ms(f.cpuMs?.workers)),
    row('CPU: PostgreSQL', (f) => ms(f.cpuMs?.postgres)),
    row('CPU: Temporal server', (f) => ms(f.cpuMs?.temporal)),
    row('CPU: all of it', (f) => ms(f.cpuMs && f.cpuMs.workers + f.cpuMs.postgres + f.cpuMs.temporal), ratios.cpu),
    row('history events', (f) => String(f.cost.events)),
    row('workflow tasks', (f) => String(f.cost.workflowTasks)),
    row('activities', (f) => String(f.cost.activities)),
    row('billable actions', (f) => String(f.cost.actions)),
  ];
  console.log(`\n${table(['per transfer', 'saga', 'hand-written', 'time saga/hand-written'], rows)}`);
  console.log(
    `\n${rounds} rounds of ${transactionsPerRound} + ${2 * transactionsPerRound} transfers a way, ${processors} processors. Ratios: median of the rounds (least–most).`,
  );
}
