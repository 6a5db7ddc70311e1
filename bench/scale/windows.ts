/** Many transfers in groups, in windows one after the other: what each of them shows, and how much memory there is after it. */
import type { RunOptions } from '../contest';
import { percentile } from '../statistics';
import type { Fleet, Made } from './fleet';
import { cpuSeconds, eachPart, settledMemory } from './usage';
import type { Cpu, Memory } from './usage';

/** Of both clients. */
export const CALLERS = 1_000;

/** What one window has shown. */
export interface Window {
  readonly transfers: number;
  readonly refused: number;
  /** Transfers a second. */
  readonly throughput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Milliseconds for each transfer. */
  readonly cpuMs: Cpu;
  /** After it, garbage collected. */
  readonly memory: readonly Memory[];
}

export interface Windows {
  readonly windows: readonly Window[];
  readonly made: readonly Made[];
}

/** @param began when the part began, by `Date.now()`; on a slow machine there are fewer windows */
export async function runWindows(
  fleet: Fleet,
  { rounds, size, lastBeginMs, say }: RunOptions,
  began: number,
): Promise<Windows> {
  const windows: Window[] = [];
  const made: Made[] = [];
  for (let i = 0; i < rounds; i++) {
    if (i > 0 && Date.now() - began > lastBeginMs) {
      say(`time is up after ${i} windows of ${rounds}`);
      break;
    }
    const count = Math.ceil(size.together / rounds);
    const measured = await measure(fleet, 'grouped', count, CALLERS);
    const window = { ...measured.figures, memory: await settledMemory(fleet) };
    made.push(measured.made);
    windows.push(window);
    say(
      `window ${i + 1} of ${rounds}: ${count} transfers, ${window.throughput.toFixed(0)}/s, p50 ${window.p50Ms.toFixed(0)} ms`,
    );
  }
  return { windows, made };
}

/** One block of transfers, and what it takes of the machine. */
export async function measure(
  fleet: Fleet,
  way: 'grouped' | 'alone',
  count: number,
  callers: number,
): Promise<{ readonly made: Made; readonly figures: Omit<Window, 'memory'> }> {
  const before = cpuSeconds(fleet);
  const made = await fleet.make({ way, count, callers: Math.min(callers, count) });
  const after = cpuSeconds(fleet);
  const { latenciesMs, seconds, refused } = made;
  const figures = {
    transfers: made.count,
    refused: refused.length,
    throughput: latenciesMs.length / seconds,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    cpuMs: eachPart((part) => ((after[part] - before[part]) * 1000) / latenciesMs.length),
  };
  return { made, figures };
}
