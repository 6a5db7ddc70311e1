/** Removes what was received long ago. A message that is delivered after that is handled again, so nobody may deliver it then. */
import type { Pool } from 'pg';

export interface PurgeInboxOptions {
  /** From which age on a message is forgotten, in hours. */
  readonly olderThanHours: number;
  /**
   * After which time a message can come again, in hours: the longest that its sender retries and keeps it, a transport keeps it, a
   * person may take to send it again from a dead letter, and a backup that is restored is old; and how long a transaction that
   * received it may be in doubt. Must be less than `olderThanHours` (rule X7).
   */
  readonly longestRedeliveryHours: number;
  /** Only what this consumer received. @default every consumer */
  readonly consumer?: string;
  /** Rows removed in one statement, 1 to 10000. @default 1000 */
  readonly batch?: number;
  /** Ends it between two batches. */
  readonly stop?: AbortSignal;
}

// SKIP LOCKED: several may purge at the same time.
const PURGE = `
  delete from txn.inbox i
   using (select consumer, source, message_id
            from txn.inbox
           where received_at < clock_timestamp() - make_interval(secs => $1 * 3600.0)
             and ($2::text is null or consumer = $2)
           order by received_at
           limit $3
             for update skip locked) old
   where i.consumer = old.consumer and i.source = old.source and i.message_id = old.message_id`;

/**
 * Forgets messages of a given age.
 *
 * @returns how many
 * @throws {RangeError} when a message could come again after it is forgotten, or an option is out of range; nothing is removed
 * @example await purgeInbox(pool, { olderThanHours: 30 * 24, longestRedeliveryHours: 14 * 24 });
 */
export async function purgeInbox(
  pool: Pool,
  { olderThanHours, longestRedeliveryHours, consumer, batch = 1_000, stop }: PurgeInboxOptions,
): Promise<number> {
  if (!(longestRedeliveryHours >= 0 && longestRedeliveryHours <= 1_000_000))
    throw new RangeError(
      `Nothing was removed: longestRedeliveryHours is ${String(longestRedeliveryHours)}, not a number from 0 up.`,
    );
  if (!(olderThanHours > longestRedeliveryHours && olderThanHours <= 1_000_000))
    throw new RangeError(
      `Nothing was removed: olderThanHours is ${String(olderThanHours)}, and a message can come again for ` +
        `${longestRedeliveryHours} hours. It would be handled a second time: keep messages longer.`,
    );
  if (!Number.isSafeInteger(batch) || batch < 1 || batch > 10_000)
    throw new RangeError(`Nothing was removed: batch is ${String(batch)}, not a whole number from 1 to 10000.`);
  let removed = 0;
  while (stop?.aborted !== true) {
    const { rowCount } = await pool.query(PURGE, [olderThanHours, consumer ?? null, batch]);
    removed += rowCount ?? 0;
    if ((rowCount ?? 0) < batch) break;
  }
  return removed;
}
