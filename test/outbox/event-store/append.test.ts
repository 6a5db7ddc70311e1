/** Appending to streams: rules E1 to E4, what is refused before anything is sent, and the function for other languages. */
import { describe, expect, it } from 'vitest';
import { defineOutbox } from '../../../src/outbox/append';
import type { NewStreamEvent } from '../../../src/outbox/event-store/events';
import { gate } from '../../branch-log/fixture';
import { usePostgres } from '../../participant/fixture';
import { deposited, inDoubt, inTransaction, newStream, store, useDatabase } from './fixture';
import type { AccountEvents } from './fixture';

const postgres = usePostgres();
const database = useDatabase(postgres, 'append');

type Expected = number | 'none' | 'any';

const append = (
  stream: string,
  expected: Expected,
  events: readonly NewStreamEvent<AccountEvents>[],
): ReturnType<typeof store.appendToStream> =>
  inTransaction(database.pool, (tx) => store.appendToStream(tx, stream, expected, events));

const ids = async (stream: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { id } of store.readStream(database.pool, stream)) found.push(id);
  return found;
};

const versions = async (stream: string): Promise<number[]> => {
  const { rows } = await database.pool.query<{ version: number }>(
    'select version from txn.event where stream = $1 order by version',
    [stream],
  );
  return rows.map(({ version }) => version);
};

