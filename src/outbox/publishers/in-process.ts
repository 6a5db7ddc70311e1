/** Hands events to a function of this process. */
import type { OutboxEvent } from '../event';
import type { Publisher } from '../publisher';

/**
 * Calls a function for each event. An event counts as published when what the function returns has resolved, and comes again when
 * it throws; it may also come again after a crash, so what the function does must bear a repetition.
 *
 * @example
 * const publisher = inProcess(async (event) => refreshCache(event.key));
 */
export const inProcess = (handler: (event: OutboxEvent, signal: AbortSignal) => void | Promise<void>): Publisher => ({
  publish: async (event, signal) => handler(event, signal),
});
