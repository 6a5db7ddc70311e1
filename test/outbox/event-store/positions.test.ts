/** The global position (rule E8): nothing is skipped, and nothing waits for a transaction that is open or in doubt. */
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import type { EventRow } from '../../../src/outbox/event-store/events';
import { Numbering } from '../../../src/outbox/event-store/numbering';
import { headPosition, readNumbered } from '../../../src/outbox/event-store/read';
import { usePostgres } from '../../participant/fixture';
import { deposited, inDoubt, inTransaction, newStream, store, useDatabase } from './fixture';

const postgres = usePostgres();
const database = useDatabase(postgres, 'positions');

const append = (stream: string, count = 1): Promise<unknown> =>
  inTransaction(database.pool, (tx) =>
    store.appendToStream(
      tx,
      stream,
      'any',
      Array.from({ length: count }, (_, i) => deposited(i)),
    ),
  );

type Reader = (after: number) => Promise<{ readonly stream: string; readonly at: number }[]>;

/** What this project does. */
const byPosition: Reader = async (after) => {
  await new Numbering(database.pool).number(1_000);
  return (await readNumbered(database.pool, after, 1_000)).map(({ stream, position }) => ({
    stream,
    at: Number(position),
  }));
};

/** The first wrong reader: a cursor on what is given before the commit. */
const byIdentity: Reader = async (after) => {
  const { rows } = await database.pool.query<{ stream: string; at: number }>(
    'select stream, appended::int as at from txn.event where appended > $1 order by appended',
    [after],
  );
  return rows;
};

/** The second: only what is older than every transaction in progress. */
const behindXmin: Reader = async (after) => {
  const { rows } = await database.pool.query<{ stream: string; at: number }>(
    `select stream, appended::int as at from txn.event
      where appended > $1 and xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
      order by appended`,
    [after],
  );
  return rows;
};

async function follow(reader: Reader, after: number): Promise<{ seen: string[]; at: number }> {
  const rows = await reader(after);
  return { seen: rows.map(({ stream }) => stream), at: rows.at(-1)?.at ?? after };
}

/** Where a reader is at the end of what there is. */
async function end(reader: Reader): Promise<number> {
  let at = 0;
  for (;;) {
    const next = await follow(reader, at);
    if (next.seen.length === 0) return at;
    ({ at } = next);
  }
}

describe('a reader by position', () => {
  it.each([
    ['by position', byPosition, true],
    ['with a cursor on the identity column', byIdentity, false],
  ] as const)('%s, and an event that commits late: %#', async (_, reader, sees) => {
    const [late, early] = [newStream(), newStream()];
    const start = await end(reader);
    await inDoubt(database.pool, `late-${late}`, (tx) => store.appendToStream(tx, late, 'none', [deposited(1)]));
    await append(early);
    const before = await follow(reader, start);
    expect(before.seen).toEqual([early]);
    await database.pool.query(`commit prepared 'late-${late}'`);
    expect((await follow(reader, before.at)).seen).toEqual(sees ? [late] : []);
  });

  it.each([
    ['by position', byPosition, true],
    ['behind pg_snapshot_xmin', behindXmin, false],
  ] as const)('%s, and a transaction in doubt in another database of the server: %#', async (_, reader, sees) => {
    const stream = newStream();
    const start = await end(reader);
    const other = new Client({ connectionString: await postgres.createService(`other_${sees}`) });
    await other.connect();
    await other.query('create table t (x int)');
    await other.query('begin');
    await other.query('insert into t values (1)');
    await other.query(`prepare transaction 'other-${sees}'`);
    try {
      await append(stream);
      expect((await follow(reader, start)).seen).toEqual(sees ? [stream] : []);
    } finally {
      await other.query(`rollback prepared 'other-${sees}'`);
      await other.end();
    }
    if (!sees) expect((await follow(reader, start)).seen).toEqual([stream]);
  });

  it('does not see an event in doubt, and sees the others of its database', async () => {
    const [doubt, other, rolledBack] = [newStream(), newStream(), newStream()];
    const start = await end(byPosition);
    await inDoubt(database.pool, doubt, (tx) => store.appendToStream(tx, doubt, 'none', [deposited(1), deposited(2)]));
    await inDoubt(database.pool, rolledBack, (tx) => store.appendToStream(tx, rolledBack, 'none', [deposited(1)]));
    await append(other, 2);
    const before = await follow(byPosition, start);
    expect(before).toEqual({ seen: [other, other], at: start + 2 });
    await database.pool.query(`rollback prepared '${rolledBack}'`);
    await database.pool.query(`commit prepared '${doubt}'`);
    expect(await follow(byPosition, before.at)).toEqual({ seen: [doubt, doubt], at: start + 4 });
  });

  it('gives positions without a gap, in the order of the versions', async () => {
    const start = await end(byPosition);
    const streams = [newStream(), newStream(), newStream()];
    for (let i = 0; i < 30; i++) await append(streams[i % 3] ?? '', 1 + (i % 4));
    await byPosition(0);
    const rows = await readNumbered(database.pool, start, 1_000);
    expect(rows.map(({ position }) => position)).toEqual(rows.map((_, i) => start + 1 + i));
    expectVersionsInOrder(rows);
    expect(await headPosition(database.pool)).toBe(start + rows.length);
  });
});

