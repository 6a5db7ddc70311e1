/** What a relay can be told, and what it does when it is told nothing. */
import type { Publisher } from '../publisher';

export interface RelayOptions {
  readonly publisher: Publisher;
  /** Most events that are read at once. @default 500 */
  readonly batch?: number;
  /** Most events, of as many keys, that are given to the publisher at the same time. @default 64 */
  readonly concurrency?: number;
  /** How often it looks when nobody wakes it, in milliseconds. @default 500 */
  readonly pollMs?: number;
  /** How long one event may take to publish, in milliseconds. It is tried again then, so it may arrive twice. @default 10000 */
  readonly publishTimeoutMs?: number;
  /**
   * How often an event is tried before its key is parked. Counted only while others can be published: no outage of what is
   * published to parks anything. @default 10
   */
  readonly attempts?: number;
  /** Pauses between attempts, in milliseconds: the first, doubled each time, up to the longest; each with jitter. @default 100 to 30000 */
  readonly backoff?: { readonly firstMs: number; readonly longestMs: number };
}

export type RelaySettings = Required<RelayOptions>;

/** @throws {RangeError} when one is out of range; nothing was started */
export function relaySettings(options: RelayOptions): RelaySettings {
  const settings = {
    batch: 500,
    concurrency: 64,
    pollMs: 500,
    publishTimeoutMs: 10_000,
    attempts: 10,
    backoff: { firstMs: 100, longestMs: 30_000 },
    ...options,
  };
  const { batch, concurrency, pollMs, publishTimeoutMs, attempts, backoff } = settings;
  whole('batch', batch, 1, 10_000);
  whole('concurrency', concurrency, 1, 10_000);
  whole('pollMs', pollMs, 1, 3_600_000);
  whole('publishTimeoutMs', publishTimeoutMs, 1, 3_600_000);
  whole('attempts', attempts, 1, 1_000_000);
  whole('backoff.firstMs', backoff.firstMs, 1, 3_600_000);
  whole('backoff.longestMs', backoff.longestMs, backoff.firstMs, 86_400_000);
  return settings;
}

function whole(field: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `Nothing was started: ${field} is ${String(value)}, not a whole number from ${least} to ${most}.`,
  );
}
