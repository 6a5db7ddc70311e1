/** Times as places on a line. A long silence is cut short, or what is of interest would have no room beside it. */
import type { Timeline } from './timeline';

/** A silence that was cut. */
interface Cut {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Scale {
  /** From 0 to 1. */
  readonly at: (ms: number) => number;
  readonly cuts: readonly Cut[];
}

/** How much longer than usual a silence is shown at most. */
const LONGEST_TO_USUAL = 6;

export function scaleOf(timeline: Timeline): Scale {
  const times = momentsOf(timeline);
  const gaps = times.slice(1).map((ms, i) => ms - (times[i] ?? ms));
  const sorted = [...gaps].sort((a, b) => a - b);
  // Without the longest ones, which are those to be cut.
  const usual = sorted.slice(0, Math.max(1, Math.ceil(sorted.length * 0.8)));
  const limit = LONGEST_TO_USUAL * (usual.reduce((sum, gap) => sum + gap, 0) / usual.length || 1);
  const places = [0];
  for (const gap of gaps) places.push((places.at(-1) ?? 0) + Math.min(gap, limit));
  const whole = places.at(-1) || 1;
  return {
    at: (ms) => {
      const i = times.findLastIndex((time) => time <= ms);
      if (i < 0) return 0;
      const [from = 0, to = from] = [places[i], places[i + 1]];
      const gap = gaps[i] ?? 0;
      const share = gap === 0 ? 0 : (ms - (times[i] ?? ms)) / gap;
      return (from + (to - from) * Math.min(1, share)) / whole;
    },
    cuts: gaps.flatMap((gap, i) => (gap > limit * 1.5 ? [{ fromMs: times[i] ?? 0, toMs: times[i + 1] ?? 0 }] : [])),
  };
}

function momentsOf({ fromMs, toMs, lanes }: Timeline): number[] {
  const inside = lanes.flatMap(({ spans, marks }) => [
    ...spans.flatMap((span) => [span.fromMs, span.startedMs ?? span.fromMs, span.toMs ?? span.fromMs]),
    ...marks.map(({ atMs }) => atMs),
  ]);
  return [...new Set([fromMs, ...inside, toMs])].sort((a, b) => a - b);
}

/** Such as `12 ms`, `1.234 s`, `3 min 05 s`. */
export function duration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1_000) return `${whole} ms`;
  if (whole < 60_000) return `${(whole / 1_000).toFixed(3)} s`;
  const [days, hours, minutes, seconds] = [
    Math.floor(whole / 86_400_000),
    Math.floor(whole / 3_600_000) % 24,
    Math.floor(whole / 60_000) % 60,
    Math.floor(whole / 1_000) % 60,
  ];
  const two = (n: number): string => String(n).padStart(2, '0');
  if (days > 0) return `${days} d ${two(hours)} h`;
  return hours > 0 ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(seconds)} s`;
}

/** Such as `2026-11-23 06:27:43.674Z`. */
export const clock = (ms: number): string => new Date(ms).toISOString().replace('T', ' ');
