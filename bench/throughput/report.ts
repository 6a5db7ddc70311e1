/** The report of this part: what every contestant managed at each number of callers, and ratios of what was measured in the same round. */
import { spreadOf } from '../statistics';
import type { Spread } from '../statistics';
import { aimsOf } from './aims';
import type { Aim } from './aims';
import { contestantOf, limitOf, WAYS } from './contestants';
import type { Way } from './contestants';
import type { BlockCost } from './cost';
import type { Taken } from './machine';
import type { Callers, Cell } from './rounds';
import type { CpuParts } from './usage';

/** Of one contestant at one number of callers: medians of its blocks. */
export interface Figures {
  readonly way: Way;
  readonly callers: Callers;
  /** Of all its blocks. */
  readonly transfers: number;
  readonly refused: number;
  /** Transfers a second. */
  readonly throughput: Spread;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Milliseconds for each transfer. */
  readonly cpu?: CpuParts;
  readonly cost?: BlockCost;
  /** Its throughput, as a multiple of the limit's: for two-phase commits that of direct ones. */
  readonly toDirect?: Spread;
  /** Its throughput, as a multiple of that of the better one of DBOS and Restate. */
  readonly toPeers?: Spread;
}

export interface Entrant {
  readonly way: Way;
  readonly title: string;
  /** Of a peer. */
  readonly version?: string;
  /** Bytes of memory for each transaction that is open. */
  readonly openBytes?: number;
}

export interface ThroughputReport {
  readonly taken: Taken;
  readonly rounds: number;
  /** Transactions that were open at once. */
  readonly open: number;
  readonly entrants: readonly Entrant[];
  readonly missing: readonly { readonly title: string; readonly why: string }[];
  readonly figures: readonly Figures[];
  readonly aims: readonly Aim[];
}

export interface Measured extends Omit<ThroughputReport, 'figures' | 'aims'> {
  readonly cells: readonly Cell[];
}

const RIVALS: readonly Way[] = ['dbos', 'restate'];
const LIMITS: readonly Way[] = WAYS.map(limitOf);

export function reportOf({ cells, ...measured }: Measured): ThroughputReport {
  const figures = [...new Set(cells.map(({ callers }) => callers))]
    .sort((a, b) => a - b)
    .flatMap((callers) => measured.entrants.map(({ way }) => figuresOf(cells, way, callers)))
    .filter((figures) => figures !== undefined);
  return { ...measured, figures, aims: aimsOf(cells, figures) };
}

function figuresOf(cells: readonly Cell[], way: Way, callers: Callers): Figures | undefined {
  const own = cells.filter((cell) => cell.way === way && cell.callers === callers);
  const [first] = own;
  if (!first) return undefined;
  const median = (of: (cell: Cell) => number): number => spreadOf(own.map(of)).median;
  const toDirect = ratioTo(cells, own, [limitOf(way)]);
  const toPeers = ratioTo(cells, own, RIVALS);
  return {
    way,
    callers,
    transfers: own.reduce((sum, { transfers }) => sum + transfers, 0),
    refused: own.reduce((sum, { refused }) => sum + refused, 0),
    throughput: spreadOf(own.map(({ throughput }) => throughput)),
    p50Ms: median(({ p50Ms }) => p50Ms),
    p99Ms: median(({ p99Ms }) => p99Ms),
    ...(first.cpu && {
      cpu: {
        workers: median(({ cpu }) => cpu?.workers ?? Number.NaN),
        postgres: median(({ cpu }) => cpu?.postgres ?? Number.NaN),
        server: median(({ cpu }) => cpu?.server ?? Number.NaN),
      },
    }),
    ...(first.cost && {
      cost: {
        workflows: median(({ cost }) => cost?.workflows ?? Number.NaN),
        events: median(({ cost }) => cost?.events ?? Number.NaN),
        actions: median(({ cost }) => cost?.actions ?? Number.NaN),
      },
    }),
    ...(toDirect && !LIMITS.includes(way) && { toDirect }),
    ...(toPeers && !RIVALS.includes(way) && { toPeers }),
  };
}

/** To the fastest of these in the same round; undefined when none of them took part. */
function ratioTo(cells: readonly Cell[], own: readonly Cell[], ways: readonly Way[]): Spread | undefined {
  const ratios = own.flatMap(({ callers, round, throughput }) => {
    const others = cells.filter((c) => ways.includes(c.way) && c.callers === callers && c.round === round);
    return others.length === 0 ? [] : [throughput / Math.max(...others.map((other) => other.throughput))];
  });
  return ratios.length === 0 ? undefined : spreadOf(ratios);
}

export const cpuEach = ({ cpu }: Pick<Figures, 'cpu'>): number =>
  cpu ? cpu.workers + cpu.postgres + cpu.server : Number.NaN;

export const titleOf = (way: Way): string => contestantOf(way).title;
