/** What a person sees of events that could not be published, what can be done about them, and that nothing stays parked for good. */
import {
  deadLetters,
  editDeadLetter,
  retryDeadLetter,
  skipDeadLetter,
  UnpublishableEventError,
} from 'temporal-txn/outbox';
import type { DeadLetter, Intervention } from 'temporal-txn/outbox';
import { PostgresFaultProxy } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { gate, settled } from '../branch-log/fixture';
import { usePostgres } from '../participant/fixture';
import { outbox, inTransaction, openTransaction, startRelay, Topic, until, untilLeft, useOutbox } from './fixture';
import type { RunningRelay } from './fixture';

const test = useOutbox(usePostgres(), 'dead_letters');

const about = (key: string, version: number): Intervention => ({ key, version, by: 'ann', reason: 'told by phone' });
const interventions = (): Promise<object[]> =>
  test.rows(
    'select key, version::int, event_id, action, actor, reason, data_before from txn.outbox_intervention order by id',
  );
const parkedRows = async (): Promise<number> => (await test.rows('select from txn.outbox_queue where parked')).length;

/** Rejects an event for good while it says so, by its data. */
class Strict extends Topic {
  constructor(public refuses = true) {
    super(({ data }) => {
      if (this.refuses && data === 'bad') throw new UnpublishableEventError('it is bad');
    });
  }
}

const append = (key: string, ...data: readonly string[]): Promise<void> =>
  inTransaction(test.pool, (tx) =>
    outbox.append(
      tx,
      data.map((text) => ({ type: 'Happened', key, data: text })),
    ),
  );

/** A key with these events, of which a relay has parked what it could not publish. */
async function parked(
  key: string,
  ...data: readonly string[]
): Promise<{ topic: Strict; relay: RunningRelay; letter: DeadLetter }> {
  await append(key, ...data);
  const topic = new Strict();
  const relay = startRelay(test, topic);
  await until('it is parked', async () => (await deadLetters(test.pool, { key })).length === 1);
  const [letter] = await deadLetters(test.pool, { key });
  if (!letter) throw new Error('It is gone again.');
  return { topic, relay, letter };
}

describe('the list', () => {
  it('shows what is needed to decide', async () => {
    const { letter } = await parked('k', 'good', 'bad', 'good');
    const [row] = await test.rows<{ id: string }>('select id from txn.outbox where version = 2');
    expect(letter).toEqual({
      key: 'k',
      version: 2,
      eventId: row?.id,
      type: 'Happened',
      data: 'bad',
      error: 'UnpublishableEventError: Nothing was published: it is bad.',
      attempts: 1,
      parkedAt: expect.any(Date),
      waiting: 2,
    });
  });

  it('comes in pages', async () => {
    const keys = Array.from({ length: 25 }, (_, n) => `key-${String(n).padStart(2, '0')}`);
    for (const key of keys) await append(key, 'bad');
    startRelay(test, new Strict());
    await until('all are parked', async () => (await deadLetters(test.pool)).length === 25);
    const seen: string[] = [];
    for (let after = ''; ;) {
      const page = await deadLetters(test.pool, { after, limit: 10 });
      expect(page.length).toBeLessThanOrEqual(10);
      seen.push(...page.map(({ key }) => key));
      const last = page.at(-1);
      if (!last) break;
      after = last.key;
    }
    expect(seen).toEqual(keys);
    expect(await deadLetters(test.pool, { key: 'key-07' })).toMatchObject([{ key: 'key-07' }]);
    expect(await deadLetters(test.pool, { key: 'none' })).toEqual([]);
  });

  it.each([0, 1_001, 1.5])('of %d is refused', async (limit) => {
    await expect(deadLetters(test.pool, { limit })).rejects.toThrow(/^Nothing was read/);
  });
});

