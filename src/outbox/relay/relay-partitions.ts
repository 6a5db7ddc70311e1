/** One relay at work on its partitions: reads, publishes, marks, and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { crashpoint } from '../../protocol';
import { errorText } from '../error-text';
import { NotYetPublishedError } from '../errors';
import { Flight } from './flight';
import type { Landed } from './flight';
import type { RelaySettings } from './options';
import { Patience } from './patience';
import type { Failure, Hopeless } from './patience';
import { markPublished, own, park, parkFollowers } from './queue';
import type { QueuedEvent } from './queue';
import { Reader } from './reader';
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
  /** Without those that are under way and only not published yet. */
  readonly failed: readonly Failure[];
  readonly parked: readonly Failure[];
  /** What should have been parked and could not be, and why not: it is tried again. */
  readonly notParked: readonly Failure[];
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
  const stopping = (): void => {
    flight.end();
    wakes.wake();
  };
  stop.addEventListener('abort', stopping);
  try {
    while (!stop.aborted) {
      const began = performance.now();
      // What is committed after the look at the queue, and told before the wait, is not waited for.
      const { heard } = wakes;
      const { leftOut, more } = await begin(began);
      const { published } = await settle(ROUND_MS);
      // Of a key that was left out when the queue was read, the next events were not looked for.
      const missed = published.some(({ event }) => leftOut.has(event.key));
      if (flight.hasLanded || more || missed || (reader.isBehind && !patience.heldBack)) continue;
      const { keys, isFull } = flight;
      const dueMs = isFull ? Infinity : patience.dueIn(performance.now(), keys);
      await rest(Math.min(settings.pollMs, dueMs), heard);
      const restMs = published.length < BUSY ? 0 : BREATH_MS - (performance.now() - began);
      if (restMs > 0) await sleep(restMs);
    }
  } finally {
    stop.removeEventListener('abort', stopping);
    flight.end();
    await settle(Infinity);
  }

  /** Reads what may be published now, and begins with it. */
  async function begin(now: number): Promise<Begun> {
    const { keys } = flight;
    if (flight.isFull) return { leftOut: new Set(keys), more: false };
    const { again, fresh } = patience.turn(now, keys);
    const leftOut = new Set([...keys, ...patience.failing]);
    const retried = await reader.heads(again);
    const found = new Set(retried.ready.map(({ event }) => event.key));
    // Somebody else has published it, or its key is parked.
    patience.forget(again.filter((key) => !found.has(key)));
    const next = await reader.next([...leftOut], fresh);
    await parkFollowers(pool, [...retried.followers, ...next.followers]);
    await crashpoint('outbox.claimed-before-publish');
    const ready = [...retried.ready, ...next.ready];
    patience.began(ready, now);
    flight.begin(ready);
    return { leftOut, more: next.more };
  }

  async function settle(withinMs: number): Promise<Landed> {
    const landed = await flight.landed(withinMs);
    const { published, failed } = landed;
    if (published.length > 0) await crashpoint('outbox.published-before-mark');
    await markPublished(pool, published);
    reader.finished(published);
    patience.published(published);
    const hopeless = patience.failed(failed, published.length > 0, performance.now());
    const ended = await parkAll(hopeless);
    run.observe?.({
      published,
      failed: failed.filter(({ error }) => !(error instanceof NotYetPublishedError)),
      ...ended,
    });
    return landed;
  }

  async function parkAll(hopeless: readonly Hopeless[]): Promise<Pick<RelayRound, 'parked' | 'notParked'>> {
    const parked: Failure[] = [];
    const notParked: Failure[] = [];
    for (const { queued, attempts, error } of hopeless) {
      try {
        await park(pool, reader.ownerOf(queued), queued, { attempts, error: errorText(error) });
        patience.forget([queued.event.key]);
        parked.push({ queued, error });
      } catch (reason) {
        // Its key waits, and no other: a database that is away says so at the next question.
        notParked.push({ queued, error: reason });
      }
    }
    return { parked, notParked };
  }

  /** Until it is woken, or stopped, or a key lands. */
  async function rest(ms: number, heard: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([wakes.wait(ms, over.signal, heard), flight.next(over.signal)]);
    over.abort();
  }
}

interface Begun {
  /** Keys of which nothing was looked for. */
  readonly leftOut: ReadonlySet<string>;
  /** Whether to read again at once. */
  readonly more: boolean;
}

/** How long a relay waits for keys that take their time before it looks what else there is. */
const ROUND_MS = 100;

/**
 * From one look at the queue to the next where producers are busy, in milliseconds: what they commit meanwhile costs one look
 * together. They are busy where a look has found so many events.
 */
const BREATH_MS = 20;
const BUSY = 4;
