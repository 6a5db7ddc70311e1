/**
 * Rounds: at each number of callers every contestant has a block, one after the other, and the next time in another order. So whatever
 * else the machine does falls on all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunOptions } from '../contest';
import { percentile } from '../statistics';
import { askForBlock } from './block';
import type { BlockAnswer } from './block';
import type { Company } from './company';
import { contestantOf } from './contestants';
import type { Way } from './contestants';
import { costOfBlock } from './cost';
import type { BlockCost } from './cost';
import { cpuSecondsOf } from './usage';
import type { CpuParts } from './usage';

export const CALLERS = [1, 16, 64, 256, 1_000] as const;
export type Callers = (typeof CALLERS)[number];

/**
 * How long callers begin transfers in a block. Those that are under way then are waited for. It is longer where a caller comes to few
 * transfers otherwise: one that is alone, because they are few in all, and many, because each waits for seconds.
 */
const blockSecondsFor = (callers: Callers): number => (callers === 1 || callers >= 256 ? 10 : 4);
const WARM_UP_SECONDS = 2;
/** A contestant whose block takes longer has that one in the first round only. */
const LONG_BLOCK_SECONDS = 30;
/** For servers to be done with what the block before has left behind. */
const SETTLE_MS = 300;
const WARM_UP_CALLERS = 64;
/** Transfers that are asked for a second time: nothing may happen then. */
const REPEATED = 8;

/** What one block has shown. */
export interface Cell {
  readonly way: Way;
  readonly callers: Callers;
  readonly round: number;
  readonly transfers: number;
  readonly refused: number;
  /** Transfers that were made, a second. */
  readonly throughput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Milliseconds for each transfer that was made; undefined where it cannot be read. */
  readonly cpu: CpuParts | undefined;
  /** Of those that Temporal runs. */
  readonly cost: BlockCost | undefined;
}

export class Rounds {
  readonly cells: Cell[] = [];
  /** Entries that are wrong or missing. */
  violations = 0;
  readonly #next = new Map<Way, number>();

  constructor(
    private readonly company: Company,
    private readonly options: RunOptions,
  ) {}

  /** @param began when the part began, by `Date.now()` @returns how many rounds there were */
  async run(began: number): Promise<number> {
    const { rounds, lastBeginMs, say } = this.options;
    await this.#warmUp();
    for (let round = 0; round < rounds; round++) {
      if (round > 0 && Date.now() - began > lastBeginMs) {
        say(`time is up after ${round} rounds of ${rounds}`);
        return round;
      }
      for (const [i, callers] of this.levels.entries()) {
        say(`round ${round + 1} of ${rounds}: ${callers} callers`);
        for (const way of turned(this.company.ways, round + i))
          if (!this.#tookLong(way, callers)) await this.#measure(way, callers, round);
      }
    }
    return rounds;
  }

  /** Fewer where a block has not enough transfers for so many callers. */
  get levels(): readonly Callers[] {
    return CALLERS.filter((callers) => callers <= this.options.size.together);
  }

  /** Numbers that no transfer of the contestant has had. */
  take(way: Way, count: number): number {
    const first = this.#next.get(way) ?? 0;
    this.#next.set(way, first + count);
    return first;
  }

  /** Looks at the books after transfers from this number on. */
  async look(way: Way, first: number, { count, refused }: Pick<BlockAnswer, 'count' | 'refused'>): Promise<void> {
    const wrong = await this.company.ledger.check({ way, first, count, refused });
    if (wrong > 0) this.options.say(`${way}: ${wrong} entries are wrong or missing`);
    this.violations += wrong;
  }

  /** Until code is compiled, connections are open and pollers have settled. What was made is asked for again. */
  async #warmUp(): Promise<void> {
    const { say, size } = this.options;
    for (const way of this.company.ways) {
      say(`warming up ${way}`);
      const first = this.take(way, size.together);
      const callers = Math.min(WARM_UP_CALLERS, size.together);
      const ask = (count: number): Promise<BlockAnswer> =>
        askForBlock(this.company.callersUrl(way), { way, first, count, callers, seconds: WARM_UP_SECONDS });
      const answer = await ask(size.together);
      await this.look(way, first, answer);
      await ask(Math.min(REPEATED, answer.count));
      await this.look(way, first, { count: 0, refused: [] });
    }
  }

  async #measure(way: Way, callers: Callers, round: number): Promise<void> {
    await sleep(SETTLE_MS);
    const first = this.take(way, this.options.size.together);
    const since = new Date();
    const before = cpuSecondsOf(way);
    const answer = await askForBlock(this.company.callersUrl(way), {
      way,
      first,
      count: this.options.size.together,
      callers,
      seconds: blockSecondsFor(callers),
    });
    const after = cpuSecondsOf(way);
    const { count, seconds, latenciesMs, refused } = answer;
    await this.look(way, first, answer);
    const made = latenciesMs.length;
    const msEach = (of: (cpu: CpuParts) => number): number =>
      before && after ? ((of(after) - of(before)) * 1000) / made : Number.NaN;
    this.cells.push({
      way,
      callers,
      round,
      transfers: count,
      refused: refused.length,
      throughput: made / seconds,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      cpu: after && {
        workers: msEach(({ workers }) => workers),
        postgres: msEach(({ postgres }) => postgres),
        server: msEach(({ server }) => server),
      },
      cost: contestantOf(way).server === 'temporal' ? await costOfBlock(this.company.stage, since, count) : undefined,
    });
  }

  #tookLong(way: Way, callers: Callers): boolean {
    const cell = this.cells.find((cell) => cell.way === way && cell.callers === callers);
    return cell !== undefined && cell.transfers / cell.throughput > LONG_BLOCK_SECONDS;
  }
}

/** Who goes first, and who comes after whom, changes. */
function turned<T>(ways: readonly T[], n: number): readonly T[] {
  const at = n % ways.length;
  const order = [...ways.slice(at), ...ways.slice(0, at)];
  return n % 2 === 0 ? order : order.reverse();
}