describe('a dead letter', () => {
  it('that is retried is published with all that comes after it', async () => {
    const { topic, letter } = await parked('k', 'good', 'bad', 'good');
    topic.refuses = false;
    await retryDeadLetter(test.pool, about('k', 2));
    await append('k', 'good');
    await untilLeft(test);
    expect(topic.of('k')).toEqual([1, 2, 3, 4]);
    expect(await deadLetters(test.pool)).toEqual([]);
    expect(await interventions()).toEqual([
      {
        key: 'k',
        version: 2,
        event_id: letter.eventId,
        action: 'retry',
        actor: 'ann',
        reason: 'told by phone',
        data_before: null,
      },
    ]);
  });

  it('that is retried in vain is parked again', async () => {
    const { topic } = await parked('k', 'bad', 'good');
    for (let n = 2; n < 5; n++) {
      await retryDeadLetter(test.pool, about('k', 1));
      await until(
        'it is parked again',
        async () => topic.tried.length === n && (await deadLetters(test.pool)).length === 1,
      );
    }
    expect(topic.received).toEqual([]);
    expect(await parkedRows()).toBe(2);
    expect(await interventions()).toHaveLength(3);
  });

  it('that is skipped is left out, and stays in the outbox', async () => {
    const { topic } = await parked('k', 'good', 'bad', 'good', 'bad', 'good');
    await skipDeadLetter(test.pool, about('k', 2));
    await until('the next is parked', async () => (await deadLetters(test.pool))[0]?.version === 4);
    await skipDeadLetter(test.pool, about('k', 4));
    await untilLeft(test);
    expect(topic.of('k')).toEqual([1, 3, 5]);
    expect(await test.rows(`select from txn.outbox where data::text = '"bad"'`)).toHaveLength(2);
    expect(await interventions()).toMatchObject([
      { version: 2, action: 'skip' },
      { version: 4, action: 'skip' },
    ]);
  });

  it('that is edited is published as another event, and what it was is kept', async () => {
    const { topic, letter } = await parked('k', 'bad', 'good');
    await editDeadLetter(test.pool, { ...about('k', 1), data: { mended: ['yes'] } });
    await untilLeft(test);
    expect(topic.received).toMatchObject([
      { key: 'k', version: 1, type: 'Happened', data: { mended: ['yes'] } },
      { key: 'k', version: 2, data: 'good' },
    ]);
    expect(topic.received[0]?.id).not.toBe(letter.eventId);
    expect(await interventions()).toMatchObject([{ event_id: letter.eventId, action: 'edit', data_before: 'bad' }]);
  });

  it.each(['after', 'before'])(
    'that is edited is published even if a slow relay publishes what it was %s that',
    async (when) => {
      await append('k', 'bad', 'good');
      const { pass, reached, open } = gate();
      const slow = new Topic(pass);
      const first = startRelay(test, slow);
      await reached;
      const topic = new Strict();
      startRelay(test, topic);
      await until('it is parked', async () => (await deadLetters(test.pool)).length === 1);
      // No relay finds it until the slow one is through.
      await test.pool.query('update txn.outbox_partition set epoch = epoch + 1');
      const edit = (): Promise<void> => editDeadLetter(test.pool, { ...about('k', 1), data: 'mended' });
      if (when === 'after') await edit();
      open();
      await first.over;
      expect(slow.received).toMatchObject([{ data: 'bad' }, { data: 'good' }]);
      if (when === 'before') await edit();
      startRelay(test, topic);
      await untilLeft(test);
      expect(topic.received[0]).toMatchObject({ version: 1, data: 'mended' });
    },
  );
});

