/**
 * When to try again what could not be published, and when to stop trying (rule X6). A key that has failed waits by itself, longer
 * after each attempt, and is tried apart from all others. What is published to may be away altogether: where too many fail in a row
 * and nothing is published between, some are tried after each pause until something is. And then nothing is wrong with any event,
 * so an attempt counts against one only when others have been published since its last. One that is under way, and not published
 * yet, waits its turn like one that has failed, because it takes a lane each time; but no attempt counts against it.
 */
import { NotYetPublishedError, UnpublishableEventError } from '../errors';
import { Gate } from './gate';
import type { QueuedEvent } from './queue';
import type { RelaySettings } from './options';

/**
 * So many keys that had not failed before have to fail in a row until others are held back. As many may well share a fault while
 * the next one has none; those that have failed before prove nothing of others by failing again.
 */
const MANY = 1_000;
const MANY_AT_ONCE = 10;
/** Between the tries of an outage, in milliseconds: what could be published must not wait long for its turn. */
const LONGEST_PAUSE_MS = 1_000;
/** From then on that would be more keys than can be left out of each question. */
const MOST_FAILING = 10_000;

/** Those that fail may hang, too: they have no more than one lane of so many. */
const LANES_PER_FAILING = 4;

interface Failing {
  attempts: number;
  counted: number;
  until: number;
  /** How many had been published in all when it failed last. */
  seen: number;
}

export interface Failure {
  readonly queued: QueuedEvent;
  readonly error: unknown;
}

/** An event that is to be parked. */
export interface Hopeless extends Failure {
  readonly attempts: number;
}

/** What may be tried now. */
export interface Turn {
  /** Keys that have failed and are due. */
  readonly again: readonly string[];
  /** How many events of keys that have not. */
  readonly fresh: number;
}

/** Goes by a clock that nobody sets: `now` is as `performance.now()` counts. */
export class Patience {
  readonly #failing = new Map<string, Failing>();
  readonly #fresh = new Gate(MANY, MANY_AT_ONCE);
  readonly #again = new Gate(2, 1);
  readonly #lanes: number;
  #published = 0;
  #heldBack = false;

  constructor(private readonly settings: Pick<RelaySettings, 'attempts' | 'backoff' | 'concurrency'>) {
    this.#lanes = Math.max(1, Math.floor(settings.concurrency / LANES_PER_FAILING));
  }

  /** Keys that have failed and have not been published since. */
  get failing(): readonly string[] {
    return [...this.#failing.keys()];
  }

  /** Whether events of keys that have not failed were not even looked for in the last turn. */
  get heldBack(): boolean {
    return this.#heldBack;
  }

  /** @param underWay keys that are being tried */
  turn(now: number, underWay: readonly string[]): Turn {
    const fresh = this.#fresh.allows(now);
    this.#heldBack = fresh === 0;
    const most = Math.min(this.#lanesLeft(underWay), this.#again.allows(now));
    if (most === 0) return { again: [], fresh };
    const due = this.#idle(underWay).filter(([, { until }]) => until <= now);
    due.sort(([, a], [, b]) => a.until - b.until);
    return { again: due.slice(0, most).map(([key]) => key), fresh };
  }

  /** What was found of a turn and is tried. */
  began(events: readonly QueuedEvent[], now: number): void {
    const again = events.filter(({ event }) => this.#failing.has(event.key)).length;
    if (again > 0) this.#again.began(now, this.#pauseMs(this.#again.rounds, LONGEST_PAUSE_MS));
    const longestMs = this.#failing.size < MOST_FAILING ? LONGEST_PAUSE_MS : Infinity;
    if (events.length > again) this.#fresh.began(now, this.#pauseMs(this.#fresh.rounds, longestMs));
  }

  /** When there is something to try that could not be in the last turn, in milliseconds from now. */
  dueIn(now: number, underWay: readonly string[]): number {
    const fresh = this.#heldBack ? this.#fresh.opensIn(now) : Infinity;
    if (this.#lanesLeft(underWay) === 0) return fresh;
    let next = Infinity;
    for (const [, { until }] of this.#idle(underWay)) next = Math.min(next, Math.max(0, until - now));
    return Math.min(fresh, Math.max(next, this.#again.opensIn(now)));
  }

  published(events: readonly QueuedEvent[]): void {
    if (events.length === 0) return;
    this.#published += events.length;
    for (const { event } of events) this.#failing.delete(event.key);
    this.#open();
  }

  /** Ends a round. @returns those to be parked; they are tried again until they are forgotten */
  failed(failures: readonly Failure[], publishedSome: boolean, now: number): Hopeless[] {
    const fresh = failures.filter(({ queued }) => !this.#failing.has(queued.event.key)).length;
    const hopeless = failures.flatMap((failure) => {
      const { attempts, counted } = this.#note(failure, publishedSome, now);
      const isHopeless = failure.error instanceof UnpublishableEventError || counted >= this.settings.attempts;
      return isHopeless ? [{ ...failure, attempts }] : [];
    });
    if (publishedSome) return hopeless;
    // What is published to, or what speaks for it, is there when it refuses an event.
    if (hopeless.length > 0) this.#open();
    else {
      this.#again.failed(failures.length);
      this.#fresh.failed(fresh);
    }
    return hopeless;
  }

  /** Of keys that are parked, or of which somebody else has published what had failed. */
  forget(keys: readonly string[]): void {
    for (const key of keys) this.#failing.delete(key);
  }

  #note({ queued, error }: Failure, publishedSome: boolean, now: number): Failing {
    const { key } = queued.event;
    const before = this.#failing.get(key);
    const failed = !(error instanceof NotYetPublishedError);
    const counts = failed && (before === undefined ? publishedSome : before.seen !== this.#published);
    const attempts = (before?.attempts ?? 0) + (failed ? 1 : 0);
    const failing = {
      attempts,
      counted: (before?.counted ?? 0) + (counts ? 1 : 0),
      until: now + this.#pauseMs(attempts, Infinity),
      seen: this.#published,
    };
    this.#failing.set(key, failing);
    return failing;
  }

  #open(): void {
    this.#fresh.open();
    this.#again.open();
  }

  #idle(underWay: readonly string[]): [string, Failing][] {
    const busy = new Set(underWay);
    return [...this.#failing].filter(([key]) => !busy.has(key));
  }

  #lanesLeft(underWay: readonly string[]): number {
    return Math.max(0, this.#lanes - underWay.filter((key) => this.#failing.has(key)).length);
  }

  #pauseMs(attempt: number, mostMs: number): number {
    const { firstMs, longestMs } = this.settings.backoff;
    const full = Math.min(longestMs, mostMs, firstMs * 2 ** Math.min(Math.max(0, attempt - 1), 30));
    return full * (0.5 + Math.random() / 2);
  }
}
