/** Projections: effect and position in one transaction (E5), rebuild, stops (E7), and one runner at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { PostgresFaultProxy } from 'temporal-txn/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../../quiet-pool';
import type { UnreadableEventError } from '../../../src/outbox/errors';
import { Numbering } from '../../../src/outbox/event-store/numbering';
import { defineProjection, step } from '../../../src/outbox/event-store/projection';
import type { AnyProjection, EventFailure, Projection } from '../../../src/outbox/event-store/projection';
import { headPosition } from '../../../src/outbox/event-store/read';
import { rebuildProjection } from '../../../src/outbox/event-store/rebuild';
import { runProjections } from '../../../src/outbox/event-store/run-projections';
import type { RunProjectionsOptions } from '../../../src/outbox/event-store/run-projections';
import { projectionStatus } from '../../../src/outbox/event-store/status';
import { defineEventStore } from '../../../src/outbox/event-store/store';
import type { HandlerTransaction } from '../../../src/outbox/handler-transaction';
import { usePostgres } from '../../participant/fixture';
import { deposited, inDoubt, inTransaction, newStream, seeded, store, useDatabase } from './fixture';
import type { AccountEvents } from './fixture';

const postgres = usePostgres();
const database = useDatabase(
  postgres,
  'projections',
  `create table balance (account text primary key, amount bigint not null);
   create table line (position bigint primary key, text text not null);`,
);

const balances = defineProjection<AccountEvents>({
  name: 'balances',
  store,
  on: {
    Opened: (tx, { stream }) => tx.query('insert into balance values ($1, 0) on conflict do nothing', [stream]),
    Deposited: (tx, { stream, data }) => add(tx, stream, data.amount),
    Withdrawn: (tx, { stream, data }) => add(tx, stream, -data.amount),
  },
  reset: (tx) => tx.query('delete from balance'),
});

// Not idempotent, and sensitive to order: applied twice, or out of order, it would be another table.
const add = (tx: HandlerTransaction, account: string, amount: number): Promise<unknown> =>
  tx.query(
    'insert into balance as b values ($1, $2) on conflict (account) do update set amount = (b.amount * 31 + $2) % 1000003',
    [account, amount],
  );

const lines = defineProjection<AccountEvents>({
  name: 'lines',
  store,
  on: {
    Deposited: (tx, { position, stream, version, time, data }) =>
      tx.query('insert into line values ($1, $2)', [
        position,
        `${stream}/${version} ${time.toISOString()} ${data.amount}`,
      ]),
  },
  reset: (tx) => tx.query('delete from line'),
});

const content = async (table: 'balance' | 'line', pool: Pool = database.pool): Promise<string> => {
  const { rows } = await pool.query<{ all: string | null }>(
    `select string_agg(t::text, E'\\n' order by t::text) as all from ${table} t`,
  );
  return rows[0]?.all ?? '';
};

const append = (stream: string, ...amounts: number[]): Promise<unknown> =>
  inTransaction(database.pool, (tx) =>
    store.appendToStream(
      tx,
      stream,
      'any',
      amounts.map((amount) => deposited(amount)),
    ),
  );

async function number(): Promise<number> {
  for (let last = -1; ;) {
    await database.pool.query('call txn.number_events(10000)');
    const head = await headPosition(database.pool);
    if (head === last) return head;
    last = head;
  }
}

const positionOf = async (name: string): Promise<number> => {
  const all = await projectionStatus(database.pool);
  return all.find((projection) => projection.name === name)?.position ?? -1;
};

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const begun = performance.now();
  while (!(await condition())) {
    if (performance.now() - begun > 30_000) throw new Error(`It never came to be: ${condition.toString()}`);
    await sleep(20);
  }
}

let stop: AbortController;
let running: Promise<void>[];
let stopped: { name: string; failure: EventFailure }[];
let trouble: { name: string; error: unknown }[];

beforeEach(() => {
  stop = new AbortController();
  running = [];
  stopped = [];
  trouble = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running);
});

function start(projections: readonly AnyProjection[], more: Partial<RunProjectionsOptions> = {}): Promise<void> {
  const run = runProjections({
    pool: database.pool,
    projections,
    stop: stop.signal,
    pollMs: 20,
    onStopped: (name, failure) => stopped.push({ name, failure }),
    onTrouble: (name, error) => trouble.push({ name, error }),
    ...more,
  });
  running.push(run);
  return run;
}

const reached = (name: string): Promise<void> =>
  number().then((head) => until(async () => (await positionOf(name)) >= head));

describe('projections', () => {
  it('follow the events, and say how far they are', async () => {
    const stream = newStream();
    await append(stream, 1, 2, 3);
    void start([balances, lines]);
    await reached('balances');
    await reached('lines');
    const { rows } = await database.pool.query('select amount::int as amount from balance where account = $1', [
      stream,
    ]);
    expect(rows).toEqual([{ amount: (1 * 31 + 2) * 31 + 3 }]);
    expect(await projectionStatus(database.pool)).toEqual([
      { name: 'balances', position: await number(), behind: 0, updatedAt: expect.any(Date) },
      { name: 'lines', position: await number(), behind: 0, updatedAt: expect.any(Date) },
    ]);
  });

  it('are applied once though several runners run them', async () => {
    for (let i = 0; i < 4; i++) void start([balances, lines], { batch: 3 });
    const streams = Array.from({ length: 5 }, newStream);
    await Promise.all(streams.map((stream, i) => append(stream, ...Array.from({ length: 40 }, (_, n) => n * i))));
    await reached('balances');
    await reached('lines');
    const live = [await content('balance'), await content('line')];
    await rebuildProjection(database.pool, balances);
    await rebuildProjection(database.pool, lines);
    expect([await content('balance'), await content('line')]).toEqual(live);
    expect(live[0]).not.toBe('');
  });

  it('leave neither effect nor position when they are killed between the two', async () => {
    const stream = newStream();
    await append(stream, 5);
    await number();
    const before = [await content('line'), await positionOf('lines')];
    let kills = 0;
    const dying: Projection<AccountEvents> = {
      ...lines,
      on: {
        Deposited: async (tx, event) => {
          await lines.on.Deposited?.(tx, event);
          const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
          if (kills++ < 2) await database.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
        },
      },
    };
    for (let i = 0; i < 2; i++) {
      await expect(step(database.pool, dying, 100)).rejects.toThrow();
      expect([await content('line'), await positionOf('lines')]).toEqual(before);
    }
    expect(await step(database.pool, dying, 100)).toMatchObject({ kind: 'stepped', applied: 1 });
    expect(await content('line')).toContain(`${stream}/1`);
  });

  it('cannot be committed by a handler', async () => {
    await append(newStream(), 5);
    await number();
    for (const statement of [
      'commit',
      ' /* x */ COMMIT',
      '-- x\nrollback',
      'prepare transaction $$x$$',
      'end',
      'begin',
    ]) {
      const done = await step(
        database.pool,
        { ...lines, on: { Deposited: (tx: HandlerTransaction) => tx.query(statement) } },
        1,
      );
      expect(done).toMatchObject({ failure: { error: { name: 'ForbiddenStatementError' } } });
    }
    const twice = { ...lines, on: { Deposited: (tx: HandlerTransaction) => tx.query('select 1; commit') } };
    expect(await step(database.pool, twice, 1)).toMatchObject({ failure: { error: { code: '42601' } } });
    expect(await step(database.pool, lines, 1)).toMatchObject({ applied: 1 });
  });

  it('are applied without what is in doubt, and with it when it has committed (E8)', async () => {
    void start([lines]);
    const [doubt, other] = [newStream(), newStream()];
    await inDoubt(database.pool, doubt, (tx) => store.appendToStream(tx, doubt, 'none', [deposited(1), deposited(2)]));
    await append(other, 3);
    await reached('lines');
    expect(await content('line')).toContain(`${other}/1`);
    expect(await content('line')).not.toContain(doubt);
    await database.pool.query(`commit prepared '${doubt}'`);
    await reached('lines');
    expect(await content('line')).toContain(`${doubt}/2`);
  });

  it('see only the streams that they are for', async () => {
    const seen: string[] = [];
    const some = defineProjection<AccountEvents>({
      name: `some-${newStream()}`,
      store,
      streams: 'vault-',
      on: { Deposited: async (_, { stream }) => void seen.push(stream) },
      reset: async () => undefined,
    });
    await append('vault-1', 1);
    await append('other-1', 1);
    void start([some]);
    await reached(some.name);
    expect(seen).toEqual(['vault-1']);
  });

  it('refuse what would end in nothing', async () => {
    await expect(start([lines, { ...lines }])).rejects.toThrow(RangeError);
    await expect(start([lines], { attempts: 0 })).rejects.toThrow(RangeError);
    await expect(start([lines], { batch: 0 })).rejects.toThrow(RangeError);
    running.length = 0;
    expect(() => defineProjection({ ...lines, name: '' })).toThrow(/name/);
  });
});

