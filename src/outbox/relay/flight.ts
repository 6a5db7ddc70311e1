/**
 * What a relay is publishing: keys side by side, the events of a key one after the other, and none after one that failed. A key that
 * takes its time stays under way while the relay goes on with the others.
 */
import { inSpan, SPAN_ATTRIBUTES, SPANS } from '../../observability';
import type { SpanRequest } from '../../observability';
import { NotYetPublishedError, UnpublishableEventError } from '../errors';
import type { OutboxEvent } from '../event';
import type { QueuedEvent } from './queue';
import type { RelaySettings } from './options';

/** What has come to an end. */
export interface Landed {
  readonly published: readonly QueuedEvent[];
  /** The first of its key that could not be published; those behind it were not tried. */
  readonly failed: readonly { readonly queued: QueuedEvent; readonly error: unknown }[];
}

export class Flight {
  /** Keys that are being published, and those that wait for a lane. */
  readonly #keys = new Set<string>();
  readonly #waiting: (readonly QueuedEvent[])[] = [];
  readonly #listeners = new Set<() => void>();
  #lanes = 0;
  #over = false;
  #published: QueuedEvent[] = [];
  #failed: { queued: QueuedEvent; error: unknown }[] = [];

  constructor(private readonly settings: Pick<RelaySettings, 'publisher' | 'concurrency' | 'publishTimeoutMs'>) {}

  /** Keys that are under way, and those that have landed and of which nobody has taken notice: their rows are still in the queue. */
  get keys(): readonly string[] {
    const landed = [...this.#published, ...this.#failed.map(({ queued }) => queued)].map(({ event }) => event.key);
    return [...new Set([...this.#keys, ...landed])];
  }

  get hasLanded(): boolean {
    return this.#published.length + this.#failed.length > 0;
  }

  /** Whether another key would have to wait for a lane. */
  get isFull(): boolean {
    return this.#keys.size >= this.settings.concurrency;
  }

  /** @param events of other keys than `keys`, in the order of each key */
  begin(events: readonly QueuedEvent[]): void {
    for (const [key, ofKey] of byKey(events)) {
      this.#keys.add(key);
      this.#waiting.push(ofKey);
    }
    this.#fillLanes();
  }

  /** Begins nothing more: what is being published is still waited for. */
  end(): void {
    this.#over = true;
    for (const ofKey of this.#waiting.splice(0)) for (const { event } of ofKey) this.#keys.delete(event.key);
  }

  /** Waits until all has landed, but no longer than that, and takes what has. */
  async landed(withinMs: number): Promise<Landed> {
    await this.#until(() => this.#keys.size === 0, withinMs);
    const landed = { published: this.#published, failed: this.#failed };
    this.#published = [];
    this.#failed = [];
    return landed;
  }

  /** Waits until a key lands, or the signal. */
  async next(signal: AbortSignal): Promise<void> {
    const before = this.#keys.size;
    await this.#until(() => signal.aborted || this.#keys.size < before, Infinity, signal);
  }

  #fillLanes(): void {
    while (this.#lanes < this.settings.concurrency) {
      const ofKey = this.#waiting.shift();
      if (ofKey === undefined) return;
      this.#lanes++;
      void this.#publish(ofKey);
    }
  }

  async #publish(ofKey: readonly QueuedEvent[]): Promise<void> {
    for (const queued of ofKey) {
      if (this.#over) break;
      try {
        await publishOne(queued, this.settings);
        this.#published.push(queued);
      } catch (error) {
        this.#failed.push({ queued, error });
        break;
      }
    }
    for (const { event } of ofKey) this.#keys.delete(event.key);
    this.#lanes--;
    this.#fillLanes();
    for (const listener of [...this.#listeners]) listener();
  }

  async #until(isSo: () => boolean, withinMs: number, signal?: AbortSignal): Promise<void> {
    if (isSo()) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#listeners.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isSo()) done();
      };
      const timer = withinMs === Infinity ? undefined : setTimeout(done, withinMs);
      signal?.addEventListener('abort', done);
      this.#listeners.add(look);
    });
  }
}

function byKey(events: readonly QueuedEvent[]): Map<string, QueuedEvent[]> {
  const keys = new Map<string, QueuedEvent[]>();
  for (const queued of events) {
    const ofKey = keys.get(queued.event.key);
    if (ofKey) ofKey.push(queued);
    else keys.set(queued.event.key, [queued]);
  }
  return keys;
}

/** How long a publisher may take to say how things stand, in milliseconds, when it hears that its time is over. */
const LAST_WORD_MS = 100;

async function publishOne(
  { event }: QueuedEvent,
  { publisher, publishTimeoutMs }: Pick<RelaySettings, 'publisher' | 'publishTimeoutMs'>,
): Promise<void> {
  const late = new Error(`It is not known whether it is published: no answer within ${publishTimeoutMs} ms.`);
  const over = new AbortController();
  const timers = [setTimeout(() => over.abort(late), publishTimeoutMs)];
  // A publisher that ignores its signal must not stop the others.
  const unheard = new Promise<never>((_resolve, reject) => {
    over.signal.addEventListener('abort', () => timers.push(setTimeout(() => reject(late), LAST_WORD_MS)));
  });
  try {
    await inSpan(spanOf(event), () => Promise.race([publisher.publish(event, over.signal), unheard]));
  } catch (error) {
    // That it was cancelled says less.
    const says = error instanceof UnpublishableEventError || error instanceof NotYetPublishedError;
    throw over.signal.aborted && !says ? late : error;
  } finally {
    timers.forEach(clearTimeout);
  }
}

/** In the trace in which the event was appended, however long ago. */
const spanOf = (event: OutboxEvent): SpanRequest => ({
  name: `${SPANS.publish}${event.type}`,
  kind: 'producer',
  continues: event,
  attributes: {
    [SPAN_ATTRIBUTES.event]: event.id,
    ...(event.transaction === undefined ? {} : { [SPAN_ATTRIBUTES.transaction]: event.transaction }),
    ...(event.branch === undefined ? {} : { [SPAN_ATTRIBUTES.branch]: event.branch }),
  },
});
