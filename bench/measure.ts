/**
 * One round: every way on the same servers at nearly the same time, so that whatever else the machine does falls on all.
 * For latency they take turns transfer by transfer; for throughput block by block, and each round begins with another.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { inClosedLoop } from './closed-loop';
import { cpuSeconds, eachPart } from './cpu';
import type { Cpu } from './cpu';

export const CONCURRENCY = 16;

/** Ways of doing the same, against each other. */
export interface Contest<Way extends string> {
  readonly ways: readonly Way[];
  /**
   * Makes one transfer and waits for it; the same number is never used twice by one way. Calls `decided` when the caller
   * knows how it will end, where the caller hears that before the end.
   */
  readonly transfer: (way: Way, n: number, decided: () => void) => Promise<void>;
  /** Ways with one block for throughput in a round, where the others have two. */
  readonly brief?: readonly Way[];
  /** Pause before each turn, for the servers to be done with what the turn before left behind. */
  readonly settleMs: number;
}

/** How many transfers of each way a round has. */
export interface Size {
  /** One at a time. */
  readonly alone: number;
  /** In each block, 16 at a time. */
  readonly together: number;
}

/** How many numbers a round takes. */
export const numbersOf = ({ alone, together }: Size): number => alone + 2 * together;

/** Milliseconds from the start of each transfer. */
export interface Latencies {
  /** Until its caller knew the decision; empty where the way tells none before the end. */
  readonly decided: readonly number[];
  readonly done: readonly number[];
}

export interface Sample {
  /** Of transfers one at a time. */
  readonly alone: Latencies;
  /** Of transfers 16 at a time. */
  readonly together: Latencies;
  /** Transfers a second, 16 at a time. */
  readonly throughput: number;
  /** Milliseconds of CPU time for each transfer, 16 at a time; undefined where it cannot be read. */
  readonly cpu: Cpu | undefined;
}

export type Round<Way extends string> = Readonly<Record<Way, Sample>>;

/** @param first the number of the round's first transfer; those one at a time come before those 16 at a time */
export async function measureRound<Way extends string>(
  contest: Contest<Way>,
  order: readonly Way[],
  first: number,
  size: Size,
): Promise<Round<Way>> {
  const alone = await inTurns(contest, order, first, size.alone);
  const blocks = new Map<Way, Block[]>(order.map((way) => [way, []]));
  // There and back again: a machine that becomes slower meanwhile becomes slower for all.
  const back = order.toReversed().filter((way) => !contest.brief?.includes(way));
  for (const way of [...order, ...back]) {
    const own = blocks.get(way) ?? [];
    own.push(await atOnce(contest, way, first + size.alone + own.length * size.together, size.together));
  }
  return each(order, (way) => ({ alone: alone[way], ...joined(blocks.get(way) ?? []) }));
}

async function inTurns<Way extends string>(
  contest: Contest<Way>,
  order: readonly Way[],
  first: number,
  transactions: number,
): Promise<Record<Way, Latencies>> {
  const clocks = each(order, () => new Clock());
  for (let n = first; n < first + transactions; n++) {
    for (const way of turnsOf(order, n)) {
      await sleep(contest.settleMs);
      await clocks[way].time((decided) => contest.transfer(way, n, decided));
    }
  }
  return clocks;
}

/** Who goes first, and who comes after whom, changes: each finds the servers busy with what the one before left behind. */
function turnsOf<Way>(order: readonly Way[], n: number): readonly Way[] {
  const at = n % order.length;
  const turned = [...order.slice(at), ...order.slice(0, at)];
  return Math.floor(n / order.length) % 2 === 0 ? turned : turned.reverse();
}

class Clock implements Latencies {
  readonly decided: number[] = [];
  readonly done: number[] = [];

  async time(run: (decided: () => void) => Promise<void>): Promise<void> {
    const begun = performance.now();
    await run(() => this.decided.push(performance.now() - begun));
    this.done.push(performance.now() - begun);
  }
}

interface Block {
  readonly latencies: Latencies;
  readonly transactions: number;
  readonly seconds: number;
  readonly cpu: Cpu | undefined;
}

async function atOnce<Way extends string>(
  contest: Contest<Way>,
  way: Way,
  first: number,
  transactions: number,
): Promise<Block> {
  await sleep(contest.settleMs);
  const before = cpuSeconds();
  const begun = performance.now();
  const clock = new Clock();
  await inClosedLoop(CONCURRENCY, { first, count: transactions }, (n) =>
    clock.time((decided) => contest.transfer(way, n, decided)),
  );
  const seconds = (performance.now() - begun) / 1000;
  const after = cpuSeconds();
  return {
    latencies: clock,
    transactions,
    seconds,
    cpu: before && after && eachPart((part) => after[part] - before[part]),
  };
}

function joined(blocks: readonly Block[]): Omit<Sample, 'alone'> {
  const sum = (of: (block: Block) => number): number => blocks.reduce((total, block) => total + of(block), 0);
  const transactions = sum((block) => block.transactions);
  return {
    together: {
      decided: blocks.flatMap(({ latencies }) => latencies.decided),
      done: blocks.flatMap(({ latencies }) => latencies.done),
    },
    throughput: transactions / sum(({ seconds }) => seconds),
    cpu: blocks.every(({ cpu }) => cpu)
      ? eachPart((part) => (sum(({ cpu }) => cpu?.[part] ?? 0) * 1000) / transactions)
      : undefined,
  };
}

/** The same for each way. Cast: the entries are those of the ways. */
export const each = <Way extends string, T>(ways: readonly Way[], of: (way: Way) => T): Record<Way, T> =>
  Object.fromEntries(ways.map((way) => [way, of(way)])) as Record<Way, T>;
