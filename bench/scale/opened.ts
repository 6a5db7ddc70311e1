/**
 * Many transactions open at once, each held by its durable timer between debit and credit, with somebody who waits for it: what that
 * takes of memory, that all of them end, and that the memory comes back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../statistics';
import type { Fleet } from './fleet';
import { settledMemory } from './usage';
import type { Memory } from './usage';

export interface Opened {
  /** How many were open at once. */
  readonly open: number;
  /** How many there were to be. */
  readonly wanted: number;
  readonly openingSeconds: number;
  /** From the moment that their timers fire until the last of them has ended. */
  readonly closingSeconds: number;
  readonly before: readonly Memory[];
  readonly whileOpen: readonly Memory[];
  readonly after: readonly Memory[];
}

/** Beside the time that opening them takes. */
const LEAST_MS = 3_000;
/** Of the time that it takes to make them: opening is about half of it. */
const OPENING = 0.7;
const POLL_MS = 500;

/** @param perSecond how many transfers alone a second there were, when they were only made */
export async function holdOpen(
  fleet: Fleet,
  wanted: number,
  perSecond: number,
  say: (line: string) => void,
): Promise<{ readonly opened: Opened; readonly wrong: number }> {
  const before = await settledMemory(fleet);
  const holdMs = LEAST_MS + (OPENING * wanted * 1000) / perSecond;
  say(`opening ${wanted}, held for ${(holdMs / 1000).toFixed(0)} s`);
  const begun = Date.now();
  const closed = fleet.make({ way: 'held', count: wanted, callers: wanted, holdMs });
  const looking = (async () => {
    let open = await fleet.debits();
    for (; open < wanted && Date.now() - begun < holdMs; open = await fleet.debits()) await sleep(POLL_MS);
    const openingSeconds = (Date.now() - begun) / 1000;
    say(`${open} open after ${openingSeconds.toFixed(0)} s`);
    return { open, openingSeconds, whileOpen: await settledMemory(fleet) };
  })();
  const [made, seen] = await Promise.all([closed, looking]);
  const closingSeconds = Math.max(0, (percentile(made.latenciesMs, 1) - holdMs) / 1000);
  say(`all closed ${closingSeconds.toFixed(0)} s after their time`);
  const wrong = await fleet.look([made]);
  const after = await settledMemory(fleet);
  return { opened: { ...seen, wanted, closingSeconds, before, after }, wrong };
}