describe('appending to a stream', () => {
  it('numbers its events 1..n and reads them as they were appended (E1)', async () => {
    const stream = newStream();
    expect(await append(stream, 'none', [{ type: 'Opened', data: { owner: 'Alice ß' } }, deposited(5)])).toEqual({
      outcome: 'appended',
      first: 1,
      last: 2,
    });
    expect(await append(stream, 2, [deposited(7, `${stream}-7`)])).toEqual({ outcome: 'appended', first: 3, last: 3 });
    expect(await append(stream, 'any', [{ ...deposited(1), metadata: { by: 'ann', at: ['x'] } }])).toMatchObject({
      first: 4,
    });
    const events = [];
    for await (const event of store.readStream(database.pool, stream)) events.push(event);
    expect(events).toEqual([
      {
        type: 'Opened',
        data: { owner: 'Alice ß' },
        id: expect.any(String),
        stream,
        version: 1,
        time: expect.any(Date),
      },
      { type: 'Deposited', data: { amount: 5 }, id: expect.any(String), stream, version: 2, time: expect.any(Date) },
      { type: 'Deposited', data: { amount: 7 }, id: `${stream}-7`, stream, version: 3, time: expect.any(Date) },
      expect.objectContaining({ version: 4, metadata: { by: 'ann', at: ['x'] } }),
    ]);
  });

  it.each<[string, Expected, number]>([
    ['none, and there is one', 'none', 2],
    ['0, and there is one', 0, 2],
    ['an older one', 1, 2],
    ['one to come', 3, 2],
    ['the highest', 2 ** 31 - 1, 2],
    ['one of a stream that does not exist', 4, 0],
  ])('appends nothing when the expected version is %s', async (_, expected, actual) => {
    const stream = newStream();
    if (actual > 0) await append(stream, 'none', [deposited(1), deposited(2)]);
    await expect(append(stream, expected, [deposited(3)])).rejects.toMatchObject({
      name: 'WrongExpectedVersionError',
      stream,
      expected: expected === 'none' ? 0 : expected,
      actual,
    });
    expect(await versions(stream)).toHaveLength(actual);
  });

  it('leaves the transaction usable when the version is wrong', async () => {
    const stream = newStream();
    await inTransaction(database.pool, async (tx) => {
      await store.appendToStream(tx, stream, 'none', [deposited(1)]);
      await expect(store.appendToStream(tx, stream, 'none', [deposited(2)])).rejects.toThrow(/has version 1, not 0/);
      await store.appendToStream(tx, stream, 1, [deposited(3)]);
    });
    expect(await versions(stream)).toEqual([1, 2]);
  });

  it.each<Expected>(['none', 'any', 0, 1, 2, 3, 5, 77])(
    'finds a repeated append there when %s is expected (E2, E3)',
    async (expected) => {
      const stream = newStream();
      const batch = [deposited(3, `${stream}-3`), deposited(4, `${stream}-4`)];
      await append(stream, 'none', [deposited(1)]);
      await append(stream, 1, batch);
      const stored = { outcome: 'stored', first: 2, last: 3 };
      expect(await append(stream, expected, batch)).toEqual(stored);
      // The order of keys is none of the content.
      await append(stream, 'any', [deposited(9)]);
      expect(await append(stream, expected, batch)).toEqual(stored);
      expect(await versions(stream)).toEqual([1, 2, 3, 4]);
    },
  );

  it('tells a repeated append by the values, not by the order of their keys', async () => {
    const wide = newStream();
    const send = (metadata: Record<string, string>, data: object): Promise<unknown> =>
      append(wide, 'any', [{ type: 'Deposited', data: data as { amount: number }, id: `${wide}-1`, metadata }]);
    await send({ a: '1' }, { amount: 1, at: new Date(0) });
    expect(await send({ b: '2' }, { at: '1970-01-01T00:00:00.000Z', amount: 1 })).toMatchObject({ outcome: 'stored' });
  });

  it.each<[string, 'another list' | 'another content' | 'another stream', (a: string, b: string) => unknown[]]>([
    ['some are new', 'another list', (a, b) => [deposited(1, a), deposited(2, b), deposited(3, `${a}-new`)]],
    ['the order is another', 'another list', (a, b) => [deposited(2, b), deposited(1, a)]],
    ['the data is another', 'another content', (a, b) => [deposited(1, a), deposited(99, b)]],
    ['the type is another', 'another content', (a) => [{ type: 'Withdrawn', data: { amount: 1 }, id: a }]],
    ['they are in another stream', 'another stream', (a) => [deposited(1, a)]],
  ])('refuses ids that are in use: %s', async (_, conflict, make) => {
    const stream = newStream();
    const [a, b] = [`${stream}-a`, `${stream}-b`];
    await append(stream, 'none', [deposited(1, a), deposited(2, b)]);
    const target = conflict === 'another stream' ? newStream() : stream;
    const events = make(a, b) as NewStreamEvent<AccountEvents>[];
    for (const expected of ['any', 0, 2, 'none'] as const)
      await expect(append(target, expected, events)).rejects.toMatchObject({
        name: 'EventIdInUseError',
        conflict,
        found: expect.arrayContaining([{ id: a, stream, version: 1 }]),
      });
    expect(await ids(stream)).toEqual([a, b]);
    expect(await ids(target)).toEqual(target === stream ? [a, b] : []);
  });

  it('refuses an id that another stream gets at the same moment', async () => {
    const [one, two] = [newStream(), newStream()];
    const appended = gate();
    const first = inTransaction(database.pool, async (tx) => {
      await store.appendToStream(tx, one, 'none', [deposited(1, one)]);
      await appended.pass();
      await tx.query('select pg_sleep(0.3)');
    });
    await appended.reached;
    appended.open();
    await expect(append(two, 'none', [deposited(1, one)])).rejects.toMatchObject({
      name: 'EventIdInUseError',
      conflict: 'another stream',
    });
    await first;
  });

  it('appends all events of a batch or none (E4)', async () => {
    const stream = newStream();
    await expect(
      inTransaction(database.pool, async (tx) => {
        await store.appendToStream(tx, stream, 'none', [deposited(1), deposited(2)]);
        throw new Error('later');
      }),
    ).rejects.toThrow('later');
    expect(await versions(stream)).toEqual([]);
    const clash = `${stream}-clash`;
    await append(newStream(), 'none', [deposited(1, clash)]);
    await expect(append(stream, 'none', [deposited(1), deposited(2, clash), deposited(3)])).rejects.toThrow();
    expect(await versions(stream)).toEqual([]);
  });

  it('waits for an append in doubt to the same stream, and sees what became of it', async () => {
    const [stream, gid] = [newStream(), `append-${Date.now()}`];
    await inDoubt(database.pool, gid, (tx) => store.appendToStream(tx, stream, 'none', [deposited(1, stream)]));
    const again = append(stream, 'none', [deposited(1, stream)]);
    const other = append(newStream(), 'none', [deposited(1)]);
    expect(await other).toMatchObject({ outcome: 'appended' });
    await database.pool.query(`commit prepared '${gid}'`);
    expect(await again).toEqual({ outcome: 'stored', first: 1, last: 1 });
  });

  it('never lets a time go back within a stream', async () => {
    const stream = newStream();
    await append(stream, 'none', [deposited(1)]);
    await database.pool.query(`alter table txn.event disable trigger event_never_changes`);
    await database.pool.query(`update txn.event set created_at = now() + interval '1 hour' where stream = $1`, [
      stream,
    ]);
    await database.pool.query(`alter table txn.event enable trigger event_never_changes`);
    await append(stream, 1, [deposited(2)]);
    const { rows } = await database.pool.query<{ times: number }>(
      'select count(distinct created_at)::int as times from txn.event where stream = $1',
      [stream],
    );
    expect(rows).toEqual([{ times: 1 }]);
  });

  it('lets nobody change what has happened', async () => {
    const stream = newStream();
    await append(stream, 'none', [deposited(1)]);
    await expect(
      database.pool.query(`update txn.event set data = '{"amount": 2}' where stream = $1`, [stream]),
    ).rejects.toThrow(/what has happened stays/);
  });

  it('publishes through the outbox in the same transaction, and once', async () => {
    const outbox = defineOutbox<AccountEvents>('/accounts');
    const stream = newStream();
    const events = [deposited(1, `${stream}-1`), deposited(2, `${stream}-2`)];
    const send = (): Promise<unknown> =>
      inTransaction(database.pool, (tx) => store.appendToStream(tx, stream, 'none', events, { outbox }));
    await send();
    await send();
    const { rows } = await database.pool.query(
      'select id, type, key, version::int as version, data from txn.outbox where key = $1 order by version',
      [stream],
    );
    expect(rows).toEqual([
      { id: `${stream}-1`, type: 'Deposited', key: stream, version: 1, data: { amount: 1 } },
      { id: `${stream}-2`, type: 'Deposited', key: stream, version: 2, data: { amount: 2 } },
    ]);
  });
});

