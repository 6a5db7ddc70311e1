/** Rule X1: an event exists exactly when the transaction that appended it commits, and its key counts 1, 2, 3, … without a gap. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { defineOutbox } from 'temporal-txn/outbox';
import type { NewEvent } from 'temporal-txn/outbox';
import { defineParticipant, operation, participantActivities, refuse } from 'temporal-txn/participant';
import type { ParticipantActivities, Tx } from 'temporal-txn/participant';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { usePostgres } from '../participant/fixture';
import { generator, seedOf } from '../property/seed';
import { eventsOf, inDoubt, inTransaction, openTransaction, outbox, until, useOutbox } from './fixture';

const test = useOutbox(usePostgres(), 'append');

const event = (more: object = {}): NewEvent => ({ type: 'Happened', key: 'k', data: null, ...more });
const long = (length: number): string => 'x'.repeat(length);
const stored = (): Promise<{ key: string; version: number }[]> =>
  test.rows('select key, version::int from txn.outbox order by position');
const queued = (): Promise<{ key: string; version: number }[]> =>
  test.rows('select key, version::int from txn.outbox_queue order by position');

describe('a field', () => {
  it.each([
    ['type', [event({ type: '' })]],
    ['type', [event({ type: long(201) })]],
    ['type', [event({ type: 7 })]],
    ['type', [event({ type: undefined })]],
    ['key', [event({ key: '' })]],
    ['key', [event({ key: long(201) })]],
    ['key', [event({ key: 'a\0b' })]],
    ['key', [event({ key: 'a\nb' })]],
    ['key', [event({ key: 'half \ud83c' })]],
    ['id', [event({ id: '' })]],
    ['id', [event({ id: long(201) })]],
    ['id', [event({ id: null })]],
    ['subject', [event({ subject: '' })]],
    ['subject', [event({ subject: long(1_001) })]],
    ['dataschema', [event({ dataschema: 'no uri' })]],
    ['data', [event({ data: undefined })]],
    ['data', [event({ data: 1n })]],
    ['data', [event({ data: () => undefined })]],
    ['data', [event({ data: long(1024 * 1024 - 1) })]],
    ['data', [event({ data: { deep: ['a\0b'] } })]],
    ['data', [event({ data: { 'a\0b': 1 } })]],
    ['data', [event({ data: 'half \udf89' })]],
    ['headers', [event({ headers: 'x' })]],
    ['headers', [event({ headers: { a: 1 } })]],
    ['headers', [event({ headers: { a: 'b\0' } })]],
    ['traceparent', [event({ traceparent: '' })]],
    ['traceparent', [event({ traceparent: '00-\0' })]],
    ['tracestate', [event({ tracestate: 7 })]],
  ])('%s out of its limits is refused, and nothing is sent', async (field, events) => {
    await inTransaction(test.pool, async (tx) => {
      const appended = outbox.append(tx, [event(), ...events]);
      await expect(appended).rejects.toMatchObject({
        name: 'InvalidEventError',
        field: `events[1].${field}`,
        message: expect.stringMatching(/^Nothing was appended: /),
      });
      // The transaction is as it was.
      await tx.query('select 1');
    });
    expect(await stored()).toEqual([]);
  });

  it('at its limit is taken', async () => {
    const at = (length: number): string => '🎉'.repeat(length / 2);
    const largest = `\\"${long(1024 * 1024 - 6)}`;
    await inTransaction(test.pool, (tx) =>
      outbox.append(tx, [
        event({ type: at(200), key: at(200), id: at(200), subject: at(1_000), dataschema: 'urn:x', data: largest }),
      ]),
    );
    expect(await test.rows('select type, key, id, subject, data from txn.outbox')).toEqual([
      { type: at(200), key: at(200), id: at(200), subject: at(1_000), data: largest },
    ]);
  });

  it.each(['', 'a b', long(201), 7, undefined, '/é'])('source of an outbox may not be %j', (source) => {
    // Cast: what JavaScript can pass.
    expect(() => defineOutbox(source as string)).toThrow(expect.objectContaining({ field: 'source' }));
  });
});

describe('the list', () => {
  it.each([
    ['events', 'none'],
    ['events', { length: 1 }],
    ['events', Array.from({ length: 1_001 }, () => event())],
    ['events[0]', [null]],
    ['events[0]', ['event']],
    ['events[1].id', [event({ id: 'one' }), event({ id: 'one' })]],
  ])('is refused at %s', async (field, events) => {
    // Cast: what JavaScript can pass.
    const appended = outbox.append(test.pool, events as NewEvent[]);
    await expect(appended).rejects.toMatchObject({ name: 'InvalidEventError', field });
    expect(await stored()).toEqual([]);
  });

  it('may be empty', async () => {
    await outbox.append({ query: async () => Promise.reject(new Error('sent')) }, []);
  });

  it('may have 1000, and keeps their order', async () => {
    const keys = Array.from({ length: 1_000 }, (_, n) => `key-${n % 7}`);
    await test.append(...keys);
    const seen = new Map<string, number>();
    const next = (key: string): number => seen.set(key, (seen.get(key) ?? 0) + 1).get(key) ?? 0;
    expect(await stored()).toEqual(keys.map((key) => ({ key, version: next(key) })));
    expect(await queued()).toEqual(await stored());
  });
});

it('stores each field as it was given, and data byte for byte', async () => {
  const given = {
    type: 'Typed',
    key: "O'Hara; drop table",
    id: 'id-1',
    data: { z: 1, a: [1.5, 'é 事件 🎉 \u2028', null, true, { '': '\\u0000 as six characters' }], big: 1e300 },
    subject: 'subject',
    dataschema: 'https://schemas.example/order/1',
    headers: { b: '1', a: '2' },
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'a=b',
  };
  await inTransaction(test.pool, (tx) => outbox.append(tx, [given]));
  const [row] = await test.rows<Record<string, unknown>>('select *, data::text as text from txn.outbox');
  expect(row).toMatchObject({ ...given, source: '/shop', version: '1', transaction_id: null, branch_id: null });
  expect(row?.['text']).toBe(JSON.stringify(given.data));
});

describe('an event is there exactly when its transaction commits', () => {
  const nothing = async (): Promise<void> => {
    expect([await stored(), await queued(), await test.rows('select key from txn.outbox_key')]).toEqual([[], [], []]);
  };

  it('not before, and then at once', async () => {
    const open = await openTransaction(test.pool);
    await outbox.append(open.tx, eventsOf('k'));
    await nothing();
    await open.commit();
    expect(await stored()).toEqual([{ key: 'k', version: 1 }]);
  });

  it('not when it is rolled back', async () => {
    const failing = inTransaction(test.pool, async (tx) => {
      await outbox.append(tx, eventsOf('k', 'l'));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await nothing();
  });

  it('not when the connection is killed', async () => {
    const lost = inTransaction(test.pool, async (tx) => {
      await outbox.append(tx, eventsOf('k'));
      const [own] = (await tx.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
      await test.pool.query('select pg_terminate_backend($1, 5000)', [own?.pid]);
    });
    await expect(lost).rejects.toThrow();
    await nothing();
    await test.append('k');
    expect(await stored()).toEqual([{ key: 'k', version: 1 }]);
  });

  it('not when its savepoint is rolled back, and the versions go on without it', async () => {
    await inTransaction(test.pool, async (tx) => {
      await outbox.append(tx, eventsOf('k'));
      await tx.query('savepoint s');
      await outbox.append(tx, eventsOf('k', 'l'));
      await tx.query('rollback to savepoint s');
      await outbox.append(tx, eventsOf('k'));
    });
    expect(await stored()).toEqual([
      { key: 'k', version: 1 },
      { key: 'k', version: 2 },
    ]);
  });

  it('when a prepared transaction is committed, and never when that is rolled back', async () => {
    await inDoubt(test.pool, 'append-1', (tx) => outbox.append(tx, eventsOf('k')));
    await inDoubt(test.pool, 'append-2', (tx) => outbox.append(tx, eventsOf('l')));
    await nothing();
    await test.pool.query(`commit prepared 'append-1'`);
    await test.pool.query(`rollback prepared 'append-2'`);
    expect(await stored()).toEqual([{ key: 'k', version: 1 }]);
  });

  it('not with an id that is in use: the transaction fails as a whole', async () => {
    const append = (): Promise<void> => inTransaction(test.pool, (tx) => outbox.append(tx, [event({ id: 'one' })]));
    await append();
    await expect(append()).rejects.toMatchObject({ code: '23505' });
    expect(await stored()).toHaveLength(1);
  });
});

describe('writers of a key', () => {
  it('wait for each other, so that no version is seen before the one it follows', async () => {
    const first = await openTransaction(test.pool);
    await outbox.append(first.tx, eventsOf('k'));
    let done = false;
    const second = test.append('k').then(() => (done = true));
    await test.append('other');
    await sleep(50);
    expect(done).toBe(false);
    await first.rollback();
    await second;
    expect(await stored()).toEqual([
      { key: 'other', version: 1 },
      { key: 'k', version: 1 },
    ]);
  });

  it('make 1..n without a gap, in the order of positions, however many there are and whichever are rolled back', async () => {
    const seed = seedOf('writers');
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const kept = new Map(keys.map((key) => [key, 0]));
    const writer = async (random: () => number): Promise<void> => {
      for (let n = 0; n < 40; n++) {
        const chosen = Array.from(
          { length: 1 + Math.floor(random() * 4) },
          () => keys[Math.floor(random() * 5)] ?? 'a',
        );
        const keeps = random() < 0.6;
        await inTransaction(test.pool, async (tx) => {
          await outbox.append(tx, eventsOf(...chosen));
          if (random() < 0.2) await sleep(random() * 5);
          if (!keeps) throw new Error('rolled back');
        }).catch((error: Error) => expect(error.message).toBe('rolled back'));
        if (keeps) for (const key of chosen) kept.set(key, (kept.get(key) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, n) => writer(generator(seed + n))));
    const all = await stored();
    for (const [key, count] of kept)
      expect(all.filter((row) => row.key === key).map(({ version }) => version)).toEqual(
        Array.from({ length: count }, (_, n) => n + 1),
      );
    expect(await queued()).toEqual(all);
    const counts = await test.rows<{ key: string; version: number }>('select key, version::int from txn.outbox_key');
    expect(new Map(counts.map(({ key, version }) => [key, version]))).toEqual(kept);
  });

  it('that append to the same keys in opposite order do not deadlock', async () => {
    const keys = Array.from({ length: 40 }, (_, n) => `key-${n}`);
    const write = async (order: readonly string[]): Promise<void> => {
      for (let n = 0; n < 25; n++) await test.append(...order);
    };
    await Promise.all([write(keys), write([...keys].reverse()), write([...keys.slice(20), ...keys.slice(0, 20)])]);
    expect(await stored()).toHaveLength(3 * 25 * 40);
  });
});

describe('the function of other languages', () => {
  const call = (events: unknown): Promise<{ n: number }[]> =>
    test.rows('select txn.append_events($1) as n', [JSON.stringify(events)]);

  it('answers how many, and gives what is left out', async () => {
    expect(
      await call([
        { source: '/py', type: 'T', key: 'k' },
        { source: '/py', type: 'T', key: 'k', data: [1] },
      ]),
    ).toEqual([{ n: 2 }]);
    const nothing = { subject: null, dataschema: null, headers: null, traceparent: null, tracestate: null };
    expect(await test.rows('select * from txn.outbox order by version')).toMatchObject([
      {
        source: '/py',
        type: 'T',
        key: 'k',
        version: '1',
        data: null,
        ...nothing,
        transaction_id: null,
        branch_id: null,
      },
      { version: '2', data: [1], id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    ]);
    expect(await call([])).toEqual([{ n: 0 }]);
  });

  it.each([
    [[{ type: 'T', key: 'k' }]],
    [[{ source: '/py', key: 'k' }]],
    [[{ source: '/py', type: 'T' }]],
    [[{ source: '/py', type: '', key: 'k' }]],
    [[{ source: '/py', type: 'T', key: 'x'.repeat(201) }]],
    [{ source: '/py', type: 'T', key: 'k' }],
  ])('refuses %j', async (events) => {
    await expect(call(events)).rejects.toMatchObject({ severity: 'ERROR' });
    expect(await stored()).toEqual([]);
  });
});

describe('in an operation of a participant', () => {
  const Input = z.object({ key: z.string(), fails: z.boolean().optional() });
  const append = (tx: Tx, type: string, key: string): Promise<void> => outbox.append(tx, [{ type, key, data: {} }]);
  const shop = defineParticipant('shop', {
    order: operation({
      input: Input,
      async execute(tx, { key, fails }) {
        await append(tx, 'Ordered', key);
        if (fails === true) refuse('no', 'Not today.');
      },
      compensate: (tx, { key }) => append(tx, 'Cancelled', key),
    }),
    seat: operation({
      input: Input,
      async try(tx, { key, fails }) {
        await append(tx, 'Tried', key);
        if (fails === true) refuse('no', 'Not today.');
      },
      confirm: (tx, { key }) => append(tx, 'Confirmed', key),
      cancel: (tx, { key }) => append(tx, 'Freed', key),
    }),
  });

  let woken = 0;
  let activities: ParticipantActivities;
  let asked: { transaction: string; branch: string; input: { key: string; fails?: boolean } };
  beforeEach(() => {
    woken = 0;
    activities = participantActivities(shop, { pool: test.pool, wakeRelays: () => woken++ });
    asked = { transaction: `t-${randomUUID()}`, branch: 'one', input: { key: 'k' } };
  });

  const ask = (question: string, more: object = {}): Promise<unknown> => {
    const activity = activities[question] as (request: object) => Promise<unknown>; // Cast: one of them.
    const request = { ...asked, token: 'x', votes: 'answer', register: 'elsewhere', branches: [], ...more };
    const info = { startToCloseTimeoutMs: 10_000, attempt: 1, taskQueue: 'shop' };
    return new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') }).run(activity, request);
  };
  const refused = { input: { key: 'k', fails: true } };
  /** What there is, and that relays were woken after the commit of each, and at no other time. */
  const expectEvents = async (...types: readonly string[]): Promise<void> => {
    const rows = await test.rows<{ type: string }>(
      'select type, transaction_id, branch_id from txn.outbox order by version',
    );
    expect(rows).toEqual(types.map((type) => ({ type, transaction_id: asked.transaction, branch_id: 'one' })));
    expect(woken).toBe(types.length);
  };

  it('of a saga: one for its effect, one for its compensation, none for a refusal', async () => {
    await expect(ask('order', refused)).rejects.toMatchObject({ type: 'Refusal' });
    await expectEvents();
    asked = { ...asked, transaction: `t-${randomUUID()}` };
    await ask('order');
    await ask('order');
    await expectEvents('Ordered');
    await ask('order.compensate');
    await ask('order.compensate');
    await expectEvents('Ordered', 'Cancelled');
  });

  it('of two-phase commit: it appears with COMMIT PREPARED', async () => {
    expect(await ask('order.prepare')).toMatchObject({ vote: 'commit' });
    await expectEvents();
    expect(await ask('order.commit')).toMatchObject({ kind: 'applied' });
    await expectEvents('Ordered');
    await ask('order.commit');
    await expectEvents('Ordered');
  });

  it('of two-phase commit: none after an abort or a refusal', async () => {
    await ask('order.prepare');
    expect(await ask('order.abort')).toMatchObject({ kind: 'applied' });
    asked = { ...asked, transaction: `t-${randomUUID()}` };
    expect(await ask('order.prepare', refused)).toMatchObject({ vote: 'abort' });
    await expectEvents();
  });

  it.each([
    ['confirm', 'Confirmed'],
    ['cancel', 'Freed'],
  ])('of try-confirm-cancel: one for the try, one to %s', async (how, type) => {
    expect(await ask('seat.try')).toMatchObject({ vote: 'commit' });
    await expectEvents('Tried');
    expect(await ask(`seat.${how}`)).toMatchObject({ kind: 'applied' });
    await ask(`seat.${how}`);
    await expectEvents('Tried', type);
  });

  it('of try-confirm-cancel: none for a try that is refused, nor when there is nothing to cancel', async () => {
    expect(await ask('seat.try', refused)).toMatchObject({ vote: 'abort' });
    asked = { ...asked, transaction: `t-${randomUUID()}` };
    await ask('seat.cancel');
    await expectEvents();
  });

  it('wakes nobody when its handler is over, and none when it appended nothing', async () => {
    await ask('order');
    await until('relays were woken', () => woken === 1);
    let late: Promise<void> | undefined;
    const other = defineParticipant('shop', {
      order: operation({ input: Input, execute: async () => undefined }),
      careless: operation({
        input: Input,
        async execute(tx, { key }) {
          late = sleep(50).then(() => append(tx, 'Late', key));
        },
      }),
    });
    activities = participantActivities(other, { pool: test.pool, wakeRelays: () => woken++ });
    asked = { ...asked, transaction: `t-${randomUUID()}` };
    await ask('order');
    await ask('careless', { branch: 'two' });
    await expect(late).rejects.toMatchObject({ name: 'ForbiddenStatementError' });
    expect(woken).toBe(1);
  });
});
