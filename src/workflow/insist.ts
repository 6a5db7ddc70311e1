/**
 * Does what must be done in the end, a compensation or a step after the pivot, however long it takes. Once it has failed for
 * a while it is held: a person is told and may rule, and meanwhile whatever a retry could cure goes on being retried.
 */
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { CancellationScope, sleep } from '@temporalio/workflow';
import type { Hold, Ruling } from './desk';
import { isFinal, messageOf } from './failures';

export type Insisted<T> = { readonly kind: 'succeeded'; readonly value: T } | Exclude<Ruling, { kind: 'retry' }>;

export interface Insistence<T> {
  /** One round of tries, given up after `limit`. Runs in a scope that is cancelled when a person rules meanwhile. */
  readonly attempt: (limit: Duration) => Promise<T>;
  /** Why an answer is none. */
  readonly lacking?: ((value: T) => Error | undefined) | undefined;
  /** How long to try before a person is told. */
  readonly holdAfter: Duration;
  /** Tells the person. Called again whenever the cause changes. `stuck`: only a person can help. */
  readonly onHeld: (cause: string, stuck: boolean) => void;
  /** Opens the desk for rulings. */
  readonly hold: () => Hold;
}

type Round<T> =
  { readonly kind: 'succeeded'; readonly value: T } | { readonly kind: 'failed'; readonly error: unknown };

/** A held round is longer than the one before, up to this: a month of retries still fits into one history. */
const LONGEST_ROUND_MS = 60 * 60 * 1000;

export async function insist<T>({ attempt, lacking, holdAfter, onHeld, hold }: Insistence<T>): Promise<Insisted<T>> {
  let round = await settled(attempt(holdAfter), lacking);
  if (round.kind === 'succeeded') return round;
  const held = hold();
  if (held.left) return held.ruled() as Promise<never>; // Cast: nothing goes on where it has left.
  try {
    for (let limitMs = msToNumber(holdAfter); ; limitMs = Math.min(limitMs * 2, LONGEST_ROUND_MS)) {
      held.stick(isFinal(round.error));
      onHeld(messageOf(round.error), isFinal(round.error));
      if (isFinal(round.error)) await held.ruled();
      else round = await untilRuled(held, () => paced(limitMs, () => attempt(limitMs)), lacking);
      if (round.kind === 'succeeded') return round;
      const ruling = held.take();
      if (ruling && ruling.kind !== 'retry') return ruling;
      if (!ruling) continue;
      limitMs = msToNumber(holdAfter);
      round = await untilRuled(held, () => attempt(holdAfter), lacking);
      if (round.kind === 'succeeded') return round;
    }
  } finally {
    held.close();
  }
}

/** A round that fails at once, such as one whose participant asks for a longer pause than it has, must not be followed at once by the next. */
async function paced<T>(limitMs: number, attempt: () => Promise<T>): Promise<T> {
  const end = Date.now() + limitMs;
  try {
    return await attempt();
  } catch (error) {
    const restMs = end - Date.now();
    // A round that was used up was paced by its own pauses, and a timer more would only lengthen the history.
    if (restMs > limitMs / 2 && !isFinal(error)) await sleep(restMs, { summary: 'pause before it is tried again' });
    throw error;
  }
}

/** Runs a round and stops it when a person rules meanwhile. What it brought counts even so: it may have succeeded. */
async function untilRuled<T>(
  held: Hold,
  attempt: () => Promise<T>,
  lacking: Insistence<T>['lacking'],
): Promise<Round<T>> {
  const trying = new CancellationScope();
  const listening = new CancellationScope();
  const round = settled(trying.run(attempt), lacking);
  const stop = listening.run(() => held.ruled()).then(() => trying.cancel(), ignoreCancellation);
  const result = await round;
  listening.cancel();
  await stop;
  return result;
}

const ignoreCancellation = (): void => undefined;

const settled = <T>(promise: Promise<T>, lacking: Insistence<T>['lacking']): Promise<Round<T>> =>
  promise.then(
    (value) => {
      const error = lacking?.(value);
      return error ? { kind: 'failed', error } : { kind: 'succeeded', value };
    },
    (error: unknown) => ({ kind: 'failed', error }),
  );