describe('a rebuild', () => {
  it('gives what the live projection has, byte for byte, also while others write and run (E5)', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    console.log(`rebuild during writes: SEED=${seed}`);
    const random = seeded(seed);
    void start([balances, lines], { batch: 7 });
    const streams = Array.from({ length: 6 }, newStream);
    let writing = true;
    const writers = Array.from({ length: 4 }, async () => {
      // No more than a rebuild can catch up with on a busy machine.
      for (let i = 0; writing && i < 150; i++) {
        await sleep(random() * 10);
        const stream = streams[Math.floor(random() * streams.length)] ?? '';
        await append(stream, ...Array.from({ length: 1 + Math.floor(random() * 5) }, () => Math.floor(random() * 100)));
      }
    });
    for (let i = 0; i < 3; i++) {
      await sleep(random() * 200);
      await rebuildProjection(database.pool, balances);
      await rebuildProjection(database.pool, lines);
    }
    writing = false;
    await Promise.all(writers);
    await reached('balances');
    await reached('lines');
    const live = [await content('balance'), await content('line')];
    stop.abort();
    await Promise.all(running);
    await rebuildProjection(database.pool, balances);
    await rebuildProjection(database.pool, lines);
    expect([await content('balance'), await content('line')]).toEqual(live);
    const { rows } = await database.pool.query(
      `select count(*)::int as missing from txn.event e where type = 'Deposited' and not exists (select from line l where l.position = e.position)`,
    );
    expect(rows).toEqual([{ missing: 0 }]);
  }, 120_000);

  it('that dies goes on where it was, by whoever runs the projection', async () => {
    await append(newStream(), ...Array.from({ length: 30 }, (_, i) => i));
    await number();
    await rebuildProjection(database.pool, lines);
    const whole = await content('line');
    let applied = 0;
    const dying = {
      ...lines,
      on: {
        Deposited: async (tx: HandlerTransaction, event: never) => {
          if (applied++ >= 10) throw new Error('killed');
          await lines.on.Deposited?.(tx, event);
        },
      },
    };
    await expect(rebuildProjection(database.pool, dying)).rejects.toThrow('killed');
    expect(await content('line')).not.toBe(whole);
    void start([lines]);
    await reached('lines');
    expect(await content('line')).toBe(whole);
  });

  it('changes nothing when the tables cannot be emptied', async () => {
    const before = [await content('line'), await positionOf('lines')];
    const stuck = { ...lines, reset: (tx: HandlerTransaction) => tx.query('delete from line_that_is_not_there') };
    await expect(rebuildProjection(database.pool, stuck)).rejects.toMatchObject({ code: '42P01' });
    expect([await content('line'), await positionOf('lines')]).toEqual(before);
  });
});

