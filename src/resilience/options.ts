/** What makes a circuit open and for how long, with every default in one place. */
import { show } from '../protocol';

/** When a circuit opens. */
export type Trip =
  /** After this many failures in a row. */
  | { readonly consecutive: number }
  /**
   * When more than `threshold` of the calls (0 to 1) in the last `windowMs` milliseconds failed, and there were at least
   * `minimumPerSecond` calls a second (1 when not given).
   */
  | { readonly threshold: number; readonly windowMs: number; readonly minimumPerSecond?: number };

export interface CircuitOptions {
  /** @default { consecutive: 5 } */
  readonly trip?: Trip;
  /** How long it stays open before one call tries it, in milliseconds; doubled each time that call fails. @default 5000 */
  readonly halfOpenAfterMs?: number;
  /** The longest of these pauses, in milliseconds. @default 60000 */
  readonly longestOpenMs?: number;
  /** By how much a pause is lengthened at random, as a part of it: 0.2 adds up to 20 %. Keeps many workers apart. @default 0.2 */
  readonly jitter?: number;
  /**
   * Whether an error speaks against the callee. A business "no" never does, whatever this says of other errors.
   * @default every other error does
   */
  readonly isFailure?: (error: unknown) => boolean;
}

export interface CircuitSettings extends Required<CircuitOptions> {
  /** Between 0 and 1. */
  readonly random: () => number;
}

/** A circuit is described wrongly. Thrown when it is made. */
export class InvalidCircuit extends Error {
  override readonly name = 'InvalidCircuit';

  constructor(circuit: string, field: string, value: unknown, allowed: string) {
    super(`Nothing was started: ${field} of the circuit ${show(circuit)} is ${show(value)}. Use ${allowed}.`);
  }
}

const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/;
const LONGEST_MS = 24 * 60 * 60 * 1000;

/** @throws {InvalidCircuit} */
export function circuitSettings(name: string, options: CircuitOptions, random: () => number): CircuitSettings {
  const settings: CircuitSettings = {
    trip: options.trip ?? { consecutive: 5 },
    halfOpenAfterMs: options.halfOpenAfterMs ?? 5_000,
    longestOpenMs: options.longestOpenMs ?? Math.max(60_000, options.halfOpenAfterMs ?? 0),
    jitter: options.jitter ?? 0.2,
    isFailure: options.isFailure ?? (() => true),
    random,
  };
  const check = (field: string, value: unknown, holds: boolean, allowed: string): void => {
    if (!holds) throw new InvalidCircuit(name, field, value, allowed);
  };
  check(
    'name',
    name,
    NAME.test(name),
    'up to 63 lower-case letters, digits, "." and "-", of which the first is a letter or digit',
  );
  const { trip, halfOpenAfterMs, longestOpenMs, jitter } = settings;
  if ('consecutive' in trip)
    check('trip.consecutive', trip.consecutive, isWhole(trip.consecutive, 1, 1_000), 'a whole number from 1 to 1000');
  else {
    const { threshold, windowMs, minimumPerSecond = 0 } = trip;
    check('trip.threshold', threshold, threshold > 0 && threshold < 1, 'a number between 0 and 1');
    check(
      'trip.windowMs',
      windowMs,
      isWhole(windowMs, 1_000, LONGEST_MS),
      `whole milliseconds from 1000 to ${LONGEST_MS}`,
    );
    check(
      'trip.minimumPerSecond',
      minimumPerSecond,
      minimumPerSecond >= 0 && Number.isFinite(minimumPerSecond),
      'a number from 0 up',
    );
  }
  const pause = `whole milliseconds from 1 to ${LONGEST_MS}`;
  check('halfOpenAfterMs', halfOpenAfterMs, isWhole(halfOpenAfterMs, 1, LONGEST_MS), pause);
  check(
    'longestOpenMs',
    longestOpenMs,
    isWhole(longestOpenMs, halfOpenAfterMs, LONGEST_MS),
    `${pause}, not less than halfOpenAfterMs`,
  );
  check('jitter', jitter, jitter >= 0 && jitter <= 1, 'a number from 0 to 1');
  return settings;
}

const isWhole = (value: number, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && value >= least && value <= most;