describe('nothing is changed', () => {
  const untouched = async (): Promise<void> => {
    expect(await deadLetters(test.pool)).toMatchObject([{ key: 'k', version: 2, data: 'bad' }]);
    expect(await interventions()).toEqual([]);
    expect(await parkedRows()).toBe(2);
  };
  const actions = {
    retry: retryDeadLetter,
    skip: skipDeadLetter,
    edit: (pool: typeof test.pool, intervention: Intervention) => editDeadLetter(pool, { ...intervention, data: 1 }),
  };

  it.each(Object.entries(actions))('by a %s of another event than the one that is parked', async (_name, act) => {
    await parked('k', 'good', 'bad', 'good');
    for (const other of [about('k', 1), about('k', 3), about('other', 2)])
      await expect(act(test.pool, other)).rejects.toMatchObject({
        name: 'NoSuchDeadLetterError',
        key: other.key,
        version: other.version,
        message: expect.stringMatching(/^Nothing was changed/),
      });
    await untouched();
  });

  it.each(Object.entries(actions))('by a %s that does not say by whom and why', async (_name, act) => {
    await parked('k', 'good', 'bad', 'good');
    for (const missing of [{ by: '' }, { by: ' ' }, { reason: '' }, { reason: undefined }])
      // Cast: what JavaScript can pass.
      await expect(act(test.pool, { ...about('k', 2), ...missing } as Intervention)).rejects.toMatchObject({
        name: 'InvalidEventError',
        field: Object.keys(missing)[0],
      });
    await untouched();
  });

  it('by an edit to what is no data of an event', async () => {
    await parked('k', 'good', 'bad', 'good');
    for (const data of [undefined, 1n, 'a\0b', 'x'.repeat(1024 * 1024)])
      // Cast: what JavaScript can pass.
      await expect(editDeadLetter(test.pool, { ...about('k', 2), data: data as string })).rejects.toMatchObject({
        name: 'InvalidEventError',
        field: 'data',
      });
    await untouched();
  });

  it('by all but one of several people at the same time', async () => {
    const { topic } = await parked('k', 'bad', 'good');
    topic.refuses = false;
    const ended = await Promise.all([
      ...Array.from({ length: 3 }, () => settled(retryDeadLetter(test.pool, about('k', 1)))),
      ...Array.from({ length: 3 }, () => settled(skipDeadLetter(test.pool, about('k', 1)))),
    ]);
    expect(ended.filter((error) => error === undefined)).toHaveLength(1);
    expect(await interventions()).toHaveLength(1);
    await untilLeft(test);
    expect(topic.of('k').at(-1)).toBe(2);
  });
});

describe('a relay that parks what has come to a key, while a person takes the key up again', () => {
  const waits = async (): Promise<boolean> =>
    (await test.rows(`select from pg_stat_activity where application_name = 'relay' and wait_event_type = 'Lock'`))
      .length > 0;

  it.each([
    ['before it frees what is parked', /^\s*update txn.outbox_queue/],
    ['before it commits', /^commit/i],
  ])('and is %s', async (_when, statement) => {
    const { topic } = await parked('k', 'bad', 'good');
    topic.refuses = false;
    const { hostname: host, port } = new URL(test.url);
    const proxy = await PostgresFaultProxy.start({ target: { host, port: Number(port) } });
    const person = quietPool({ connectionString: proxy.url(test.url) });
    onTestFinished(async () => {
      await proxy.stop();
      await person.end();
    });
    const { pass, reached, open } = gate();
    onTestFinished(open);
    proxy.inject({ statement, fault: { kind: 'call', call: pass } });
    const retried = retryDeadLetter(person, about('k', 1));
    await reached;
    await append('k', 'good');
    await until('the relay has seen it', async () => (await waits()) || (await parkedRows()) === 3);
    open();
    await retried;
    await untilLeft(test);
    expect(topic.of('k')).toEqual([1, 2, 3]);
  });

  it('and came first', async () => {
    const { topic } = await parked('k', 'bad', 'good');
    topic.refuses = false;
    const [door, holder] = [await openTransaction(test.pool), await openTransaction(test.pool)];
    await door.tx.query('lock table txn.outbox_dead_letter in access exclusive mode');
    await append('k', 'good');
    await until('the relay has seen it', waits);
    // It has the dead letter next, and then waits for the row that it is about to park.
    await holder.tx.query(`select from txn.outbox_queue where key = 'k' and version = 3 for update`);
    await door.commit();
    await until('the relay is in the middle', async () => {
      const [row] = await test.rows<{ event: string }>(
        `select wait_event as event from pg_stat_activity where application_name = 'relay' and wait_event_type = 'Lock'`,
      );
      return row?.event === 'transactionid';
    });
    const retried = retryDeadLetter(test.pool, about('k', 1));
    await until(
      'the person waits for it',
      async () => (await test.rows(`select from pg_locks where not granted`)).length > 1,
    );
    await holder.commit();
    await retried;
    await untilLeft(test);
    expect(topic.of('k')).toEqual([1, 2, 3]);
  });
});
