/** Removes what was published long enough ago, in batches: no statement holds locks for long. */
import type { Pool } from 'pg';

export interface CleanOptions {
  /** From which age on, since it was appended, a published event goes; in hours, at least 1. */
  readonly olderThanHours: number;
  /** Rows looked at in one statement, 1 to 10000. @default 1000 */
  readonly batch?: number;
  /** Ends it between two batches. */
  readonly stop?: AbortSignal;
}

// What is in the queue, or at a person's, stays, however old. SKIP LOCKED: several may clean at the same time.
const CLEAN = `
  with looked as (
    select position, key, version, created_at from txn.outbox where position > $1 order by position limit $2
  ), old as (
    select position from looked l
     where created_at < clock_timestamp() - make_interval(secs => $3 * 3600.0)
       and not exists (select from txn.outbox_queue q where q.key = l.key and q.version = l.version)
       and not exists (select from txn.outbox_dead_letter d where d.key = l.key and d.version = l.version)
  ), removed as (
    delete from txn.outbox e
     using (select position from txn.outbox where position in (select position from old) for update skip locked) o
     where e.position = o.position
    returning 1
  )
  select (select max(position) from looked)::text as last,
         (select count(*) from looked)::int as looked,
         (select count(*) from removed)::int as removed,
         (select coalesce(bool_and(created_at >= clock_timestamp() - make_interval(secs => $3 * 3600.0)), true) from looked) as young`;

/**
 * Removes published events of a given age. A relay does it by itself when it is told how long to keep them.
 *
 * @returns how many were removed
 * @throws {RangeError} when an option is out of range; nothing is removed
 * @example await cleanOutbox(pool, { olderThanHours: 7 * 24 });
 */
export async function cleanOutbox(pool: Pool, { olderThanHours, batch = 1_000, stop }: CleanOptions): Promise<number> {
  if (!(olderThanHours >= 1 && olderThanHours <= 1_000_000))
    throw new RangeError(`Nothing was removed: olderThanHours is ${String(olderThanHours)}, not a number from 1 up.`);
  if (!Number.isSafeInteger(batch) || batch < 1 || batch > 10_000)
    throw new RangeError(`Nothing was removed: batch is ${String(batch)}, not a whole number from 1 to 10000.`);
  let removed = 0;
  let last = '0';
  while (stop?.aborted !== true) {
    const { rows } = await pool.query<{ last: string | null; looked: number; removed: number; young: boolean }>(CLEAN, [
      last,
      batch,
      olderThanHours,
    ]);
    const [round] = rows;
    if (!round || round.last === null) break;
    removed += round.removed;
    last = round.last;
    // Positions follow time roughly: where a whole batch is young, what comes after it is too.
    if (round.young || round.looked < batch) break;
  }
  return removed;
}
