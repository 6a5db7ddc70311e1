/** Where a relay reads the queue. */
import type { Pool } from 'pg';
import { RelayReplacedError } from '../errors';
import { claim, claimHeads, lostOf } from './queue';
import type { Claim, OwnedPartition, QueuedEvent } from './queue';
import { sortOut } from './sort-out';
import type { SortedOut } from './sort-out';

/** How far behind the newest row that is finished a relay still looks for rows that have come late, in positions. */
const WINDOW = 5_000n;
/** How often it looks at everything, at the most, in milliseconds; and which part of the time that may take. */
const SWEEP_MS = 1_000;
const SWEEP_SHARE = 20;

export interface Read extends Omit<SortedOut, 'missing'> {
  /** Whether to read again at once. */
  readonly more: boolean;
}

const NOTHING: Read = { ready: [], followers: [], more: false };

/**
 * Reads what is next. Mostly from shortly before where it was, because PostgreSQL cannot remove what is deleted at the head of the
 * queue while any old transaction is open, a prepared one of another database for example, and would step over all of it each
 * time. About each second, and whenever something seems to be missing, from the beginning. So where it was is a hint that saves
 * time and never a reason to leave a row out. A key that is far behind, as one that was parked, is followed from where it is, each
 * second time: the others have theirs.
 */
export class Reader {
  readonly #low = new Map<number, bigint>();
  /** Where rows were finished that nobody looks for any more, since they were read from there. */
  readonly #behind = new Map<number, bigint>();
  #followed = false;
  #share: number;
  #sweepAt = 0;

  constructor(
    private readonly pool: Pool,
    private readonly owned: readonly OwnedPartition[],
    private readonly batch: number,
  ) {
    this.#share = Math.ceil(batch / Math.max(1, owned.length));
  }

  /** Whether there may be more where rows were finished that are far behind. */
  get isBehind(): boolean {
    return this.#behind.size > 0;
  }

  /** The next event of each of these keys. */
  async heads(keys: readonly string[]): Promise<SortedOut> {
    return sortOut(keys.length === 0 ? [] : await claimHeads(this.pool, this.owned, keys));
  }

  /** The next events of all keys but some. */
  async next(without: readonly string[], most: number): Promise<Read> {
    const limit = Math.min(most, this.batch);
    if (limit === 0) return NOTHING;
    const began = performance.now();
    const sweeps = began >= this.#sweepAt;
    if (sweeps) {
      const lost = await lostOf(this.pool, this.owned);
      if (lost.length > 0) throw new RelayReplacedError(lost);
    }
    const rows = await claim(this.pool, {
      partitions: this.#from(sweeps),
      without,
      share: Math.min(limit, this.#share),
      limit,
    });
    if (sweeps) this.#sweepAt = performance.now() + Math.max(SWEEP_MS, (performance.now() - began) * SWEEP_SHARE);
    const { ready, followers, missing } = sortOut(rows);
    if (missing && !sweeps) this.#sweepAt = 0;
    const full = rows.length >= Math.min(limit, this.#share);
    this.#share = Math.ceil(this.batch / Math.max(1, new Set(rows.map(({ partition }) => partition)).size));
    return { ready, followers, more: full || (missing && !sweeps) };
  }

  finished(events: readonly QueuedEvent[]): void {
    for (const { partition, position } of events) {
      const low = this.#low.get(partition) ?? 0n;
      const at = BigInt(position);
      const behind = this.#behind.get(partition) ?? low;
      if (at < behind) this.#behind.set(partition, at);
      if (at - WINDOW > low) this.#low.set(partition, at - WINDOW);
    }
  }

  /** Each partition, and from where it is read now. */
  #from(sweeps: boolean): Claim['partitions'] {
    const follows = !sweeps && !this.#followed && this.isBehind;
    const from = this.owned.map((mine) => {
      const low = (follows ? this.#behind.get(mine.partition) : undefined) ?? this.#low.get(mine.partition) ?? 0n;
      return { ...mine, low: sweeps ? '0' : String(low) };
    });
    if (follows || sweeps) this.#behind.clear();
    this.#followed = follows;
    return from;
  }

  ownerOf({ partition }: QueuedEvent): OwnedPartition {
    const found = this.owned.find((mine) => mine.partition === partition);
    if (!found) throw new Error(`Nothing was parked: partition ${partition} was not asked for.`);
    return found;
  }
}
