/** What is removed after its time, and what never is. */
import { cleanOutbox, deadLetters, editDeadLetter, skipDeadLetter, UnpublishableEventError } from 'temporal-txn/outbox';
import { beforeEach, describe, expect, it } from 'vitest';
import { usePostgres } from '../participant/fixture';
import { startRelay, Topic, until, untilLeft, useOutbox } from './fixture';

const test = useOutbox(usePostgres(), 'clean');

const HOUR = { olderThanHours: 1 };
const left = async (): Promise<string[]> =>
  (await test.rows<{ key: string }>('select key from txn.outbox order by position')).map(({ key }) => key);
const age = (hours: number, upTo = 1_000_000): Promise<object[]> =>
  test.rows(`update txn.outbox set created_at = clock_timestamp() - make_interval(hours => $1) where position <= $2`, [
    hours,
    upTo,
  ]);
const publishAll = (): Promise<object[]> => test.rows('delete from txn.outbox_queue');
const keys = Array.from({ length: 10 }, (_, n) => `key-${n}`);

beforeEach(() => test.append(...keys));

describe('what is published', () => {
  beforeEach(publishAll);

  it.each([1, 3, 5, 10, 1_000])('and older than its time is removed, in batches of %i', async (batch) => {
    await age(2, 7);
    expect(await cleanOutbox(test.pool, { ...HOUR, batch })).toBe(7);
    expect(await left()).toEqual(keys.slice(7));
    expect(await cleanOutbox(test.pool, { ...HOUR, batch })).toBe(0);
  });

  it('and younger stays', async () => {
    await age(2);
    expect(await cleanOutbox(test.pool, { olderThanHours: 3 })).toBe(0);
    expect(await left()).toEqual(keys);
  });

  it('is removed once when several do so at the same time', async () => {
    await age(2);
    const removed = await Promise.all(Array.from({ length: 6 }, () => cleanOutbox(test.pool, { ...HOUR, batch: 2 })));
    expect(removed.reduce((sum, n) => sum + n)).toBe(10);
    expect(await left()).toEqual([]);
  });

  it('stays when it is told to stop, and where it was told in the middle', async () => {
    await age(2);
    expect(await cleanOutbox(test.pool, { ...HOUR, stop: AbortSignal.abort() })).toBe(0);
    const stop = new AbortController();
    const pool = { query: (...all: Parameters<typeof test.pool.query>) => (stop.abort(), test.pool.query(...all)) };
    // Cast: all of a pool that is asked for.
    expect(await cleanOutbox(pool as typeof test.pool, { ...HOUR, batch: 4, stop: stop.signal })).toBe(4);
    expect(await left()).toEqual(keys.slice(4));
  });

  it('goes, and its key counts on', async () => {
    await age(2);
    await cleanOutbox(test.pool, HOUR);
    await test.append('key-3');
    expect(await test.rows('select key, version::int from txn.outbox')).toEqual([{ key: 'key-3', version: 2 }]);
  });
});

it('never removes what is not published, however old, parked or not', async () => {
  const topic = new Topic(({ key }) => {
    if (key === 'key-2') throw new UnpublishableEventError('no');
    if (key === 'key-5') throw new Error('not now');
  });
  const relay = startRelay(test, topic);
  await untilLeft(test, 2);
  await until('it is parked', async () => (await deadLetters(test.pool)).length === 1);
  await relay.stop();
  await age(1_000);
  expect(await cleanOutbox(test.pool, { ...HOUR, batch: 2 })).toBe(8);
  expect(await left()).toEqual(['key-2', 'key-5']);
  // As a relay of an earlier version, which was slow, took it for published.
  await test.rows(`delete from txn.outbox_queue where key = 'key-2'`);
  expect(await cleanOutbox(test.pool, HOUR)).toBe(0);
  await test.rows('delete from txn.outbox');
  const about = { key: 'key-2', version: 1, by: 'ann', reason: 'it is gone' };
  expect(await deadLetters(test.pool)).toMatchObject([{ key: 'key-2', version: 1, eventId: '', waiting: 0 }]);
  await expect(editDeadLetter(test.pool, { ...about, data: 1 })).rejects.toMatchObject({
    name: 'DeadLetterPublishedError',
    key: 'key-2',
    version: 1,
    message: expect.stringMatching(/^Nothing was changed: .* was published already.* skipDeadLetter\(\)/),
  });
  expect(await deadLetters(test.pool)).toHaveLength(1);
  expect(await test.rows('select from txn.outbox_intervention')).toEqual([]);
  await skipDeadLetter(test.pool, about);
  expect(await deadLetters(test.pool)).toEqual([]);
});

it.each([
  { olderThanHours: 0.9 },
  { olderThanHours: NaN },
  { olderThanHours: 1_000_001 },
  { ...HOUR, batch: 0 },
  { ...HOUR, batch: 10_001 },
  { ...HOUR, batch: 1.5 },
])('refuses %j', async (options) => {
  await publishAll();
  await age(2_000_000);
  await expect(cleanOutbox(test.pool, options)).rejects.toThrow(/^Nothing was removed/);
  expect(await left()).toEqual(keys);
});
