/**
 * How much memory a transaction takes while it is open: many are held open at once in the middle, between debit and credit, and what the
 * processes of the contestant have more than before is divided by their number. They are told to collect their garbage both times; of the
 * servers of Temporal and Restate nobody can ask that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { askForBlock } from './block';
import type { Company } from './company';
import type { Way } from './contestants';
import type { Rounds } from './rounds';
import { collectGarbage, memoryBytesOf } from './usage';

/** Beside the time that opening them all takes. */
const HELD_MS = 2_000;
const SETTLE_MS = 500;
/** What collecting garbage may take. */
const COLLECTED_MS = 500;
const POLL_MS = 100;

/**
 * @param way one that can be held
 * @param open how many are open at once
 * @returns bytes for each; undefined where it cannot be read, or not all were open at once
 */
export async function openBytes(company: Company, rounds: Rounds, way: Way, open: number): Promise<number | undefined> {
  const before = await settledBytes(way);
  if (before === undefined) return undefined;
  const first = rounds.take(way, open);
  const holdMs = HELD_MS + 2 * openingMs(rounds, way, open);
  const block = askForBlock(company.callersUrl(way), { way, first, count: open, callers: open, holdMs });
  let bytes: number | undefined;
  const looking = (async () => {
    for (const deadline = Date.now() + holdMs; (await company.ledger.debits()) < open; await sleep(POLL_MS))
      if (Date.now() > deadline) return;
    bytes = ((await settledBytes(way)) ?? Number.NaN) - before;
  })();
  const [answer] = await Promise.all([block, looking]);
  await rounds.look(way, first, answer);
  return bytes === undefined ? undefined : bytes / open;
}

async function settledBytes(way: Way): Promise<number | undefined> {
  await sleep(SETTLE_MS);
  collectGarbage(way);
  await sleep(COLLECTED_MS);
  return memoryBytesOf(way);
}

/** How long opening so many took when they were only made: more than opening them takes. */
function openingMs({ cells }: Rounds, way: Way, open: number): number {
  const fastest = Math.max(...cells.filter((cell) => cell.way === way).map(({ throughput }) => throughput));
  return (open / fastest) * 1000;
}
