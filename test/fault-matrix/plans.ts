/** What a case is made of: how the transfer goes when nothing goes wrong, and which statements are hit by which fault. */

export const PLANS = {
  commits: 'commit',
  /** North, or south, votes abort. */
  'north refuses': 'abort',
  'south refuses': 'abort',
  /** South caught the error of a statement: PREPARE TRANSACTION answers ROLLBACK. */
  'south swallows': 'abort',
  /** Both have voted commit, and the coordinator was cancelled. */
  withdrawn: 'abort',
  /** South was never asked. */
  unasked: 'abort',
  /** A vote that does not come at the first attempt is not waited for. */
  impatient: 'commit',
  /** Every answer is asked for again, by a retry and by a late delivery of the first attempt. */
  'repeated commit': 'commit',
  'repeated abort': 'abort',
  /** The coordinator is gone after the votes, or after the decision, and recovery ends it. */
  'deserted before the decision': 'abort',
  'deserted after the decision': 'commit',
  /** A person rolls south's branch back before it is told of the commit. */
  'rolled back by hand': 'commit',
  /** A person commits south's branch before it is told of the abort. */
  'committed by hand': 'abort',
} as const;
export type Plan = keyof typeof PLANS;
export const PLAN_NAMES = Object.keys(PLANS) as Plan[]; // Cast: its keys are the plans.

export const isByHand = (plan: Plan): boolean => plan.endsWith('by hand');
export const isRepeated = (plan: Plan): boolean => plan.startsWith('repeated');
export const isDeserted = (plan: Plan): boolean => plan.startsWith('deserted');

/** An activity, by who is asked what for which time: `south commit`, `south commit again`. */
export type Place = string;

/** A statement among those of a place. */
export interface Spot {
  readonly at: Place;
  /** Without what differs from run to run. */
  readonly statement: string;
  /** Counted from 1 among the same ones of the place. */
  readonly occurrence: number;
}

export const FAULTS = [
  'kill-before',
  'kill-after',
  /** Held up longer than its attempt is waited for: a retry runs beside it. */
  'late',
  /** Held up longer than a session may idle in its transaction. */
  'too late',
  'late answer',
  'cancel',
  /** The activity is delivered a second time while the statement waits. */
  'duplicate',
  /** Recovery asks for the decision while the statement waits. */
  'rival',
] as const;
type FaultName = (typeof FAULTS)[number];

export interface Blow extends Spot {
  readonly fault: FaultName;
}

export const tellBlow = ({ at, statement, occurrence, fault }: Blow): string =>
  `${at} | ${statement.slice(0, 90)}${occurrence > 1 ? ` (no. ${occurrence})` : ''} | ${fault}`;
