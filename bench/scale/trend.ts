/**
 * Whether a series goes up, or down, from window to window, or only has noise. Windows at the beginning, in which code is compiled and
 * caches are filled, do not count.
 *
 * What it comes to over the run is the median of the slopes between any two windows (Theil and Sen), so that a window in which somebody
 * else kept the machine busy changes next to nothing. It counts as a trend when it is larger than a limit **and** the order of the values
 * is not chance (Mann and Kendall's test, one in a hundred): a noisy series has a slope too, and a steady one may have a tiny one that is
 * sure.
 */
import { spreadOf } from '../statistics';

export interface Trend {
  /** What it comes to from the first window that counts to the last one, as a share of what it begins with. */
  readonly growth: number;
  /** The same in the unit of the series. */
  readonly change: number;
  /** How far the order of the values is from chance, in standard deviations; positive when they grow. */
  readonly z: number;
}

/** What may become more in a run, and by how much: the warning of a leak, or of a slowdown. */
export interface Limit {
  /** As a share: up to so much. Negative for what must not become less. */
  readonly growth: number;
}

/** The share of the windows that is warm-up. */
const WARM_UP = 0.2;
/** Fewer windows say nothing: the order of five is chance once in a hundred and twenty. */
const FEWEST = 6;
/** One-sided, one in a hundred. */
const SURE = 2.33;

/** Those that count. */
export const afterWarmUp = <T>(windows: readonly T[]): readonly T[] =>
  windows.slice(Math.ceil(windows.length * WARM_UP));

/** @returns undefined when there are too few windows */
export function trendOf(values: readonly number[]): Trend | undefined {
  const counted = afterWarmUp(values);
  const n = counted.length;
  if (n < FEWEST) return undefined;
  const pairs = counted.flatMap((value, i) =>
    counted.slice(i + 1).map((later, j) => ({ slope: (later - value) / (j + 1), sign: Math.sign(later - value) })),
  );
  const slope = spreadOf(pairs.map((pair) => pair.slope)).median;
  const begin = spreadOf(counted.map((value, i) => value - slope * i)).median;
  const change = slope * (n - 1);
  return { growth: change / begin, change, z: kendall(pairs, n) };
}

/** With the correction for continuity. */
function kendall(pairs: readonly { readonly sign: number }[], n: number): number {
  const s = pairs.reduce((sum, { sign }) => sum + sign, 0);
  if (s === 0) return 0;
  return (s - Math.sign(s)) / Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
}

export function exceeds({ growth, z }: Trend, limit: Limit): boolean {
  const way = Math.sign(limit.growth);
  return growth * way > Math.abs(limit.growth) && z * way > SURE;
}
