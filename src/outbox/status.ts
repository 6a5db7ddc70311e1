/** How far the relay is behind, for metrics, health checks and people. */
import type { Pool } from 'pg';

export interface OutboxStatus {
  /** Events that are not published, counted up to a million. Parked ones are not among them. */
  readonly pending: number;
  /** How long the oldest of them has been there, in milliseconds. */
  readonly oldestMs: number;
  /** Keys that are parked. */
  readonly deadLetters: number;
  /** Events of those keys, counted up to a million. */
  readonly parked: number;
}

// By partition, because that is how the index is ordered: nothing is sorted, however long the queue is.
const STATUS = `
  select (select count(*) from (select from txn.outbox_queue where not parked limit 1000000) q)::int as pending,
         (select count(*) from (select from txn.outbox_queue where parked limit 1000000) q)::int as parked,
         (select count(*) from txn.outbox_dead_letter)::int as "deadLetters",
         coalesce((
           select extract(epoch from clock_timestamp() - min(e.created_at)) * 1000
             from txn.outbox_partition p
            cross join lateral (
              select position from txn.outbox_queue q
               where q.partition = p.partition and not q.parked
               order by position limit 1) oldest
             join txn.outbox e using (position)), 0)::float8 as "oldestMs"`;

/**
 * Reads how the outbox stands.
 *
 * @example const { pending, oldestMs, deadLetters } = await outboxStatus(pool);
 */
export async function outboxStatus(pool: Pool): Promise<OutboxStatus> {
  const { rows } = await pool.query<OutboxStatus>(STATUS);
  const [status] = rows;
  if (!status) throw new Error('Nothing was read: the outbox gave no answer.');
  return { ...status, oldestMs: Math.max(0, status.oldestMs) };
}
