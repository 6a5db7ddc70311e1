/**
 * The relay's questions to the database. It works by the state of each row, never by a position that it has reached: rows become
 * visible in another order than they were written, those of prepared transactions by days.
 *
 * The order of a key needs three things. Writers of a key wait for each other, so whoever sees a version can see all before it.
 * A row is taken only when the one before it is out of the queue, or is taken with it and published first. And a row leaves the
 * queue only when it is published.
 */
import type { Pool } from 'pg';
import type { OutboxEvent } from '../event';

/** A share of the keys, as its owner knows it. */
export interface OwnedPartition {
  readonly partition: number;
  readonly epoch: string;
}

/** A row of the queue with its event. */
export interface QueuedEvent {
  readonly partition: number;
  readonly position: string;
  /** How often a person has edited it. */
  readonly edition: number;
  readonly event: OutboxEvent;
  /** The one before it in its key, if that is still in the queue. */
  readonly predecessor?: { readonly position: string; readonly parked: boolean };
}

/** As many partitions as migration 5 makes. */
export const PARTITIONS = 16;

const OWN = `
  update txn.outbox_partition set epoch = epoch + 1, owner = $2, owned_at = clock_timestamp()
   where partition = any($1::smallint[])
  returning partition, epoch::text`;

/** Takes partitions over from whoever had them. */
export async function own(pool: Pool, partitions: readonly number[], owner: string): Promise<OwnedPartition[]> {
  const { rows } = await pool.query<OwnedPartition>(OWN, [partitions, owner]);
  return rows;
}

const LOST = `
  select partition from unnest($1::smallint[], $2::bigint[]) as mine(partition, epoch)
   where not exists (select from txn.outbox_partition o where o.partition = mine.partition and o.epoch = mine.epoch)`;

/** The partitions that another relay has taken over. */
export async function lostOf(pool: Pool, owned: readonly OwnedPartition[]): Promise<number[]> {
  const { rows } = await pool.query<{ partition: number }>(LOST, columns(owned));
  return rows.map(({ partition }) => partition);
}

const columns = (owned: readonly OwnedPartition[]): [number[], string[]] => [
  owned.map(({ partition }) => partition),
  owned.map(({ epoch }) => epoch),
];

const COLUMNS = `
         q.partition, q.position::text, q.edition, p.position::text as predecessor, p.parked,
         e.id, e.source, e.type, e.key, e.version::text, e.subject, e.dataschema, e.data, e.headers, e.traceparent,
         e.tracestate, e.transaction_id, e.branch_id, e.created_at`;

// The rows of each partition are taken from its index in their order, a few of each, before anything is joined.
const CLAIM = `
  select ${COLUMNS}
    from unnest($1::smallint[], $2::bigint[], $3::bigint[]) as mine(partition, epoch, low)
    join txn.outbox_partition o on o.partition = mine.partition and o.epoch = mine.epoch
   cross join lateral (
     select q.partition, q.position, q.edition, q.key, q.version
       from txn.outbox_queue q
      where q.partition = mine.partition and not q.parked and q.position >= mine.low and q.key <> all($4::text[])
      order by q.position
      limit $5) q
    join txn.outbox e on e.position = q.position
    left join txn.outbox_queue p on p.key = q.key and p.version = q.version - 1
   order by q.position
   limit $6`;

export interface Claim {
  /** With the position that each is read from. */
  readonly partitions: readonly (OwnedPartition & { readonly low: string })[];
  /** Keys to leave out. */
  readonly without: readonly string[];
  /** Most rows of each partition. */
  readonly share: number;
  /** Most rows of all. */
  readonly limit: number;
}

interface ClaimedRow {
  readonly partition: number;
  readonly position: string;
  readonly edition: number;
  readonly predecessor: string | null;
  readonly parked: boolean | null;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly version: string;
  readonly subject: string | null;
  readonly dataschema: string | null;
  readonly data: unknown;
  readonly headers: Record<string, string> | null;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly transaction_id: string | null;
  readonly branch_id: string | null;
  readonly created_at: Date;
}

/** The oldest rows that are not published. Nothing is locked: other relays have other partitions. */
export async function claim(pool: Pool, { partitions, without, share, limit }: Claim): Promise<QueuedEvent[]> {
  const { rows } = await pool.query<ClaimedRow>({
    name: 'txn-outbox-claim',
    text: CLAIM,
    values: [...columns(partitions), partitions.map(({ low }) => low), without, share, limit],
  });
  return rows.map(read);
}

