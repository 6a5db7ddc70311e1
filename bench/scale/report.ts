/** The report of this part: the windows, what became more or less over them, what is open costs, and what a transfer takes. */
import type { Taken } from '../throughput/machine';
import type { Opened } from './opened';
import type { Prices } from './prices';
import { afterWarmUp, exceeds, trendOf } from './trend';
import type { Limit, Trend } from './trend';
import type { Window } from './windows';

/** What is said of one series. */
export interface Verdict extends Trend {
  /** What it is, and of whom. */
  readonly of: string;
  readonly limit: number;
  readonly kept: boolean;
  /** Of memory: how many bytes more for each transfer. */
  readonly bytesEach?: number;
}

export interface ScaleReport {
  readonly taken: Taken;
  readonly windows: readonly Window[];
  /** Empty when there are too few windows. */
  readonly verdicts: readonly Verdict[];
  /** Transfers that had a workflow each. */
  readonly alone: Omit<Window, 'memory'>;
  readonly prices: Prices;
  readonly opened: Opened;
}

/** A leak of a hundred bytes a transfer is ten megabytes in a hundred thousand: a tenth of what a worker needs. */
const MEMORY: Limit = { growth: 0.1 };
/** Of time and throughput, on a machine that others use too. CPU time tells whether it was they. */
const LONGER: Limit = { growth: 0.15 };
const LESS: Limit = { growth: -0.15 };

export const reportOf = (measured: Omit<ScaleReport, 'verdicts'>): ScaleReport => ({
  ...measured,
  verdicts: verdictsOf(measured.windows),
});

function verdictsOf(windows: readonly Window[]): readonly Verdict[] {
  const judge = (of: string, limit: Limit, valueOf: (window: Window) => number): Verdict[] => {
    const trend = trendOf(windows.map(valueOf));
    return trend ? [{ of, ...trend, limit: limit.growth, kept: !exceeds(trend, limit) }] : [];
  };
  const collected = windows[0]?.memory.filter(({ heap }) => heap !== undefined).map(({ name }) => name) ?? [];
  const perTransfer = (verdict: Verdict): Verdict => ({
    ...verdict,
    bytesEach: verdict.change / transfersAfterWarmUp(windows),
  });
  return [
    ...judge('transfers a second', LESS, ({ throughput }) => throughput),
    ...judge('median latency', LONGER, ({ p50Ms }) => p50Ms),
    ...judge('CPU of clients', LONGER, ({ cpuMs }) => cpuMs.client),
    ...judge('CPU of coordinators', LONGER, ({ cpuMs }) => cpuMs.coordinator),
    ...judge('CPU of participants', LONGER, ({ cpuMs }) => cpuMs['north-bank'] + cpuMs['south-bank']),
    ...judge('CPU of PostgreSQL', LONGER, ({ cpuMs }) => cpuMs.postgres),
    ...judge('CPU of Temporal', LONGER, ({ cpuMs }) => cpuMs.temporal),
    ...collected.flatMap((name) =>
      judge(`heap of ${name}`, MEMORY, ({ memory }) => heapOf(memory, name)).map(perTransfer),
    ),
    ...collected.flatMap((name) =>
      judge(`memory of ${name}`, MEMORY, ({ memory }) => anonymousOf(memory, name)).map(perTransfer),
    ),
  ];
}

/** That the change of a series came with. */
function transfersAfterWarmUp(windows: readonly Window[]): number {
  const [first, ...counted] = afterWarmUp(windows);
  return first ? counted.reduce((sum, { transfers }) => sum + transfers, 0) : 0;
}

const heapOf = (memory: Window['memory'], name: string): number =>
  memory.find((one) => one.name === name)?.heap ?? Number.NaN;

export const anonymousOf = (memory: Window['memory'], name: string): number =>
  memory.find((one) => one.name === name)?.anonymous ?? Number.NaN;