describe('what is refused before anything is sent', () => {
  const unused = { query: () => Promise.reject(new Error('was sent')) };

  it('what only the outbox refuses', async () => {
    const outbox = defineOutbox<AccountEvents>('/accounts');
    const opened = { type: 'Opened', data: { owner: 'a\0b' } } as const;
    await expect(store.appendToStream(unused, 's', 'none', [opened], { outbox })).rejects.toMatchObject({
      name: 'InvalidEventError',
      field: 'events[0].data',
    });
  });

  it.each([-1, 1.5, 2 ** 31, NaN, Infinity, -0.5, '1', null, undefined, 1n, {}])(
    'the expected version %s',
    async (expected) => {
      await expect(store.appendToStream(unused, 's', expected as never, [deposited(1)])).rejects.toMatchObject({
        name: 'InvalidEventError',
        field: 'expected version',
      });
    },
  );

  it.each<[string, unknown[]]>([
    ['events', []],
    ['events', Array.from({ length: 1001 }, () => deposited(1))],
    ['events[0].type', [{ type: 'Unheard', data: {} }]],
    ['events[0].type', [{ type: '', data: {} }]],
    ['events[0].type', [{ type: '__proto__', data: {} }]],
    ['events[0].id', [deposited(1, '')]],
    ['events[0].id', [deposited(1, 'x'.repeat(201))]],
    ['events[0].id', [deposited(1, 'a\0')]],
    ['events[1].id', [deposited(1, 'a'), deposited(1, 'a')]],
    ['events[0].data', [{ type: 'Deposited' }]],
    ['events[0].data', [{ type: 'Deposited', data: 1n }]],
    ['events[0].data', [{ type: 'Deposited', data: 'x'.repeat(1024 * 1024) }]],
    ['events[0].metadata', [{ type: 'Deposited', data: {}, metadata: () => 1 }]],
    ['events', Array.from({ length: 70 }, () => ({ type: 'Deposited', data: 'x'.repeat(1_000_000) }))],
  ])('%s', async (field, events) => {
    await expect(store.appendToStream(unused, 's', 'any', events as never)).rejects.toMatchObject({
      name: 'InvalidEventError',
      field,
    });
  });

  it.each(['', 'x'.repeat(201), 'a\0b', 5, undefined])('the stream %j', async (stream) => {
    await expect(store.appendToStream(unused, stream as string, 'any', [deposited(1)])).rejects.toMatchObject({
      name: 'InvalidEventError',
      field: 'stream',
    });
  });
});

describe('txn.append_to_stream, for other languages', () => {
  const call = async (stream: string, expected: number | null, events: unknown): Promise<number> => {
    const { rows } = await database.pool.query<{ version: number }>(
      'select txn.append_to_stream($1, $2, $3::json) as version',
      [stream, expected, typeof events === 'string' ? events : JSON.stringify(events)],
    );
    return rows[0]?.version ?? 0;
  };

  it('answers with the last version, also when it is repeated', async () => {
    const stream = newStream();
    const events = [
      { type: 'Opened', data: { owner: 'x' } },
      { type: 'Deposited', data: { amount: 1 }, id: `${stream}-2` },
    ];
    expect(await call(stream, 0, events)).toBe(2);
    expect(await call(stream, 2, [events[1]])).toBe(2);
    expect(await call(stream, null, [events[0]])).toBe(3);
  });

  it('raises where nothing is appended', async () => {
    const stream = newStream();
    await call(stream, 0, [deposited(1, `${stream}-1`)]);
    await expect(call(stream, 5, [deposited(1)])).rejects.toMatchObject({
      code: 'TXN01',
      message: `nothing was appended: stream ${stream} has version 1, not 5`,
      detail: '{"outcome" : "version", "actual" : 1}',
    });
    await expect(call(stream, null, [deposited(2, `${stream}-1`)])).rejects.toMatchObject({ code: 'TXN02' });
    for (const [expected, events] of [
      [-1, [deposited(1)]],
      [null, []],
      [null, '{}'],
      [null, [{ data: 1 }]],
      [null, [{ type: 'x' }]],
      [null, [deposited(1, 'twice'), deposited(1, 'twice')]],
    ] as const)
      await expect(call(stream, expected, events)).rejects.toThrow();
    expect(await versions(stream)).toEqual([1]);
  });
});