const CLAIM_HEADS = `
  select ${COLUMNS}
    from unnest($3::text[]) as wanted(key)
   cross join lateral (
     select q.partition, q.position, q.edition, q.key, q.version
       from txn.outbox_queue q
      where q.key = wanted.key and not q.parked
      order by q.version
      limit 1) q
    join unnest($1::smallint[], $2::bigint[]) as mine(partition, epoch) on mine.partition = q.partition
    join txn.outbox_partition o on o.partition = mine.partition and o.epoch = mine.epoch
    join txn.outbox e on e.position = q.position
    left join txn.outbox_queue p on p.key = q.key and p.version = q.version - 1
   order by q.position`;

/** The oldest row of each of these keys. */
export async function claimHeads(
  pool: Pool,
  partitions: readonly OwnedPartition[],
  keys: readonly string[],
): Promise<QueuedEvent[]> {
  const { rows } = await pool.query<ClaimedRow>({
    name: 'txn-outbox-claim-heads',
    text: CLAIM_HEADS,
    values: [...columns(partitions), keys],
  });
  return rows.map(read);
}

const read = (row: ClaimedRow): QueuedEvent => ({
  partition: row.partition,
  position: row.position,
  edition: row.edition,
  event: {
    id: row.id,
    source: row.source,
    type: row.type,
    key: row.key,
    version: Number(row.version),
    data: row.data,
    time: row.created_at,
    ...(row.subject === null ? {} : { subject: row.subject }),
    ...(row.dataschema === null ? {} : { dataschema: row.dataschema }),
    ...(row.headers === null ? {} : { headers: row.headers }),
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    ...(row.tracestate === null ? {} : { tracestate: row.tracestate }),
    ...(row.transaction_id === null ? {} : { transaction: row.transaction_id }),
    ...(row.branch_id === null ? {} : { branch: row.branch_id }),
  },
  ...(row.predecessor === null ? {} : { predecessor: { position: row.predecessor, parked: row.parked === true } }),
});

const MARK = `
  delete from txn.outbox_queue q
   using unnest($1::text[], $2::bigint[], $3::smallint[]) as published(key, version, edition)
   where q.key = published.key and q.version = published.version and q.edition = published.edition and not q.parked`;

/**
 * Marks as published. It is true whoever says it, so a relay that was replaced meanwhile may; but not of what a person has edited
 * since it was read, nor of what another relay has parked: that waits for a person, who finds it as it was.
 */
export async function markPublished(pool: Pool, events: readonly QueuedEvent[]): Promise<void> {
  if (events.length === 0) return;
  await pool.query({
    name: 'txn-outbox-mark',
    text: MARK,
    values: [
      events.map(({ event }) => event.key),
      events.map(({ event }) => event.version),
      events.map(({ edition }) => edition),
    ],
  });
}

// Where another relay has published the event after all, or has taken over, nothing is parked.
const PARK = `
  with mine as (
    select from txn.outbox_partition where partition = $1 and epoch = $2 for share
  ), failed as (
    select key, version, position from txn.outbox_queue
     where key = $3 and version = $4 and exists (select from mine)
       for update
  ), parked as (
    update txn.outbox_queue q set parked = true from failed where q.key = failed.key and q.version >= failed.version
  )
  insert into txn.outbox_dead_letter (key, version, position, attempts, error)
  select key, version, position, $5, $6 from failed
  on conflict (key) do nothing`;

/** Parks a key at an event that cannot be published. */
export async function park(
  pool: Pool,
  { partition, epoch }: OwnedPartition,
  { event }: QueuedEvent,
  why: { readonly attempts: number; readonly error: string },
): Promise<void> {
  await pool.query(PARK, [partition, epoch, event.key, event.version, why.attempts, why.error]);
}

// The lock on the dead letter: a person who takes the key up again deletes it first, and frees the rows after that.
const PARK_FOLLOWERS = `
  with held as (select key from txn.outbox_dead_letter where key = any($1::text[]) order by key for share)
  update txn.outbox_queue q set parked = true from held where q.key = held.key and not q.parked`;

/** Parks what was appended to parked keys since. */
export async function parkFollowers(pool: Pool, keys: readonly string[]): Promise<void> {
  if (keys.length > 0) await pool.query(PARK_FOLLOWERS, [keys]);
}