it('numbers for several readers side by side', async () => {
  const begin = await number();
  await Promise.all(Array.from({ length: 20 }, () => append(newStream(), 1)));
  await Promise.all(Array.from({ length: 10 }, () => new Numbering(database.pool).number(3)));
  expect(await number()).toBe(begin + 20);
});

describe('an event that cannot be applied', () => {
  type Newer = AccountEvents & { Closed: object };
  const newer = defineEventStore<Newer>({
    Opened: [],
    Deposited: [(old: { amount: number }) => old],
    Withdrawn: [],
    Closed: [],
  });

  it('whose handler swallows the error of a statement is told as trouble, and tried again', async () => {
    await append(newStream(), 1);
    const swallowing: Projection<AccountEvents> = {
      ...lines,
      name: 'swallowing',
      on: { Deposited: (tx) => tx.query('select 1 / 0').catch(() => undefined) },
      reset: async () => undefined,
    };
    void start([swallowing], { batch: 1, attempts: 1 });
    await until(async () => trouble.length > 1);
    expect(trouble[0]).toMatchObject({ name: 'swallowing', error: { name: 'SwallowedFailureError' } });
    expect(stopped).toEqual([]);
  });

  // Of the second PostgreSQL says that it has no more room for locks, and goes on.
  it.each([
    ['22012', 'select 1 / 0'],
    ['53200', `do $$ begin raise sqlstate '53200'; end $$`],
  ])('stops its projection after some attempts when the handler fails (%s), and no other', async (code, statement) => {
    const stream = newStream();
    await append(stream, 1);
    await append(stream, 666);
    await append(stream, 2);
    let attempts = 0;
    const careful = {
      ...lines,
      on: {
        Deposited: async (tx: HandlerTransaction, event: never) => {
          if ((event as { data: { amount: number } }).data.amount === 666) {
            attempts++;
            await tx.query(statement);
          }
          await lines.on.Deposited?.(tx, event);
        },
      },
    };
    void start([careful, balances], { attempts: 3 });
    await until(() => stopped.length > 0);
    expect(attempts).toBeGreaterThanOrEqual(3);
    expect(stopped[0]).toMatchObject({
      name: 'lines',
      failure: { event: { stream, version: 2 }, error: { code } },
    });
    expect(await content('line')).toContain(`${stream}/1`);
    await reached('balances');
    void start([lines]);
    await reached('lines');
    expect(await content('line')).toContain(`${stream}/3`);
  });

  it('is tried for as long as a lock is in its way', async () => {
    await append(newStream(), 1);
    const holder = await database.pool.connect();
    await holder.query('begin');
    await holder.query('lock table line in exclusive mode');
    let failures = 0;
    const steps = (_: string, done: { failure?: unknown } | { kind: string }): void => {
      if ('failure' in done) failures++;
    };
    void start([lines], { attempts: 1, observe: steps });
    await until(() => failures > 1);
    await holder.query('rollback');
    holder.release();
    await reached('lines');
    expect(stopped).toEqual([]);
  });

  it('because its connection is lost is told as trouble, and tried for as long as that takes; those before it are applied', async () => {
    const stream = newStream();
    await append(stream, 1, 666, 2);
    const { hostname: host, port } = new URL(database.url);
    const proxy = await PostgresFaultProxy.start({ target: { host, port: Number(port) } });
    const pool = quietPool({ connectionString: proxy.url(database.url) });
    onTestFinished(async () => {
      await proxy.stop();
      await pool.end();
    });
    const cut = proxy.inject({ statement: /^select 666/, passage: 'every', fault: { kind: 'kill-before' } });
    const cutOff = {
      ...lines,
      on: {
        Deposited: async (tx: HandlerTransaction, event: never) => {
          if ((event as { data: { amount: number } }).data.amount === 666) await tx.query('select 666');
          await lines.on.Deposited?.(tx, event);
        },
      },
    };
    const run = start([cutOff], { pool, attempts: 1 });
    await until(() => trouble.length >= 2 || stopped.length > 0);
    expect(stopped).toEqual([]);
    expect(await content('line')).toContain(`${stream}/1 `);
    cut.remove();
    await reached('lines');
    stop.abort();
    await run;
    expect(stopped).toEqual([]);
    expect(await content('line')).toContain(`${stream}/3 `);
  });

  // Last: what they append can be read by no other test of this file.
  it.each([
    ['its type is unknown', { type: 'Closed', data: {} } as const, /does not know its type/],
    ['a newer program has written it', { type: 'Deposited', data: { amount: 1 } } as const, /has revision 2/],
  ])('stops its projection at once: %s (E7)', async (_, event, why) => {
    const stream = newStream();
    await append(stream, 1);
    const id = `${stream}-bad`;
    await inTransaction(database.pool, (tx) => newer.appendToStream(tx, stream, 'any', [{ ...event, id }]));
    await append(stream, 2);
    const head = await number();
    const free: AnyProjection = {
      ...defineProjection<Newer>({ name: `free-${id}`, store: newer, on: {}, reset: async () => undefined }),
    };
    let failures = 0;
    void start([lines, free], {
      observe: (_, done) => {
        if ('failure' in done) failures++;
      },
    });
    await until(() => stopped.length > 0);
    expect(failures).toBe(1);
    expect(stopped).toEqual([
      {
        name: 'lines',
        failure: {
          event: { stream, version: 2, id, type: event.type, position: head - 1 },
          error: expect.objectContaining({ name: 'UnreadableEventError', eventId: id, stream, version: 2 }),
        },
      },
    ]);
    expect((stopped[0]?.failure.error as UnreadableEventError).message).toMatch(why);
    // What came before it is applied, what comes after it is not, and the other projection has gone on.
    expect(await content('line')).toContain(`${stream}/1`);
    expect(await content('line')).not.toContain(`${stream}/3`);
    await until(async () => (await positionOf(free.name)) === head);
    const status = (await projectionStatus(database.pool)).find(({ name }) => name === 'lines');
    expect(status).toMatchObject({
      position: head - 2,
      behind: 2,
      stopped: { position: head - 1, event: id, error: expect.stringMatching(why) },
    });

    // The newer program goes on from there.
    const after = { ...lines, store: newer } as unknown as AnyProjection;
    void start([after]);
    await reached('lines');
    expect(await content('line')).toContain(`${stream}/3`);
    expect((await projectionStatus(database.pool)).find(({ name }) => name === 'lines')?.stopped).toBeUndefined();
  });
});

// The last one: whatever comes after it would have to go through all these events.
it('A rebuild goes up to the last event, also where nobody has numbered them yet', async () => {
  for (let i = 0; i < 3; i++) await append(`many-${i}`, ...Array.from({ length: 400 }, (_, n) => n));
  let count = 0;
  const counting: Projection<AccountEvents> = {
    ...lines,
    name: 'counting',
    streams: 'many-',
    on: { Deposited: async () => void count++ },
    reset: async () => undefined,
  };
  const position = await rebuildProjection(database.pool, counting);
  expect(position).toBe(await number());
  expect(count).toBe(1_200);
});
