/** A part of the benchmark from its stage to its report. */
import { CONCURRENCY, measureRound, numbersOf } from './measure';
import type { Contest, Round, Size } from './measure';

export interface RunOptions {
  readonly rounds: number;
  readonly size: Size;
  /** On a machine that others use too, no round begins later than this after the part began: an early end says less, but says it. */
  readonly lastBeginMs: number;
  readonly say: (line: string) => void;
}

/** What a part brought. */
export interface Outcome {
  /** The figures, for machines. */
  readonly report: object;
  /** The figures, for people. */
  readonly text: string;
  readonly violations: number;
  /** Puts the figures into the package, where the part has a place for them. @returns the paths of what was written */
  readonly write?: () => readonly string[];
}

export interface Part {
  /** Runs on the open stage. */
  readonly run: (options: RunOptions) => Promise<Outcome>;
  readonly stop: () => Promise<void>;
}

/** A round, with the number of its first transfer. */
export interface NumberedRound<Way extends string> {
  readonly first: number;
  readonly samples: Round<Way>;
}

/** @param began when the part began, by `Date.now()` */
export async function measureRounds<Way extends string>(
  contest: Contest<Way>,
  { rounds, size, lastBeginMs, say }: RunOptions,
  began: number,
): Promise<readonly NumberedRound<Way>[]> {
  const { ways } = contest;
  // Until code is compiled, connections are open and pollers have settled.
  say('warming up');
  const warmUp: Size = { alone: Math.ceil(size.alone / 2), together: Math.min(size.together, CONCURRENCY) };
  await measureRound(contest, ways, 0, warmUp);
  const measured: NumberedRound<Way>[] = [];
  for (let i = 0; i < rounds; i++) {
    if (i > 0 && Date.now() - began > lastBeginMs) {
      say(`time is up after ${i} rounds of ${rounds}`);
      break;
    }
    say(`round ${i + 1} of ${rounds}`);
    const order = i % 2 === 0 ? ways : ways.toReversed();
    const first = numbersOf(warmUp) + i * numbersOf(size);
    measured.push({ first, samples: await measureRound(contest, order, first, size) });
  }
  return measured;
}
