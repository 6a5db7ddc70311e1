/** The one thing that a relay knows of where events go. */
import type { OutboxEvent } from './event';

/**
 * Publishes events. To write one: resolve when the event is safe on the other side, and throw when it is not, or when it is not
 * known. {@link UnpublishableEventError} says that it never will be, {@link NotYetPublishedError} that it is under way.
 *
 * Events of one key come one after the other, in their order; those of different keys side by side. The same event may come
 * again: after a crash, or when its acknowledgement was lost.
 *
 * @example
 * const log: Publisher = { publish: async (event) => appendFile('events.log', `${JSON.stringify(toCloudEvent(event))}\n`) };
 */
export interface Publisher {
  /**
   * @param event what to publish
   * @param signal is aborted when the time for it is over
   */
  publish(event: OutboxEvent, signal: AbortSignal): Promise<void>;
}
