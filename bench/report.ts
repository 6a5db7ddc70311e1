/** What the reports of all parts have in common: the figures of one way, and ratios taken within a round. */
import type { Part, WorkerFolder } from './cpu';
import type { Sample } from './measure';
import { percentile, spreadOf } from './statistics';
import type { Spread } from './statistics';

export interface Figures {
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly throughputPerSecond: number;
  readonly cpuMs: { readonly temporal: number; readonly postgres: number; readonly workers: number } | undefined;
}

/** @param workers whose processes did the work */
export function figuresOf(samples: readonly Sample[], workers: WorkerFolder): Figures {
  const latencies = samples.flatMap(({ alone }) => alone.done);
  const cpu = (part: Part): number => spreadOf(samples.map((sample) => sample.cpu?.[part] ?? Number.NaN)).median;
  return {
    latencyP50Ms: percentile(latencies, 0.5),
    latencyP99Ms: percentile(latencies, 0.99),
    throughputPerSecond: spreadOf(samples.map(({ throughput }) => throughput)).median,
    cpuMs: samples[0]?.cpu && { temporal: cpu('temporal'), postgres: cpu('postgres'), workers: cpu(workers) },
  };
}

/** All of a sample's CPU time; not a number where it cannot be read. */
export const cpuOf = ({ cpu }: Sample, workers: WorkerFolder): number =>
  cpu ? cpu.temporal + cpu.postgres + cpu[workers] : Number.NaN;

export const milliseconds = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? '–' : `${value.toFixed(1)} ms`;

export const ratioText = (ratio: Spread | undefined): string =>
  ratio === undefined || Number.isNaN(ratio.median)
    ? ''
    : `${brief(ratio.median, 3)} (${brief(ratio.least, 2)}–${brief(ratio.most, 2)})`;

const brief = (value: number, digits: number): string => value.toFixed(value < 10 ? digits : 0);
