/** Deciders, snapshots as a mere cache (E6), upcasting, and states as of a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Decider } from '../../../src/outbox/event-store/decider';
import type { EventOf } from '../../../src/outbox/event-store/events';
import { defineEventStore } from '../../../src/outbox/event-store/store';
import { usePostgres } from '../../participant/fixture';
import { account, deposited, inDoubt, inTransaction, newStream, store, useDatabase } from './fixture';
import type { AccountCommand, AccountEvents, AccountState } from './fixture';

const postgres = usePostgres();
const database = useDatabase(postgres, 'decider');

const handle = (
  stream: string,
  command: AccountCommand,
  id?: string,
): ReturnType<typeof store.handle<AccountState, AccountCommand>> =>
  store.handle(database.pool, account, stream, command, id === undefined ? {} : { id });

const count = async (stream: string): Promise<number> => {
  const { rows } = await database.pool.query<{ n: number }>(
    'select count(*)::int as n from txn.event where stream = $1',
    [stream],
  );
  return rows[0]?.n ?? 0;
};

describe('a decider', () => {
  it('decides on the state that the events make, and appends what it decides', async () => {
    const stream = newStream();
    expect(await handle(stream, { kind: 'open', owner: 'Alice' })).toEqual({
      state: { owner: 'Alice', balance: 0 },
      version: 1,
      events: [{ type: 'Opened', data: { owner: 'Alice' } }],
      duplicate: false,
    });
    await handle(stream, { kind: 'deposit', amount: 10 });
    expect(await handle(stream, { kind: 'withdraw', amount: 4 })).toMatchObject({ state: { balance: 6 }, version: 3 });
    expect(await store.load(database.pool, account, stream)).toEqual({
      state: { owner: 'Alice', balance: 6 },
      version: 3,
    });
    // Nothing happens: nothing is appended.
    expect(await handle(stream, { kind: 'open', owner: 'Bob' })).toMatchObject({ version: 3, events: [] });
    await expect(handle(stream, { kind: 'withdraw', amount: 7 })).rejects.toThrow('only 6 are there');
    expect(await count(stream)).toBe(3);
  });

  it('never overdraws, however many decide at once, and all who may do so come through', async () => {
    const stream = newStream();
    await handle(stream, { kind: 'deposit', amount: 50 });
    const answers = await Promise.allSettled(
      Array.from({ length: 60 }, () => handle(stream, { kind: 'withdraw', amount: 1 })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(50);
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(new Set(refused.map(({ reason }) => String(reason)))).toEqual(new Set(['Error: only 0 are there']));
    expect(await store.load(database.pool, account, stream)).toMatchObject({ state: { balance: 0 }, version: 51 });
  });

  it('opens a stream once when many do at the same time', async () => {
    const stream = newStream();
    await Promise.all(Array.from({ length: 20 }, (_, i) => handle(stream, { kind: 'open', owner: `owner ${i}` })));
    expect(await count(stream)).toBe(1);
  });

  it('tries in a transaction of the caller once, and leaves it usable', async () => {
    const stream = newStream();
    await handle(stream, { kind: 'open', owner: 'Alice' });
    const overtaken: typeof account = {
      ...account,
      decide: (command, state) => {
        overtake ??= handle(stream, { kind: 'deposit', amount: 1 });
        return account.decide(command, state);
      },
    };
    let overtake: Promise<unknown> | undefined;
    await inTransaction(database.pool, async (tx) => {
      const slow = {
        query: async (text: string, values: readonly string[]) => {
          if (text.includes('try_append')) await overtake;
          return tx.query(text, [...values]);
        },
      };
      await expect(store.handle(slow, overtaken, stream, { kind: 'deposit', amount: 5 })).rejects.toMatchObject({
        name: 'WrongExpectedVersionError',
        expected: 1,
        actual: 2,
      });
      await store.handle(tx, account, stream, { kind: 'deposit', amount: 5 });
    });
    expect(await store.load(database.pool, account, stream)).toMatchObject({ state: { balance: 6 }, version: 3 });
  });

  it('handles a command with an id once, in whatever state it comes again', async () => {
    const stream = newStream();
    await handle(stream, { kind: 'deposit', amount: 10 });
    const first = await handle(stream, { kind: 'withdraw', amount: 10 }, 'w-1');
    expect(first).toMatchObject({ duplicate: false, version: 2, state: { balance: 0 } });
    // Decided again, it would be refused.
    expect(await handle(stream, { kind: 'withdraw', amount: 10 }, 'w-1')).toEqual({ ...first, duplicate: true });
    await handle(stream, { kind: 'deposit', amount: 3 });
    expect(await handle(stream, { kind: 'withdraw', amount: 10 }, 'w-1')).toMatchObject({
      duplicate: true,
      version: 3,
      state: { balance: 3 },
      events: [{ type: 'Withdrawn', data: { amount: 10 } }],
    });
    expect(await count(stream)).toBe(3);
  });

  it('handles a command with an id once when it comes many times at once, also where it decides differently each time', async () => {
    const stream = newStream();
    let decisions = 0;
    const fickle: Decider<AccountState, AccountCommand, AccountEvents> = {
      ...account,
      decide: () => [deposited(++decisions), deposited(100)],
    };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        store.handle(database.pool, fickle, stream, { kind: 'deposit', amount: 0 }, { id: `fickle-${stream}` }),
      ),
    );
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ events }) => JSON.stringify(events))).size).toBe(1);
    expect(await count(stream)).toBe(2);
  });

  it('tells one of many that come at once from its duplicates', async () => {
    const stream = newStream();
    const deposit = { kind: 'deposit', amount: 5 } as const;
    const answers = await Promise.all(Array.from({ length: 20 }, () => handle(stream, deposit, `same-${stream}`)));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ version, state }) => `${version} ${state.balance}`))).toEqual(new Set(['1 5']));
  });

  it('gives the state that is read again, not one that JSON cannot hold', async () => {
    type Dated = { Noted: { at: unknown } };
    const dated = defineEventStore<Dated>({ Noted: [] });
    const decider: Decider<unknown, null, Dated> = {
      initialState: null,
      decide: () => [{ type: 'Noted', data: { at: new Date(0) } }],
      evolve: (_, { data }) => data.at,
    };
    const stream = newStream();
    const { state } = await dated.handle(database.pool, decider, stream, null);
    expect(state).toBe('1970-01-01T00:00:00.000Z');
    expect((await dated.load(database.pool, decider, stream)).state).toBe(state);
  });

  it('lets no evolve change the initial state of all streams', async () => {
    const leaky: Decider<{ all: number[] }, null, AccountEvents> = {
      initialState: { all: [] },
      decide: () => [deposited(1)],
      evolve: (state) => {
        state.all.push(1);
        return state;
      },
    };
    await expect(store.handle(database.pool, leaky, newStream(), null)).rejects.toThrow(TypeError);
  });

  it.each(['', 'x'.repeat(181), 'a\0'])('refuses the command id %j', async (id) => {
    await expect(handle(newStream(), { kind: 'deposit', amount: 1 }, id)).rejects.toMatchObject({
      name: 'InvalidEventError',
      field: 'id',
    });
  });

  it('decides on what is committed while an append to its stream is in doubt, and then waits for it', async () => {
    const stream = newStream();
    await handle(stream, { kind: 'deposit', amount: 10 });
    await inDoubt(database.pool, stream, (tx) => store.handle(tx, account, stream, { kind: 'withdraw', amount: 10 }));
    expect((await store.load(database.pool, account, stream)).state.balance).toBe(10);
    await expect(
      store.handle(database.pool, account, stream, { kind: 'withdraw', amount: 10 }, { timeouts: { lockMs: 100 } }),
    ).rejects.toMatchObject({ code: '55P03' });
    const second = expect(handle(stream, { kind: 'withdraw', amount: 10 })).rejects.toThrow('only 0 are there');
    await sleep(100);
    await database.pool.query(`commit prepared '${stream}'`);
    await second;
  });
});

describe('a snapshot', () => {
  const cached = (code: string, extra: object = {}): typeof account => ({
    ...account,
    snapshots: { code, every: 10, ...extra },
  });
  async function snapshots(stream: string): Promise<unknown[]> {
    const { rows } = await database.pool.query<{ code: string; version: number; state: unknown }>(
      'select code, version, state from txn.snapshot where stream = $1 order by code',
      [stream],
    );
    return rows;
  }

  it('spares reading the stream, and changes nothing when it is deleted (E6)', async () => {
    const stream = newStream();
    const decider = cached('account:1');
    const plain = newStream();
    for (let i = 1; i <= 35; i++) {
      // Deleted at any moment.
      if (i % 7 === 0) await database.pool.query('delete from txn.snapshot');
      const command = { kind: 'deposit', amount: i } as const;
      const [a, b] = [
        await store.handle(database.pool, decider, stream, command),
        await store.handle(database.pool, account, plain, command),
      ];
      expect(a).toEqual(b);
    }
    expect(await snapshots(stream)).toEqual([
      { code: 'account:1', version: 35, state: { owner: null, balance: (35 * 36) / 2 } },
    ]);
    const read: string[] = [];
    const watched = {
      query: (text: string, values: readonly string[]) => {
        if (text.includes('from txn.event')) read.push(values[1] ?? '');
        return database.pool.query(text, [...values]);
      },
    };
    const loaded = await store.load(watched, decider, stream);
    expect(read).toEqual(['35']);
    await database.pool.query('delete from txn.snapshot');
    expect(await store.load(watched, decider, stream)).toEqual(loaded);
    expect(read).toEqual(['35', '0']);
  });

  it('of other code is not looked at', async () => {
    const stream = newStream();
    const changed = {
      ...cached('account:2'),
      evolve: (state: AccountState) => ({ ...state, balance: state.balance + 1 }),
    };
    for (let i = 0; i < 10; i++)
      await store.handle(database.pool, cached('account:1'), stream, { kind: 'deposit', amount: 100 });
    expect(await snapshots(stream)).toHaveLength(1);
    expect(await store.load(database.pool, changed, stream)).toMatchObject({ state: { balance: 10 } });
    await store.handle(database.pool, changed, stream, { kind: 'deposit', amount: 100 });
    expect(await snapshots(stream)).toMatchObject([
      { code: 'account:1', version: 10, state: { balance: 1000 } },
      { code: 'account:2', version: 11, state: { balance: 11 } },
    ]);
  });

  it('goes with an append that is rolled back', async () => {
    const stream = newStream();
    const decider = cached('account:1', { every: 1 });
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 1 });
    await expect(
      inTransaction(database.pool, async (tx) => {
        await store.handle(tx, decider, stream, { kind: 'deposit', amount: 100 });
        throw new Error('later');
      }),
    ).rejects.toThrow('later');
    expect((await store.load(database.pool, decider, stream)).state.balance).toBe(1);
    expect(await snapshots(stream)).toMatchObject([{ version: 1 }]);
  });

  it('is not used for a state as of a time, nor where it is ahead of its stream', async () => {
    const stream = newStream();
    const decider = cached('account:1', { every: 1 });
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 1 });
    await sleep(5);
    const then = new Date();
    await sleep(5);
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 2 });
    expect((await store.load(database.pool, decider, stream, { until: then })).state.balance).toBe(1);
    await database.pool.query(`update txn.snapshot set version = 9, state = '{"balance": 99}' where stream = $1`, [
      stream,
    ]);
    expect((await store.load(database.pool, decider, stream)).state.balance).toBe(3);
    // The stream gets there, with other events than the lost ones.
    for (let version = 3; version <= 9; version++) await handle(stream, { kind: 'deposit', amount: 1 });
    expect(await store.load(database.pool, decider, stream)).toMatchObject({ state: { balance: 10 }, version: 9 });
    await database.pool.query('update txn.snapshot set version = 99 where stream = $1', [stream]);
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 1 });
    expect(await snapshots(stream)).toMatchObject([{ version: 10, state: { balance: 11 } }]);
  });

  it('is used although the times of its stream are ahead of the clock', async () => {
    const stream = newStream();
    const decider = cached('account:1', { every: 1 });
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 1 });
    await database.pool.query('alter table txn.event disable trigger user');
    await database.pool.query("update txn.event set created_at = created_at + interval '1 hour' where stream = $1", [
      stream,
    ]);
    await database.pool.query('alter table txn.event enable trigger user');
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 2 });
    await database.pool.query(`update txn.snapshot set state = '{"balance": 7}' where stream = $1`, [stream]);
    expect((await store.load(database.pool, decider, stream)).state.balance).toBe(7);
  });

  it('of events that were deleted is not used', async () => {
    const stream = newStream();
    const decider = cached('account:1', { every: 1 });
    await store.handle(database.pool, decider, stream, { kind: 'deposit', amount: 1 });
    await database.pool.query('delete from txn.event where stream = $1', [stream]);
    expect(await store.load(database.pool, decider, stream)).toEqual({ state: account.initialState, version: 0 });
  });

  it('of a state that JSON cannot hold is refused with the first command, or written and read', async () => {
    const bags = (snapshots: object): Decider<Map<string, number>, null, AccountEvents> => ({
      initialState: new Map(),
      decide: () => [deposited(2)],
      evolve: (state, { type }) => new Map([...state, [type, (state.get(type) ?? 0) + 1]]),
      snapshots: { code: 'bag', every: 2, ...snapshots },
    });
    const stream = newStream();
    await expect(store.handle(database.pool, bags({}), stream, null)).rejects.toMatchObject({
      name: 'InvalidSnapshotError',
    });
    const write = (state: Map<string, number>): unknown => [...state];
    await expect(
      store.handle(database.pool, bags({ write, read: () => new Map([['x', 1]]) }), stream, null),
    ).rejects.toMatchObject({ name: 'InvalidSnapshotError' });
    const good = bags({ write, read: (stored: [string, number][]) => new Map(stored) });
    for (let i = 0; i < 5; i++) await store.handle(database.pool, good, stream, null);
    expect(await snapshots(stream)).toMatchObject([{ version: 4, state: [['Deposited', 4]] }]);
    expect((await store.load(database.pool, good, stream)).state).toEqual(new Map([['Deposited', 5]]));
  });

  it('of a state that cannot be stored is left out, and no command fails for it', async () => {
    const noted = {
      initialState: { balance: 0 },
      decide: (amount: number) => [deposited(amount)],
      // The first one, of amount 0, JSON can hold.
      evolve: ({ balance }: { balance: number }, { data }: EventOf<AccountEvents>) =>
        'amount' in data && data.amount > 0 ? { balance: balance + data.amount, note: undefined } : { balance },
    };
    const code = newStream();
    const warnings: string[] = [];
    const listen = ({ name, message }: Error): unknown => name === 'SnapshotWarning' && warnings.push(message);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const [stream, plain] = [newStream(), newStream()];
    const said: number[] = [];
    for (const amount of [0, 1, 2, 3, 4]) {
      const decider = { ...noted, snapshots: { code, every: 3 } };
      expect(await store.handle(database.pool, decider, stream, amount)).toStrictEqual(
        await store.handle(database.pool, noted, plain, amount),
      );
      said.push(warnings.length);
    }
    // Before a state is due, and once.
    expect(said).toEqual([0, 1, 1, 1, 1]);
    expect(warnings[0]).toContain(code);
    expect(await snapshots(stream)).toEqual([]);
    const bare = { ...noted, snapshots: { code, every: 3, write: () => ({}), read: () => ({ balance: 0 }) } };
    expect(await store.handle(database.pool, bare, stream, 5)).toMatchObject({ state: { balance: 15 } });
    expect(await store.load(database.pool, bare, stream)).toMatchObject({ state: { balance: 15 } });
  });

  it.each([{ code: '' }, { code: 'x', every: 0 }, { code: 'x', every: 1.5 }])('refuses %j', async (snapshots) => {
    await expect(
      store.handle(database.pool, { ...account, snapshots }, newStream(), { kind: 'deposit', amount: 1 }),
    ).rejects.toMatchObject({ name: 'InvalidEventError' });
  });
});

describe('an old event', () => {
  type First = { Deposited: { amount: number } };
  type Third = { Deposited: { cents: number; currency: string } };
  const first = defineEventStore<First>({ Deposited: [] });
  const second = defineEventStore<{ Deposited: { cents: number } }>({
    Deposited: [({ amount }: { amount: number }) => ({ cents: amount * 100 })],
  });
  const third = defineEventStore<Third>({
    Deposited: [
      ({ amount }: { amount: number }) => ({ cents: amount * 100 }),
      ({ cents }: { cents: number }) => ({ cents, currency: 'EUR' }),
    ],
  });

  it('is brought up to date from whatever form it has', async () => {
    const stream = newStream();
    await inTransaction(database.pool, async (tx) => {
      await first.appendToStream(tx, stream, 0, [{ type: 'Deposited', data: { amount: 1 } }]);
      await second.appendToStream(tx, stream, 1, [{ type: 'Deposited', data: { cents: 200 } }]);
      await third.appendToStream(tx, stream, 2, [{ type: 'Deposited', data: { cents: 300, currency: 'CHF' } }]);
    });
    const data = [];
    for await (const event of third.readStream(database.pool, stream)) data.push(event.data);
    expect(data).toEqual([
      { cents: 100, currency: 'EUR' },
      { cents: 200, currency: 'EUR' },
      { cents: 300, currency: 'CHF' },
    ]);
  });

  it('is found by a newer program that repeats the append', async () => {
    const stream = newStream();
    await inTransaction(database.pool, (tx) =>
      first.appendToStream(tx, stream, 0, [{ type: 'Deposited', data: { amount: 1 }, id: stream }]),
    );
    expect(
      await inTransaction(database.pool, (tx) =>
        second.appendToStream(tx, stream, 0, [{ type: 'Deposited', data: { cents: 100 }, id: stream }]),
      ),
    ).toEqual({ outcome: 'stored', first: 1, last: 1 });
  });

  it('that cannot be brought up to date is not read as something else', async () => {
    const failing = defineEventStore<Third>({
      Deposited: [
        ({ amount }: { amount: number }) => ({ cents: amount }),
        () => {
          throw new Error('no such currency');
        },
      ],
    });
    const stream = newStream();
    await inTransaction(database.pool, (tx) =>
      first.appendToStream(tx, stream, 0, [{ type: 'Deposited', data: { amount: 1 }, id: stream }]),
    );
    const evolving = { initialState: 0, evolve: (state: number) => state + 1 };
    await expect(failing.load(database.pool, evolving, stream)).rejects.toMatchObject({
      name: 'UnreadableEventError',
      eventId: stream,
      message: expect.stringMatching(/revision 2 to 3 failed \(no such currency\)/),
    });
    // One that a newer program has written.
    await inTransaction(database.pool, (tx) =>
      third.appendToStream(tx, stream, 1, [{ type: 'Deposited', data: { cents: 1, currency: 'EUR' } }]),
    );
    await expect(first.load(database.pool, evolving, stream)).rejects.toThrow(
      /has revision 3, and this program knows up to 1/,
    );
  });

  it('that is gone from the middle of a stream stops its readers', async () => {
    const stream = newStream();
    for (let i = 0; i < 3; i++) await handle(stream, { kind: 'deposit', amount: 1 });
    await database.pool.query('delete from txn.event where stream = $1 and version = 2', [stream]);
    await expect(store.load(database.pool, account, stream)).rejects.toThrow(/has no version 2, and one 3/);
  });

  it('is among all of a long stream', async () => {
    const stream = newStream();
    for (let i = 0; i < 3; i++)
      await inTransaction(database.pool, (tx) =>
        store.appendToStream(
          tx,
          stream,
          i * 1000,
          Array.from({ length: 1000 }, () => deposited(1)),
        ),
      );
    expect(await store.load(database.pool, account, stream)).toMatchObject({ state: { balance: 3000 }, version: 3000 });
  });
});

it.each([{ '': [] }, { Opened: 5 }])('declares no store of %j', (types) => {
  expect(() => defineEventStore(types as never)).toThrow(/Nothing was appended/);
});
