/**
 * Events that could not be published, for a person to look at. Each parks the events of its key that come after it, and no other
 * key. Whatever is done about one leaves a row in `txn.outbox_intervention` that says who did it and why.
 */
import type { Pool, PoolClient } from 'pg';
import { inLocalTransaction } from '../participant';
import { checkLocalTimeouts } from '../protocol';
import { DeadLetterPublishedError, InvalidEventError, NoSuchDeadLetterError } from './errors';
import { checkEventData } from './event';
import type { Json } from './event';

export interface DeadLetter {
  readonly key: string;
  readonly version: number;
  /** Empty where the event is gone: a relay of an earlier version, which was slow, took it for published. So is `type` then. */
  readonly eventId: string;
  readonly type: string;
  readonly data: unknown;
  /** Why it could not be published, in the last attempt. */
  readonly error: string;
  readonly attempts: number;
  readonly parkedAt: Date;
  /** How many events are parked at this key, this one among them. */
  readonly waiting: number;
}

const LIST = `
  select d.key, d.version::int8 as version, coalesce(e.id, '') as "eventId", coalesce(e.type, '') as type, e.data, d.error,
         d.attempts, d.parked_at as "parkedAt",
         (select count(*) from txn.outbox_queue q where q.key = d.key)::int as waiting
    from txn.outbox_dead_letter d
    left join txn.outbox e on e.position = d.position
   where d.key > $1 and ($3::text is null or d.key = $3)
   order by d.key
   limit $2`;

/**
 * The dead letters, by key.
 *
 * @param page `after`: the key that the page before ended with. `limit`: most of them, 1 to 1000; by default 100. `key`: only that of this key
 * @example for (const letter of await deadLetters(pool)) console.log(letter.key, letter.error);
 */
export async function deadLetters(
  pool: Pool,
  { after = '', limit = 100, key }: { readonly after?: string; readonly limit?: number; readonly key?: string } = {},
): Promise<DeadLetter[]> {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1_000)
    throw new RangeError(`Nothing was read: limit is ${String(limit)}, not a whole number from 1 to 1000.`);
  const { rows } = await pool.query<Omit<DeadLetter, 'version'> & { version: string }>(LIST, [
    after,
    limit,
    key ?? null,
  ]);
  return rows.map((row) => ({ ...row, version: Number(row.version) }));
}

/** Which dead letter is meant, and who does something about it. */
export interface Intervention {
  readonly key: string;
  /** Of the event, so that nobody acts on another one than he has looked at. */
  readonly version: number;
  readonly by: string;
  readonly reason: string;
}

/**
 * Publishes the key again, from this event on.
 *
 * @throws {NoSuchDeadLetterError} nothing was changed
 * @example await retryDeadLetter(pool, { key: 'order-1', version: 3, by: 'ann', reason: 'the topic exists now' });
 */
export const retryDeadLetter = (pool: Pool, intervention: Intervention): Promise<void> =>
  resume(pool, intervention, 'retry', async () => undefined);

/**
 * Leaves the event out and publishes those that come after it. It stays in `txn.outbox` until that is cleaned.
 *
 * @throws {NoSuchDeadLetterError} nothing was changed
 */
export const skipDeadLetter = (pool: Pool, intervention: Intervention): Promise<void> =>
  resume(pool, intervention, 'skip', async (client) => {
    await client.query('delete from txn.outbox_queue where key = $1 and version = $2', [
      intervention.key,
      intervention.version,
    ]);
  });

/**
 * Gives the event other data and publishes the key again. It gets another id with that, because consumers may have seen the one
 * that it had: what is another event must not pass for a duplicate. What it was before is in `txn.outbox_intervention`.
 *
 * @throws {NoSuchDeadLetterError} nothing was changed
 * @throws {DeadLetterPublishedError} nothing was changed, and there is nothing to publish but what comes after it
 * @throws {InvalidEventError} nothing was changed
 */
export async function editDeadLetter(pool: Pool, intervention: Intervention & { readonly data: Json }): Promise<void> {
  checkEventData('data', intervention.data);
  await resume(pool, intervention, 'edit', async (client, position) => {
    // By position: it has no other index, and can be long.
    await client.query('update txn.outbox set id = gen_random_uuid()::text, data = $2 where position = $1', [
      position,
      JSON.stringify(intervention.data),
    ]);
    // A relay that was replaced may still be about to mark the event that it was.
    const { key, version } = intervention;
    const { rowCount } = await client.query(
      'update txn.outbox_queue set edition = edition + 1 where key = $1 and version = $2',
      [key, version],
    );
    // One of an earlier version has marked it although it was parked.
    if (rowCount === 0) throw new DeadLetterPublishedError(key, version);
  });
}

// Deleted first: a relay that parks what has just come to the key waits for this lock, and then finds no dead letter.
const TAKE = `
  with taken as (
    delete from txn.outbox_dead_letter where key = $1 and version = $2 returning position
  )
  select coalesce(e.id, '') as id, e.data, taken.position
    from taken
    left join txn.outbox e on e.position = taken.position`;

const NOTE = `
  insert into txn.outbox_intervention (key, version, event_id, action, actor, reason, data_before)
  values ($1, $2, $3, $4, $5, $6, $7)`;

async function resume(
  pool: Pool,
  { key, version, by, reason }: Intervention,
  action: 'retry' | 'skip' | 'edit',
  change: (client: PoolClient, position: string) => Promise<void>,
): Promise<void> {
  for (const [field, value] of Object.entries({ by, reason }))
    if (typeof value !== 'string' || value.trim() === '')
      throw new InvalidEventError(field, 'is missing', 'the name of who does it, and why: both are kept');
  const options = { timeouts: checkLocalTimeouts(), mode: 'read write', label: `txn:outbox:${action}` } as const;
  await inLocalTransaction(pool, options, async (client) => {
    const { rows } = await client.query<{ id: string; data: unknown; position: string }>(TAKE, [key, version]);
    const [event] = rows;
    if (!event) throw new NoSuchDeadLetterError(key, version);
    await client.query(NOTE, [
      key,
      version,
      event.id,
      action,
      by,
      reason,
      action === 'edit' ? JSON.stringify(event.data) : null,
    ]);
    await change(client, event.position);
    // A statement of its own: it sees what a relay has parked until the delete above had its lock.
    await client.query('update txn.outbox_queue set parked = false where key = $1 and parked', [key]);
  });
}
