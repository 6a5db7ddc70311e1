/**
 * One round: both ways on the same servers at nearly the same time, so that whatever else the machine does falls on both.
 * For latency they take turns transfer by transfer; for throughput block by block, and each round begins with the other.
 */
import { cpuSeconds } from './cpu';
import type { CpuSeconds, Part } from './cpu';
import type { Stage } from './stage';
import type { Way } from './transfer';

export const CONCURRENCY = 16;

export interface Sample {
  /** Of transfers one at a time, in milliseconds. */
  readonly latencies: readonly number[];
  /** Transfers a second, 16 at a time. */
  readonly throughput: number;
  /** Milliseconds of CPU time for each transfer, 16 at a time; undefined where it cannot be read. */
  readonly cpu: Readonly<Record<Part, number>> | undefined;
}

export type Round = Readonly<Record<Way, Sample>>;

/** How many numbers of transfers a round takes, for each transfer of one block. */
export const BLOCKS = 3;

/** @param first the number of the round's first transfer; it uses `BLOCKS * transactions` numbers */
export async function measureRound(
  stage: Stage,
  order: readonly Way[],
  first: number,
  transactions: number,
): Promise<Round> {
  const latencies = await inTurns(stage, order, first, transactions);
  const blocks: Record<Way, Block[]> = { saga: [], 'hand-written': [] };
  // There and back again: a machine that becomes slower meanwhile becomes slower for both.
  for (const way of [...order, ...order.toReversed()]) {
    const begun = (1 + blocks[way].length) * transactions;
    blocks[way].push(await atOnce(stage, way, first + begun, transactions));
  }
  const sampleOf = (way: Way): Sample => ({ latencies: latencies[way], ...together(blocks[way]) });
  return { saga: sampleOf('saga'), 'hand-written': sampleOf('hand-written') };
}

async function inTurns(
  stage: Stage,
  order: readonly Way[],
  first: number,
  transactions: number,
): Promise<Record<Way, number[]>> {
  const latencies: Record<Way, number[]> = { saga: [], 'hand-written': [] };
  for (let n = first; n < first + transactions; n++) {
    // Who goes first changes each time: the second one finds the servers busy with what the first left behind.
    for (const way of n % 2 === 0 ? order : order.toReversed()) {
      const begun = performance.now();
      await stage.transfer(way, n);
      latencies[way].push(performance.now() - begun);
    }
  }
  return latencies;
}

interface Block {
  readonly transactions: number;
  readonly seconds: number;
  readonly cpu: CpuSeconds | undefined;
}

async function atOnce(stage: Stage, way: Way, first: number, transactions: number): Promise<Block> {
  const before = cpuSeconds();
  const begun = performance.now();
  let next = first;
  const runner = async (): Promise<void> => {
    while (next < first + transactions) await stage.transfer(way, next++);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, runner));
  const seconds = (performance.now() - begun) / 1000;
  const after = cpuSeconds();
  return { transactions, seconds, cpu: before && after && eachPart((part) => after[part] - before[part]) };
}

function together(blocks: readonly Block[]): Pick<Sample, 'throughput' | 'cpu'> {
  const sum = (of: (block: Block) => number): number => blocks.reduce((total, block) => total + of(block), 0);
  const transactions = sum((block) => block.transactions);
  return {
    throughput: transactions / sum(({ seconds }) => seconds),
    cpu: blocks.every(({ cpu }) => cpu)
      ? eachPart((part) => (sum(({ cpu }) => cpu?.[part] ?? 0) * 1000) / transactions)
      : undefined,
  };
}

const eachPart = (of: (part: Part) => number): Record<Part, number> => ({
  temporal: of('temporal'),
  postgres: of('postgres'),
  saga: of('saga'),
  'hand-written': of('hand-written'),
});
