/**
 * When to try again what could not be published, and when to stop trying. What is published to may be away altogether, and then
 * nothing is wrong with any event: an attempt counts against one only when others have been published since its last.
 */
import { UnpublishableEventError } from '../errors';
import type { QueuedEvent } from './queue';
import type { RelaySettings } from './options';

/** More are no longer left out of a probe: the list goes with each question. */
const MOST_SUSPECTS = 10_000;

interface Failing {
  attempts: number;
  counted: number;
  until: number;
  /** How many had been published in all when it failed last. */
  seen: number;
}

export class Patience {
  readonly #failing = new Map<string, Failing>();
  /** Keys that have failed since anything was published. */
  readonly #suspects = new Set<string>();
  #published = 0;
  #failedRounds = 0;

  constructor(private readonly settings: Pick<RelaySettings, 'attempts' | 'backoff'>) {}

  /** Keys that wait for their next attempt. */
  waiting(now: number): string[] {
    return [...this.#failing].filter(([, { until }]) => until > now).map(([key]) => key);
  }

  /**
   * In an outage, the keys to leave out of a probe: where only some keys fail and nothing else happens, one that has not been tried
   * tells so, and must not wait behind them for ever.
   */
  suspects(now: number): string[] {
    return this.#suspects.size > MOST_SUSPECTS
      ? this.waiting(now)
      : [...new Set([...this.waiting(now), ...this.#suspects])];
  }

  /** When the next of those that waited at a given time is due, in milliseconds from now. */
  dueIn(since: number, now: number): number {
    let next = Infinity;
    // One that was due then and was not there is none to wait for: somebody else has published it.
    for (const { until } of this.#failing.values()) if (until > since) next = Math.min(next, Math.max(0, until - now));
    return next;
  }

  /**
   * Whether nothing at all could be published lately: a round then tries one event, to find out whether that is over. One key by
   * itself is no outage, and keeps no other waiting.
   */
  get outage(): boolean {
    return this.#suspects.size > 1;
  }

  /** How long to wait before the next round, in milliseconds. */
  get pauseMs(): number {
    return this.outage ? this.#delay(this.#failedRounds) : 0;
  }

  published(events: readonly QueuedEvent[]): void {
    this.#published += events.length;
    for (const { event } of events) this.#failing.delete(event.key);
    if (events.length > 0) this.#suspects.clear();
  }

  /** Ends a round. @returns those to be parked */
  failed(
    failures: readonly { readonly queued: QueuedEvent; readonly error: unknown }[],
    publishedSome: boolean,
    now: number,
  ): { readonly queued: QueuedEvent; readonly attempts: number; readonly error: unknown }[] {
    const hopeless = failures.filter(({ queued, error }) => this.#isHopeless(queued, error, publishedSome, now));
    if (publishedSome || hopeless.length > 0) {
      this.#failedRounds = 0;
      this.#suspects.clear();
    } else if (failures.length > 0) {
      this.#failedRounds++;
      for (const { queued } of failures) this.#suspects.add(queued.event.key);
    }
    return hopeless.map(({ queued, error }) => {
      const attempts = this.#failing.get(queued.event.key)?.attempts ?? 1;
      this.#failing.delete(queued.event.key);
      return { queued, attempts, error };
    });
  }

  #isHopeless({ event: { key } }: QueuedEvent, error: unknown, publishedSome: boolean, now: number): boolean {
    const before = this.#failing.get(key);
    const counts = before === undefined ? publishedSome : before.seen !== this.#published;
    const counted = (before?.counted ?? 0) + (counts ? 1 : 0);
    const attempts = (before?.attempts ?? 0) + 1;
    this.#failing.set(key, { attempts, counted, until: now + this.#delay(attempts), seen: this.#published });
    return error instanceof UnpublishableEventError || counted >= this.settings.attempts;
  }

  #delay(attempt: number): number {
    const { firstMs, longestMs } = this.settings.backoff;
    const full = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30));
    return full * (0.5 + Math.random() / 2);
  }
}