function expectVersionsInOrder(rows: readonly EventRow[]): void {
  const last = new Map<string, number>();
  for (const { stream, version } of rows) {
    expect(version).toBe((last.get(stream) ?? 0) + 1);
    last.set(stream, version);
  }
}

describe('numbering', () => {
  it('refuses to run in a transaction of the caller, which could be prepared', async () => {
    await expect(inTransaction(database.pool, (tx) => tx.query('call txn.number_events(10)'))).rejects.toMatchObject({
      code: '2D000',
    });
  });

  it('waits for nobody but another numbering, and for that no longer than its lock timeout', async () => {
    await append(newStream());
    const holder = await database.pool.connect();
    await holder.query('begin');
    await holder.query('select from txn.event_counter for update');
    await expect(new Numbering(database.pool).number(10)).rejects.toMatchObject({ code: '55P03' });
    await holder.query('rollback');
    holder.release();
    await new Numbering(database.pool).number(10);
  });

  it('works where transactions are serializable by default', async () => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(`set default_transaction_isolation = 'serializable'`);
    const start = await end(byPosition);
    await append(newStream(), 3);
    let waiting: Promise<unknown> = Promise.resolve();
    await inTransaction(database.pool, async (tx) => {
      await tx.query('update txn.event_counter set appended = appended');
      waiting = client.query('call txn.number_events(1000)');
      await tx.query('select pg_sleep(0.1)');
    });
    await waiting;
    expect((await readNumbered(client, start, 10)).map(({ position }) => position)).toEqual([
      start + 1,
      start + 2,
      start + 3,
    ]);
    await client.end();
  });

  it('finds what committed late although it mostly looks at what is recent, and in the order of its stream', async () => {
    const [late, many] = [newStream(), newStream()];
    const start = await end(byPosition);
    await inDoubt(database.pool, late, (tx) => store.appendToStream(tx, late, 'none', [deposited(1)]));
    for (let i = 0; i < 11; i++) await append(many, 1_000);
    const numbering = new Numbering(database.pool);
    // It looks at everything with its first call and then for a second at what is recent.
    await numbering.number(10_999);
    await numbering.number(10_999);
    await database.pool.query(`commit prepared '${late}'`);
    await database.pool.query('call txn.number_events(1000, false)');
    expect((await readNumbered(database.pool, start + 11_000, 10)).length).toBe(0);
    await append(late);
    await database.pool.query('call txn.number_events(1000, false)');
    const rows = await readNumbered(database.pool, start + 11_000, 10);
    expect(rows.map(({ stream, version }) => ({ stream, version }))).toEqual([
      { stream: late, version: 1 },
      { stream: late, version: 2 },
    ]);
  });

  it('finds what committed late soon', async () => {
    const late = newStream();
    const start = await end(byPosition);
    const numbering = new Numbering(database.pool);
    await inDoubt(database.pool, late, (tx) => store.appendToStream(tx, late, 'none', [deposited(1)]));
    for (let i = 0; i < 11; i++) await append(newStream(), 1_000);
    for (let i = 0; i < 12; i++) await numbering.number(1_000);
    await database.pool.query(`commit prepared '${late}'`);
    const begun = performance.now();
    while ((await headPosition(database.pool)) < start + 11_001) {
      expect(performance.now() - begun).toBeLessThan(30_000);
      await numbering.number(1_000);
    }
    expect((await readNumbered(database.pool, start + 11_000, 10)).map(({ stream }) => stream)).toEqual([late]);
  });
});

describe('a subscription', () => {
  it('yields what is there and what comes, from a position on, and ends', async () => {
    const [stream, other] = [newStream(), `other-${newStream()}`];
    const start = await end(byPosition);
    await append(stream, 3);
    // Only now does the first of them have the position to begin after.
    await end(byPosition);
    const stop = new AbortController();
    const seen: number[] = [];
    setTimeout(() => void append(other).then(() => append(stream, 2)), 100);
    for await (const event of store.subscribe(database.pool, {
      after: start + 1,
      streams: 'account-',
      pollMs: 20,
      batch: 2,
      stop: stop.signal,
    })) {
      expect(event).toMatchObject({ stream, type: 'Deposited' });
      seen.push(event.position - start);
      if (seen.length === 4) stop.abort();
    }
    expect(seen).toEqual([2, 3, 5, 6]);
  });

  it.each([{ after: -1 }, { after: 0.5 }, { pollMs: 0 }, { batch: 0 }, { batch: 10_001 }])(
    'refuses %j',
    async (bad) => {
      const events = store.subscribe(database.pool, { ...bad, stop: new AbortController().signal });
      await expect(events.next()).rejects.toThrow(RangeError);
    },
  );
});
