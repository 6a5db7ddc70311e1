/**
 * How much is tried where there is no end of what could be tried: a sample with `npm test`, and with `npm run test:campaign`, for
 * which there is an evening, all of it.
 */
import { generator, seedOf } from './property/seed';

export const CAMPAIGN = process.env['TXN_CAMPAIGN'] === '1';

/** @example const SECONDS = depth({ sample: 12, campaign: 300 }); */
export const depth = ({ sample, campaign }: { readonly sample: number; readonly campaign: number }): number =>
  CAMPAIGN ? campaign : sample;

/** What takes long, and comes by turns: one of each kind in a run. */
export const TURNS = {
  nemesis: ['sagas', 'two-phase commit', 'groups'],
  comparison: ['throughput', 'scale', 'outbox', 'classic three-phase commit'],
  // One protocol in groups while the other one is alone.
  'faults of sagas': ['in groups', 'alone'],
  'faults of two-phase commit': ['alone', 'in groups'],
  'kills of a house': ['alone', 'in groups'],
  'random sagas': ['to their end', 'cancelled'],
  'limits of a group': ['how large', 'how long'],
  'what users see': ['package', 'Web UI', 'scripts', 'questions of scripts'],
  'mechanisms of the models': ['two-phase commit', 'three-phase commit'],
} as const;

export type Kind = keyof typeof TURNS;

/**
 * Whether it is the turn of one of several. All have it in a campaign, and where files are named on the command line. TXN_TURN, which is
 * printed when a run begins, repeats the choice.
 *
 * @example it.skipIf(!isTurnOf('nemesis', 'groups'))('ends every one of them', …)
 */
export function isTurnOf<K extends Kind>(kind: K, one: (typeof TURNS)[K][number]): boolean {
  const turn = process.env['TXN_TURN'];
  if (CAMPAIGN || turn === undefined || turn === 'all') return true;
  const all: readonly string[] = TURNS[kind];
  return all.indexOf(one) === Number(turn) % all.length;
}

/**
 * Some of many, others in each run, and all of them in a campaign: one of each of as many stretches of equal length, so that what is
 * ordered, such as the events of a history, is tried from its beginning to its end. TXN_SEED repeats the choice.
 *
 * @param what is printed with the seed
 */
export function some<T>(all: readonly T[], sample: number, what: string): readonly T[] {
  if (CAMPAIGN || sample >= all.length) return all;
  const random = generator(seedOf(what));
  const begin = (stretch: number): number => Math.floor((stretch * all.length) / sample);
  // Cast: no stretch is empty.
  return Array.from(
    { length: sample },
    (_, i) => all[begin(i) + Math.floor(random() * (begin(i + 1) - begin(i)))] as T,
  );
}
