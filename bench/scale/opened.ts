/**
 * Many transactions open at once, each held by its durable timer between debit and credit, with somebody who waits for it: what that
 * takes of memory, that all of them end, and that the memory comes back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../statistics';
import type { Fleet, Made } from './fleet';
import { settledMemory } from './usage';
import type { Memory } from './usage';

export interface Opened {
  /** How many were open at once. */
  readonly open: number;
  /** How many there were to be. */
  readonly wanted: number;
  readonly openingSeconds: number;
  /** What the slowest of them took besides the time for which each is held. */
  readonly slowestSeconds: number;
  readonly before: readonly Memory[];
  readonly whileOpen: readonly Memory[];
  readonly after: readonly Memory[];
}

/** Beside the time that making them takes. */
const LEAST_MS = 3_000;
const POLL_MS = 500;
/** More are opened when all but so many are open: a server that is asked for everything at once finishes nothing in time. */
const BLOCK = 100;

/** @param perSecond how many transfers alone a second there were, when they were only made */
export async function holdOpen(
  fleet: Fleet,
  wanted: number,
  perSecond: number,
  say: (line: string) => void,
): Promise<{ readonly opened: Opened; readonly wrong: number }> {
  const before = await settledMemory(fleet);
  // To open them is about half of making them; all must be open before the first of them ends, and looked at.
  const holdMs = LEAST_MS + (wanted * 1000) / perSecond;
  say(`opening ${wanted}, held for ${(holdMs / 1000).toFixed(0)} s`);
  const begun = Date.now();
  const isOver = (): boolean => Date.now() - begun >= holdMs;
  /** Waits until so many are open, or the first of them end. @returns how many are */
  const untilOpen = async (count: number): Promise<number> => {
    for (;;) {
      const open = await fleet.debits();
      if (open >= count || isOver()) return open;
      await sleep(POLL_MS);
    }
  };
  const blocks: Promise<Made>[] = [];
  for (let asked = 0; asked < wanted && !isOver();) {
    const count = Math.min(BLOCK, wanted - asked);
    const block = fleet.make({ way: 'held', count, callers: count, holdMs });
    block.catch(() => undefined); // It is waited for below, and may fail before.
    blocks.push(block);
    asked += count;
    await untilOpen(asked - BLOCK);
  }
  const open = await untilOpen(wanted);
  const openingSeconds = (Date.now() - begun) / 1000;
  say(`${open} open after ${openingSeconds.toFixed(0)} s`);
  const whileOpen = await settledMemory(fleet);
  const made = await Promise.all(blocks);
  const slowestMs = Math.max(...made.map(({ latenciesMs }) => percentile(latenciesMs, 1)));
  const slowestSeconds = Math.max(0, (slowestMs - holdMs) / 1000);
  say(`all have ended, the slowest ${slowestSeconds.toFixed(0)} s after its time`);
  const wrong = await fleet.look(made);
  const after = await settledMemory(fleet);
  return { opened: { open, wanted, openingSeconds, slowestSeconds, before, whileOpen, after }, wrong };
}
