/** What is aimed at: ratios within a round, and counts. */
import { spreadOf } from '../statistics';
import { contestantOf, limitOf } from './contestants';
import type { Way } from './contestants';
import type { Figures } from './report';
import type { Callers, Cell } from './rounds';

/** An aim, and what became of it. */
export interface Aim {
  readonly way: Way;
  readonly callers: Callers;
  /** What it is to be, beside whom. */
  readonly goal: string;
  readonly measured: number;
  readonly met: boolean;
}

interface Wanted extends Pick<Aim, 'way' | 'callers' | 'goal'> {
  /** @returns undefined when one of those whom it compares did not take part */
  readonly measure: (of: Measures) => number | undefined;
  readonly atLeast?: number;
  readonly atMost?: number;
}

interface Measures {
  readonly figures: Figures;
  /** Its median latency, as a multiple of another one's in the same round. */
  readonly latencyTo: (other: Way) => number;
}

const GROUPED: readonly Way[] = ['saga-house-grouped', 'saga-grouped', '2pc-grouped', 'saga-house', 'saga-sets'];

const AIMS: readonly Wanted[] = [
  {
    way: 'saga',
    callers: 1,
    goal: `no slower than ${contestantOf('hand-written').title}`,
    measure: ({ latencyTo }) => latencyTo('hand-written'),
    atMost: 1,
  },
  ...GROUPED.flatMap((way): Wanted[] => [
    {
      way,
      callers: 64,
      goal: 'at least 1.5 times the better of DBOS and Restate',
      measure: ({ figures }) => figures.toPeers?.median,
      atLeast: 1.5,
    },
    {
      way,
      callers: 1_000,
      goal: 'at least 4 times the better of DBOS and Restate',
      measure: ({ figures }) => figures.toPeers?.median,
      atLeast: 4,
    },
    {
      way,
      callers: 1_000,
      goal: `at least 0.7 times ${contestantOf(limitOf(way)).title}`,
      measure: ({ figures }) => figures.toDirect?.median,
      atLeast: 0.7,
    },
    {
      way,
      callers: 64,
      goal: 'at most 0.1 billable actions a transfer',
      measure: ({ figures }) => figures.cost?.actions,
      atMost: 0.1,
    },
  ]),
];

/** Those of which everything was measured that they need. */
export function aimsOf(cells: readonly Cell[], all: readonly Figures[]): readonly Aim[] {
  return AIMS.flatMap(({ way, callers, goal, measure, atLeast = -Infinity, atMost = Infinity }) => {
    const figures = all.find((one) => one.way === way && one.callers === callers);
    const latencyTo = (other: Way): number => latencyRatio(cells, way, other, callers);
    const measured = figures && measure({ figures, latencyTo });
    if (measured === undefined || Number.isNaN(measured)) return [];
    return [{ way, callers, goal, measured, met: measured >= atLeast && measured <= atMost }];
  });
}

function latencyRatio(cells: readonly Cell[], way: Way, other: Way, callers: Callers): number {
  const of = (way: Way, round: number): number =>
    cells.find((cell) => cell.way === way && cell.callers === callers && cell.round === round)?.p50Ms ?? Number.NaN;
  const rounds = [...new Set(cells.map(({ round }) => round))];
  return spreadOf(rounds.map((round) => of(way, round) / of(other, round))).median;
}
