/** One relay at work on its partitions: reads, publishes, marks, and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { crashpoint } from '../../protocol';
import { RelayReplacedError } from '../errors';
import { Flight } from './flight';
import type { Landed } from './flight';
import type { RelaySettings } from './options';
import { Patience } from './patience';
import { claim, lostOf, markPublished, own, park, parkFollowers } from './queue';
import type { OwnedPartition, QueuedEvent } from './queue';
import { sortOut } from './sort-out';
import type { Wakes } from './wake';

export interface RelayRun {
  readonly pool: Pool;
  /** The partitions to take over. */
  readonly partitions: readonly number[];
  /** Shown in `txn.outbox_partition`. */
  readonly owner: string;
  readonly settings: RelaySettings;
  readonly wakes: Wakes;
  /** Ends it: what is under way is waited for, and marked. */
  readonly stop: AbortSignal;
  readonly observe?: (round: RelayRound) => void;
}

/** What one round has done. */
export interface RelayRound {
  readonly published: readonly QueuedEvent[];
  readonly failed: readonly { readonly queued: QueuedEvent; readonly error: unknown }[];
  readonly parked: readonly { readonly queued: QueuedEvent; readonly error: unknown }[];
}

/**
 * Relays until it is stopped.
 *
 * @throws {RelayReplacedError} when another relay took one of the partitions over
 * @throws what the database answers: nothing is lost, and the next relay publishes what is not marked
 */
export async function relayPartitions(run: RelayRun): Promise<void> {
  const { pool, settings, wakes, stop } = run;
  const patience = new Patience(settings);
  const reader = new Reader(pool, await own(pool, run.partitions, run.owner), settings.batch);
  const flight = new Flight(settings);
  const stopping = (): void => flight.end();
  stop.addEventListener('abort', stopping);
  try {
    while (!stop.aborted) {
      const began = Date.now();
      // What is committed after the look at the queue, and told before the wait, is not waited for.
      const { heard } = wakes;
      const { keys } = flight;
      const { ready, followers, more } = await read(keys, began);
      await parkFollowers(pool, followers);
      await crashpoint('outbox.claimed-before-publish');
      flight.begin(ready);
      const { published } = await settle(ROUND_MS);
      if (flight.hasLanded) continue;
      if (patience.outage) await (flight.isUnderWay ? flight.next() : wakesNot(wakes, patience.pauseMs, stop));
      // Of a key that was under way when the queue was read, the next events were not looked for.
      else if (!more && !published.some(({ event }) => keys.includes(event.key))) {
        const waitMs = Math.min(settings.pollMs, patience.dueIn(began, Date.now()));
        await Promise.race([wakes.wait(waitMs, stop, heard), ...(flight.isUnderWay ? [flight.next()] : [])]);
        const restMs = published.length < BUSY ? 0 : BREATH_MS - (Date.now() - began);
        if (restMs > 0) await sleep(restMs);
      }
    }
  } finally {
    stop.removeEventListener('abort', stopping);
    flight.end();
    await settle(Infinity);
  }

  async function read(keys: readonly string[], now: number): Promise<Read> {
    // An outage is over when one event is published, and one is under way.
    if (flight.isFull || (patience.outage && flight.isUnderWay)) return NOTHING;
    const without = patience.waiting(now);
    return patience.outage ? reader.probe(patience.suspects(now), without) : reader.next([...without, ...keys], false);
  }

  async function settle(withinMs: number): Promise<Landed> {
    const landed = await flight.landed(withinMs);
    const { published, failed } = landed;
    await crashpoint('outbox.published-before-mark');
    await markPublished(pool, published);
    reader.finished(published);
    patience.published(published);
    const hopeless = patience.failed(failed, published.length > 0, Date.now());
    for (const { queued, attempts, error } of hopeless)
      await park(pool, reader.ownerOf(queued), queued, { attempts, error: textOf(error) });
    run.observe?.({ published, failed, parked: hopeless });
    return landed;
  }
}

/** How long a relay waits for keys that take their time before it looks what else there is. */
const ROUND_MS = 100;

/**
 * From one look at the queue to the next where producers are busy, in milliseconds: what they commit meanwhile costs one look
 * together. They are busy where a look has found so many events.
 */
const BREATH_MS = 20;
const BUSY = 4;

const NOTHING: Read = { ready: [], followers: [], more: false };

/** In an outage new events are no reason to hurry. */
async function wakesNot(wakes: Wakes, ms: number, stop: AbortSignal): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end && !stop.aborted;) await wakes.wait(end - Date.now(), stop);
}

const textOf = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 2_000);

/** How far behind the newest row that is finished a relay still looks for rows that have come late, in positions. */
const WINDOW = 5_000n;
/** How often it looks at everything, at the most, in milliseconds; and which part of the time that may take. */
const SWEEP_MS = 1_000;
const SWEEP_SHARE = 20;

interface Read {
  readonly ready: QueuedEvent[];
  /** Keys that are parked, of which rows have come since. */
  readonly followers: string[];
  /** Whether to read again at once. */
  readonly more: boolean;
}

/**
 * Reads what is next. Mostly from shortly before where it was, because PostgreSQL cannot remove what is deleted at the head of the
 * queue while any old transaction is open, a prepared one of another database for example, and would step over all of it each
 * time. About each second, and whenever something seems to be missing, from the beginning. So where it was is a hint that saves
 * time and never a reason to leave a row out.
 */
class Reader {
  readonly #low = new Map<number, bigint>();
  #share: number;
  #sweepAt = 0;

  constructor(
    private readonly pool: Pool,
    private readonly owned: readonly OwnedPartition[],
    private readonly batch: number,
  ) {
    this.#share = Math.ceil(batch / Math.max(1, owned.length));
  }

  /** One event of a key that is not suspect; where there is none, of one that is and has waited. */
  async probe(suspects: readonly string[], waiting: readonly string[]): Promise<Read> {
    const read = await this.next(suspects, true);
    return read.ready.length > 0 ? read : this.next(waiting, true);
  }

  async next(without: readonly string[], one: boolean): Promise<Read> {
    const began = Date.now();
    const sweeps = began >= this.#sweepAt;
    if (sweeps) {
      const lost = await lostOf(this.pool, this.owned);
      if (lost.length > 0) throw new RelayReplacedError(lost);
    }
    const limit = one ? 1 : this.batch;
    const rows = await claim(this.pool, {
      partitions: this.owned.map((mine) => ({
        ...mine,
        low: sweeps ? '0' : String(this.#low.get(mine.partition) ?? 0n),
      })),
      without,
      share: Math.min(limit, this.#share),
      limit,
    });
    if (sweeps) this.#sweepAt = Date.now() + Math.max(SWEEP_MS, (Date.now() - began) * SWEEP_SHARE);
    const { ready, followers, missing } = sortOut(rows);
    if (missing && !sweeps) this.#sweepAt = 0;
    const full = rows.length >= Math.min(limit, this.#share);
    this.#share = Math.ceil(this.batch / Math.max(1, new Set(rows.map(({ partition }) => partition)).size));
    return { ready, followers, more: full || (missing && !sweeps) };
  }

  finished(events: readonly QueuedEvent[]): void {
    for (const { partition, position } of events) {
      const low = BigInt(position) - WINDOW;
      if (low > (this.#low.get(partition) ?? 0n)) this.#low.set(partition, low);
    }
  }

  ownerOf({ partition }: QueuedEvent): OwnedPartition {
    const found = this.owned.find((mine) => mine.partition === partition);
    if (!found) throw new Error(`Nothing was parked: partition ${partition} was not asked for.`);
    return found;
  }
}
