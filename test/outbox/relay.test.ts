/** One relay, and several: rules X2, X3 and X6. What fails, is late, is lost or is replaced costs time or a duplicate, never an event. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import {
  deadLetters,
  RelayReplacedError,
  startWorkflow,
  UnpublishableEventError,
  wakeRelays,
} from 'temporal-txn/outbox';
import type { RelayRound } from 'temporal-txn/outbox';
import { armCrashpoints, PostgresFaultProxy, spawnGuarded } from 'temporal-txn/testing';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { quietPool } from '../quiet-pool';
import { gate } from '../branch-log/fixture';
import { usePostgres } from '../participant/fixture';
import {
  eventsOf,
  inDoubt,
  inTransaction,
  openTransaction,
  outbox,
  startRelay,
  Topic,
  until,
  untilLeft,
  useOutbox,
} from './fixture';
import type { OpenTransaction } from './fixture';

const postgres = usePostgres();
const test = useOutbox(postgres, 'relay');

const parked = async (): Promise<string[]> => (await deadLetters(test.pool)).map(({ key }) => key);
const times = (n: number, ...keys: readonly string[]): string[] => Array.from({ length: n }, () => keys).flat();
const upTo = (n: number): number[] => Array.from({ length: n }, (_, at) => at + 1);
const left = async (): Promise<number> =>
  (await test.rows<{ n: number }>('select count(*)::int as n from txn.outbox_queue'))[0]?.n ?? 0;
const failFor = (...keys: readonly string[]): Topic =>
  new Topic(({ key }) => {
    if (keys.includes(key)) throw new Error('not now');
  });

describe('events', () => {
  it('are published as they were appended, with all that was given', async () => {
    const event = {
      type: 'Ordered',
      key: 'k',
      id: 'one',
      data: { total: 1 },
      subject: 's',
      dataschema: 'urn:x',
      headers: { a: 'b' },
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b',
    };
    const topic = new Topic();
    await inTransaction(test.pool, (tx) =>
      outbox.append({ query: (text, values) => tx.query(text, values), transaction: 't', branch: 'b' }, [event]),
    );
    startRelay(test, topic);
    await untilLeft(test);
    const more = { source: '/shop', version: 1, time: expect.any(Date), transaction: 't', branch: 'b' };
    expect(topic.received).toEqual([{ ...event, ...more }]);
  });

  it('of a key are published in their order, whatever the batch', async () => {
    await test.append(...times(30, 'a', 'b', 'c'));
    await test.append(...times(30, 'c', 'b', 'a'));
    const topic = new Topic(() => sleep(Math.random() * 2));
    startRelay(test, topic, { batch: 7 });
    await untilLeft(test);
    for (const key of ['a', 'b', 'c']) expect(topic.of(key)).toEqual(upTo(60));
  });

  it('of different keys are published side by side', async () => {
    await test.append(...times(5, 'slow', 'a', 'b'));
    const { pass, reached, open } = gate();
    const topic = new Topic(({ key }) => (key === 'slow' ? pass() : undefined));
    startRelay(test, topic);
    await reached;
    await until('the others are published', () => topic.received.length === 10);
    expect(topic.tried.filter(({ key }) => key === 'slow')).toHaveLength(1);
    open();
    await untilLeft(test);
    expect(topic.of('slow')).toEqual(upTo(5));
  });

  it('of a key that takes its time keep no other waiting, also of those that come meanwhile, and go on after it', async () => {
    await test.append(...times(3, 'slow'), 'a');
    const { pass, reached, open } = gate();
    const topic = new Topic(({ key, version }) => (key === 'slow' && version === 1 ? pass() : undefined));
    // Long enough that nothing of the slow one is tried again because it is late.
    startRelay(test, topic, { pollMs: 20, publishTimeoutMs: 600_000 });
    await reached;
    for (let n = 2; n < 8; n++) {
      await test.append('a', 'b');
      await until('the newest is published', () => topic.of('a').length === n && topic.of('b').length === n - 1);
      await until('and out of the queue', async () => (await left()) === 3);
    }
    expect(topic.tried.filter(({ key }) => key === 'slow')).toHaveLength(1);
    await test.append('slow');
    open();
    await untilLeft(test);
    expect(topic.of('slow')).toEqual(upTo(4));
    expect(topic.of('a')).toEqual(upTo(7));
  });

  it('come once each, though keys take longer than a round and others come between', async () => {
    const keys = Array.from({ length: 30 }, (_, n) => `key-${n}`);
    const topic = new Topic(() => sleep(Math.random() * 250));
    startRelay(test, topic, { concurrency: 8, batch: 20, pollMs: 20 });
    for (let n = 0; n < 4; n++) {
      await test.append(...keys);
      await sleep(100);
    }
    await untilLeft(test);
    for (const key of keys) expect(topic.of(key), key).toEqual(upTo(4));
    expect(topic.tried).toHaveLength(120);
  });

  it('are not read while there is nobody to publish them', async () => {
    await test.append(...Array.from({ length: 40 }, (_, n) => `key-${n}`));
    const { pass, reached, open } = gate();
    const pool = quietPool({ connectionString: test.url, max: 4 });
    onTestFinished(() => pool.end());
    let claims = 0;
    const query = pool.query.bind(pool) as (...all: unknown[]) => unknown;
    const counting = (...all: unknown[]): unknown => {
      if ((all[0] as { name?: string }).name === 'txn-outbox-claim') claims++;
      return query(...all);
    };
    Object.assign(pool, { query: counting });
    startRelay(test, new Topic(() => pass()), { pool, pollMs: 20, concurrency: 2, batch: 4 });
    await reached;
    await sleep(500);
    expect(claims).toBe(1);
    open();
    await untilLeft(test);
  });

  it('under way when it stops are waited for and marked, and nothing else is begun', async () => {
    await test.append('slow', 'slow', 'other');
    const { pass, reached, open } = gate();
    const topic = new Topic(() => pass());
    const relay = startRelay(test, topic, { concurrency: 1 });
    await reached;
    await sleep(300);
    const stopped = relay.stop();
    open();
    await stopped;
    expect(topic.tried).toHaveLength(1);
    expect(await left()).toBe(2);
  });

  it('are given to no more of the publisher at a time than it is told', async () => {
    await test.append(...Array.from({ length: 40 }, (_, n) => `key-${n}`));
    let now = 0;
    let most = 0;
    const topic = new Topic(async () => {
      most = Math.max(most, ++now);
      await sleep(1);
      now--;
    });
    startRelay(test, topic, { concurrency: 3 });
    await untilLeft(test);
    expect(most).toBe(3);
  });
});

describe('what cannot be published', () => {
  it('waits longer after each attempt, holds back its key, and no other', async () => {
    await test.append('bad', 'a', 'bad', 'b');
    let failing = true;
    const at: number[] = [];
    const topic = new Topic(({ key }) => {
      if (key !== 'bad') return;
      at.push(Date.now());
      if (failing) throw new Error('not now');
    });
    startRelay(test, topic, { backoff: { firstMs: 20, longestMs: 1_000 }, attempts: 1_000 });
    for (let n = 0; n < 5; n++) {
      await test.append('a', 'b');
      await untilLeft(test, 2);
    }
    await until('it was tried four times', () => at.length >= 4);
    expect([...topic.of('a'), ...topic.of('b')]).toEqual([...upTo(6), ...upTo(6)]);
    expect(topic.tried.filter(({ key, version }) => key === 'bad' && version > 1)).toEqual([]);
    // At least half of 20, 40 and 80 ms.
    const pauses = at.slice(1, 4).map((time, n) => time - (at[n] ?? 0));
    pauses.forEach((pause, n) => expect(pause).toBeGreaterThanOrEqual(10 * 2 ** n - 1));
    failing = false;
    await untilLeft(test);
    expect(topic.of('bad')).toEqual([1, 2]);
    expect(await parked()).toEqual([]);
  });

  it('and says so is parked at once, with all of its key, and what comes to the key later', async () => {
    await test.append('bad', 'a', 'bad');
    const topic = new Topic(({ key, version }) => {
      if (key === 'bad' && version === 1) throw new UnpublishableEventError('nobody wants it');
    });
    const rounds: RelayRound[] = [];
    startRelay(test, topic, { observe: (round) => rounds.push(round) });
    await untilLeft(test, 2);
    await until('it is parked', async () => (await parked()).length === 1);
    expect(await deadLetters(test.pool)).toMatchObject([
      {
        key: 'bad',
        version: 1,
        attempts: 1,
        waiting: 2,
        error: 'UnpublishableEventError: Nothing was published: nobody wants it.',
      },
    ]);
    expect(rounds.flatMap((round) => round.parked.map(({ queued }) => queued.event.key))).toEqual(['bad']);
    await test.append('bad', 'a', 'bad');
    await untilLeft(test, 4);
    await until('they are parked, too', async () => {
      const [row] = await test.rows<{ n: number }>('select count(*)::int as n from txn.outbox_queue where parked');
      return row?.n === 4;
    });
    expect(topic.tried.map(({ key, version }) => `${key}/${version}`)).toEqual(['bad/1', 'a/1', 'a/2']);
  });

  it('is parked after its attempts, counted only while others are published', async () => {
    await test.append('bad');
    const topic = failFor('bad');
    startRelay(test, topic, { attempts: 3 });
    await until('it was tried often', () => topic.tried.length >= 8);
    expect(await parked()).toEqual([]);
    for (let n = 0; (await parked()).length === 0; n++) {
      expect(n).toBeLessThan(500);
      await test.append('a');
      await sleep(5);
    }
    const [letter] = await deadLetters(test.pool);
    expect(letter?.attempts).toBeGreaterThan(8);
    expect(letter?.error).toBe('Error: not now');
    expect(topic.tried.filter(({ key }) => key === 'bad')).toHaveLength(letter?.attempts ?? 0);
  });

  it.each([1, 2])('because nothing can be is not parked, with %i attempts', async (attempts) => {
    await test.append(...times(3, ...Array.from({ length: 20 }, (_, n) => `key-${n}`)));
    let away = true;
    const topic = new Topic(() => {
      if (away) throw new Error('away');
    });
    const rounds: RelayRound[] = [];
    startRelay(test, topic, {
      attempts,
      backoff: { firstMs: 2, longestMs: 10 },
      observe: (round) => rounds.push(round),
    });
    const failures = (): RelayRound[] => rounds.filter(({ failed }) => failed.length > 0);
    await until('it was tried often', () => failures().length > 30);
    // The first round finds out; each later one asks with one event whether it is over.
    expect(failures()[0]?.failed).toHaveLength(20);
    for (const round of failures().slice(1)) expect(round.failed).toHaveLength(1);
    expect(await parked()).toEqual([]);
    away = false;
    await untilLeft(test);
    for (let n = 0; n < 20; n++) expect(topic.of(`key-${n}`)).toEqual([1, 2, 3]);
    expect(await parked()).toEqual([]);
  });

  it('alone keeps nobody waiting', async () => {
    await test.append('bad');
    const topic = failFor('bad');
    startRelay(test, topic, { backoff: { firstMs: 600_000, longestMs: 600_000 } });
    await until('it was tried', () => topic.tried.length === 1);
    await test.append('good');
    wakeRelays(test.pool);
    await until('the other is published', () => topic.of('good').length === 1);
  });

  it('in several keys does not keep one from its turn that could be', async () => {
    await test.append('bad', 'worse', 'worst');
    const topic = failFor('bad', 'worse', 'worst');
    startRelay(test, topic, { backoff: { firstMs: 20, longestMs: 40 } });
    await until('they were tried often', () => topic.tried.length > 12);
    await test.append('good');
    await until('the other is published', () => topic.of('good').length === 1);
  });

  it('in time is tried again, also by a publisher that does not hear that it is late', async () => {
    await test.append('slow', 'slow', 'a', 'a');
    const signals: AbortSignal[] = [];
    const topic = new Topic(async ({ key, version }, signal) => {
      if (key !== 'slow' || version > 1 || signals.push(signal) > 2) return;
      // Its failure comes when nobody listens any more.
      await sleep(300);
      throw new Error('late');
    });
    startRelay(test, topic, { publishTimeoutMs: 40 });
    await untilLeft(test);
    expect(topic.of('slow')).toEqual([1, 2]);
    expect(topic.of('a')).toEqual([1, 2]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    await sleep(350);
  });

  it('in time, but is when its publisher hears that, is published once', async () => {
    await test.append('k');
    const topic = new Topic(async (_event, signal) => void (await once(signal, 'abort')));
    startRelay(test, topic, { publishTimeoutMs: 40 });
    await untilLeft(test, 0, 5_000);
    expect(topic.of('k')).toEqual([1]);
  });

  it('yet, because its workflow still runs, is waited for as long as that takes', async () => {
    await test.append('slow');
    let ended: Promise<string> | undefined;
    let waits = 0;
    let asked: AbortSignal;
    const client = {
      withAbortSignal: (signal: AbortSignal, work: () => Promise<void>) => ((asked = signal), work()),
      workflow: {
        start: async () => void (ended ??= sleep(1_000, 'ended')),
        getHandle: () => ({
          result: () => (
            waits++,
            Promise.race([ended, once(asked, 'abort').then(() => Promise.reject(new Error('cancelled')))])
          ),
        }),
      },
    };
    // Cast: all of a client that is asked for.
    const workflows = startWorkflow(client as unknown as Client, {
      workflow: 'w',
      taskQueue: 'q',
      waitFor: 'completion',
    });
    const topic = new Topic((event, signal) => (event.key === 'slow' ? workflows.publish(event, signal) : undefined));
    const rounds: RelayRound[] = [];
    startRelay(test, topic, { attempts: 2, publishTimeoutMs: 100, observe: (round) => rounds.push(round) });
    for (let n = 0; topic.of('slow').length === 0 && (await parked()).length === 0; n++) {
      expect(n).toBeLessThan(500);
      await test.append('a');
      await sleep(20);
    }
    expect(await deadLetters(test.pool)).toEqual([]);
    expect(topic.of('slow')).toEqual([1]);
    expect(waits).toBeGreaterThan(3);
    expect(rounds.flatMap(({ failed }) => failed)).toEqual([]);
  });

  it('any more, because somebody else did, is forgotten', async () => {
    await test.append('bad');
    const topic = failFor('bad');
    let statements = 0;
    const pool = quietPool({ connectionString: test.url, max: 4 });
    onTestFinished(() => pool.end());
    const query = pool.query.bind(pool) as (...all: unknown[]) => unknown;
    Object.assign(pool, { query: (...all: unknown[]) => (statements++, query(...all)) });
    const relay = startRelay(test, topic, { pool, pollMs: 20 });
    await until('it was tried', () => topic.tried.length > 2);
    await test.pool.query('delete from txn.outbox_queue');
    await sleep(100);
    statements = 0;
    await sleep(400);
    expect(statements).toBeLessThan(40);
    await relay.stop();
  });
});

describe('rows that come late', () => {
  it('are published when they are there, and keep nobody waiting', async () => {
    const topic = new Topic();
    startRelay(test, topic);
    const late = await openTransaction(test.pool);
    await outbox.append(late.tx, eventsOf('late', 'late'));
    await test.append('a', 'b');
    await untilLeft(test);
    expect(topic.log.sort()).toEqual(['a/1', 'b/1']);
    await late.commit();
    await until('they are published', () => topic.of('late').length === 2);
    expect(topic.of('late')).toEqual([1, 2]);
  });

  it('because their transaction was in doubt are published when it commits, and keep nobody waiting', async () => {
    const topic = new Topic();
    startRelay(test, topic);
    await inDoubt(test.pool, 'relay-1', (tx) => outbox.append(tx, eventsOf('late', 'late')));
    await inDoubt(test.pool, 'relay-2', (tx) => outbox.append(tx, eventsOf('never')));
    for (const n of upTo(3)) {
      await test.append('a', 'b');
      await until('they are published', () => topic.received.length === 2 * n);
    }
    await test.pool.query(`commit prepared 'relay-1'`);
    await test.pool.query(`rollback prepared 'relay-2'`);
    await until('they are published', () => topic.of('late').length === 2);
    await test.append('never');
    await untilLeft(test);
    expect(topic.of('never')).toEqual([1]);
    expect(topic.received).toHaveLength(9);
  });

  it('do not come because of a transaction that is in doubt in another database of the server', async () => {
    const other = quietPool({ connectionString: await postgres.createService('elsewhere') });
    onTestFinished(() => other.end());
    await other.query('create table anything (n int)');
    await inDoubt(other, 'elsewhere', (tx) => tx.query('insert into anything values (1)'));
    onTestFinished(async () => void (await other.query(`rollback prepared 'elsewhere'`)));
    const topic = new Topic();
    startRelay(test, topic);
    await test.append('a', 'b');
    await until('they are published', () => topic.received.length === 2);
  });
});

describe('a relay that is far ahead', () => {
  /** One that has left a transaction thousands of rows behind. The relay has looked at everything just now when this returns. */
  async function farAhead(
    topic: Topic,
    behind = 1,
    batch = 500,
  ): Promise<OpenTransaction & { readonly lows: readonly number[] }> {
    const pool = quietPool({ connectionString: test.url, max: 4 });
    onTestFinished(() => pool.end());
    /** From where it has read, each time: everything from 0. */
    const lows: number[] = [];
    const query = pool.query.bind(pool) as (...all: unknown[]) => unknown;
    const watch = (statement: { name?: string; values?: unknown[] }, ...more: unknown[]): unknown => {
      if (statement.name === 'txn-outbox-claim') lows.push(Number((statement.values?.[2] as string[])[0]));
      return query(statement, ...more);
    };
    Object.assign(pool, { query: watch });
    const late = await openTransaction(test.pool);
    await outbox.append(late.tx, eventsOf(...times(behind, 'late')));
    const relay = startRelay(test, topic, { pool, batch, pollMs: 20, seats: 16, seat: await partitionOf('late') });
    onTestFinished(() => void relay.stop());
    // Of the same partition, so that it is known what it has finished.
    await test.pool.query(
      `select txn.append_events(json_agg(json_build_object('source', '/x', 'type', 'T', 'key', key)))
         from (select 'key-' || n as key from generate_series(1, 1000000) n
                where hashtextextended('key-' || n, 0) & 15 = hashtextextended('late', 0) & 15 limit 6000) keys`,
    );
    await untilLeft(test, 0, 20_000);
    const before = lows.length;
    await until('it has looked at everything', () => lows.includes(0, before));
    return { ...late, lows };
  }

  async function partitionOf(key: string): Promise<number> {
    const [row] = await test.rows<{ at: number }>('select (hashtextextended($1, 0) & 15)::int as at', [key]);
    return row?.at ?? 0;
  }

  it('finds what is late', async () => {
    const topic = new Topic();
    const late = await farAhead(topic);
    await late.commit();
    await until('it is published', () => topic.of('late').length === 1);
  });

  it('follows a key from where it is, and looks each second time what the others have', async () => {
    const topic = new Topic();
    const late = await farAhead(topic, 1_000, 100);
    const before = late.lows.length;
    await late.commit();
    await until('all of it is published', () => topic.of('late').length === 1_000, 20_000);
    expect(topic.of('late')).toEqual(upTo(1_000));
    const lows = late.lows.slice(before);
    // With what it finds when it looks at everything, once a second, it would be ten.
    expect(lows.filter((low) => low === 0).length).toBeLessThan(9);
    const follows = (low = 0): boolean => low > 0 && low <= 1_000;
    expect(lows.some(follows)).toBe(true);
    expect(lows.some((low, n) => follows(low) && follows(lows[n + 1]))).toBe(false);
  });

  it('publishes nothing before what it follows, where it does not see that', async () => {
    const topic = new Topic();
    const late = await farAhead(topic);
    await outbox.append(late.tx, eventsOf('late'));
    await late.commit();
    wakeRelays(test.pool);
    await until('both are published', () => topic.of('late').length >= 2);
    expect(topic.of('late')).toEqual([1, 2]);
  });
});

describe('a relay that is replaced', () => {
  it('is given no more rows, and stops', async () => {
    const [old, young] = [new Topic(), new Topic()];
    await test.append('a');
    const first = startRelay(test, old);
    await untilLeft(test);
    startRelay(test, young);
    await until('the other has taken over', async () => {
      const rows = await test.rows<{ epoch: string }>('select epoch from txn.outbox_partition');
      return rows.every(({ epoch }) => epoch === '2');
    });
    for (let n = 0; n < 5; n++) {
      await test.append('a', 'b', 'c');
      wakeRelays(test.pool);
      await untilLeft(test);
    }
    expect(old.log).toEqual(['a/1']);
    expect(young.of('a')).toEqual([2, 3, 4, 5, 6]);
    const error = await first.over;
    expect(error).toBeInstanceOf(RelayReplacedError);
    expect(error).toMatchObject({ message: expect.stringMatching(/^Nothing was changed/) });
    expect([...(error as RelayReplacedError).partitions].sort((a, b) => a - b)).toEqual(upTo(16).map((n) => n - 1));
  });

  it('parks nothing of what it had', async () => {
    await test.append('k', 'k');
    const [atOld, atYoung] = [gate(), gate()];
    const old = new Topic(async () => {
      await atOld.pass();
      throw new UnpublishableEventError('the old one says so');
    });
    const young = new Topic(() => atYoung.pass());
    const first = startRelay(test, old);
    await atOld.reached;
    startRelay(test, young);
    await atYoung.reached;
    atOld.open();
    expect(await first.over).toBeInstanceOf(RelayReplacedError);
    expect(await parked()).toEqual([]);
    atYoung.open();
    await untilLeft(test);
    expect(young.of('k')).toEqual([1, 2]);
  });

  it('still marks what it has published', async () => {
    // One only: whether it hears in time that it is replaced, and leaves a second one alone, is up to the clock. The other one holds
    // this one back, so nobody else can mark it.
    await test.append('k');
    const [atOld, atYoung] = [gate(), gate()];
    const [old, young] = [new Topic(() => atOld.pass()), new Topic(() => atYoung.pass())];
    const first = startRelay(test, old);
    await atOld.reached;
    startRelay(test, young);
    await atYoung.reached;
    atOld.open();
    await untilLeft(test);
    expect(await first.over).toBeInstanceOf(RelayReplacedError);
    expect(old.of('k')).toEqual([1]);
    expect(young.of('k')).toEqual([]);
    atYoung.open();
  });
});

it('a relay goes by no clock that somebody sets', async () => {
  const now = Date.now.bind(Date);
  let backMs = 0;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() - backMs);
  onTestFinished(() => clock.mockRestore());
  const topic = new Topic(({ key }) => {
    if (key === 'd') backMs = 3_600_000;
    if (key === 'bad' && backMs === 0) throw new Error('not now');
  });
  const relay = startRelay(test, topic, { backoff: { firstMs: 500, longestMs: 500 } });
  await test.append('bad');
  await until('it has failed', () => topic.tried.length === 1);
  await test.append('a', 'b', 'c', 'd');
  await until('the clock is set back', () => backMs > 0);
  await test.append('e');
  await untilLeft(test, 0, 5_000);
  expect(await Promise.race([relay.stop(), sleep(1_000, 'still there')])).toBeUndefined();
});

describe('a relay that ends', () => {
  it('by being stopped has marked what it has published, and begins nothing more', async () => {
    await test.append(...times(3, ...Array.from({ length: 10 }, (_, n) => `key-${n}`)));
    const { pass, reached, open } = gate();
    const topic: Topic = new Topic(() => (topic.tried.length === 15 ? pass() : undefined));
    const relay = startRelay(test, topic, { concurrency: 1 });
    await reached;
    const stopped = relay.stop();
    open();
    expect(await stopped).toBeUndefined();
    expect(topic.received).toHaveLength(15);
    const left = await test.rows<{ name: string }>(`select key || '/' || version as name from txn.outbox_queue`);
    expect(left).toHaveLength(15);
    expect(left.filter(({ name }) => topic.log.includes(name))).toEqual([]);
  });

  it.each([
    ['reads', /from txn.outbox_queue q\s+where q.partition/, 'kill-before'],
    ['reads', /from txn.outbox_queue q\s+where q.partition/, 'kill-after'],
    ['marks', /^\s*delete from txn.outbox_queue/, 'kill-before'],
    ['marks', /^\s*delete from txn.outbox_queue/, 'kill-after'],
    ['takes over', /^\s*update txn.outbox_partition/, 'kill-after'],
  ] as const)('by losing its connection as it %s says so, and the next one goes on', async (_when, statement, kind) => {
    await test.append(...times(3, ...Array.from({ length: 10 }, (_, n) => `key-${n}`)));
    const { hostname: host, port } = new URL(test.url);
    const proxy = await PostgresFaultProxy.start({ target: { host, port: Number(port) } });
    onTestFinished(() => proxy.stop());
    proxy.inject({ statement, fault: { kind } });
    const topic = new Topic();
    const first = startRelay({ url: proxy.url(test.url) }, topic, { batch: 20 });
    expect(await first.over).toMatchObject({ message: expect.stringMatching(/terminated|ECONNRESET|EPIPE/) });
    startRelay(test, topic);
    await untilLeft(test);
    for (let n = 0; n < 10; n++) expect([...new Set(topic.of(`key-${n}`))]).toEqual([1, 2, 3]);
  });

  it.each(['outbox.claimed-before-publish', 'outbox.published-before-mark'] as const)(
    'at %s has marked nothing',
    async (at) => {
      await test.append(...times(2, 'a', 'b'));
      const topic = new Topic();
      const disarm = armCrashpoints([{ at, action: { kind: 'fail' } }]);
      onTestFinished(disarm);
      expect(await startRelay(test, topic).over).toMatchObject({ message: `crash point ${at}` });
      expect(await test.rows('select from txn.outbox_queue')).toHaveLength(4);
      expect(topic.received).toHaveLength(at === 'outbox.published-before-mark' ? 4 : 0);
      startRelay(test, topic);
      await untilLeft(test);
      expect([...new Set(topic.of('a'))]).toEqual([1, 2]);
    },
  );
});

describe('seats', () => {
  it.each([2, 4])('%i share the keys, and each key has one', async (seats) => {
    const keys = Array.from({ length: 60 }, (_, n) => `key-${n}`);
    const topics = Array.from({ length: seats }, () => new Topic());
    topics.forEach((topic, seat) => startRelay(test, topic, { seat, seats, batch: 20, owner: `seat ${seat}` }));
    for (let n = 0; n < 5; n++) await test.append(...keys);
    await untilLeft(test);
    for (const key of keys) {
      const had = topics.filter((topic) => topic.of(key).length > 0);
      expect(had.map((topic) => topic.of(key))).toEqual([upTo(5)]);
    }
    for (const topic of topics) expect(topic.received.length).toBeGreaterThan(0);
    const owners = await test.rows<{ n: number }>('select count(*)::int as n from txn.outbox_partition group by owner');
    expect(owners).toEqual(Array.from({ length: seats }, () => ({ n: 16 / seats })));
  });

  it.each([
    { seats: 0 },
    { seats: 17 },
    { seat: 2, seats: 2 },
    { seat: -1 },
    { batch: 0 },
    { concurrency: 10_001 },
    { pollMs: 0.5 },
    { publishTimeoutMs: 0 },
    { attempts: 0 },
    { backoff: { firstMs: 10, longestMs: 9 } },
  ])('and options out of range are refused: %j', async (options) => {
    const error = await startRelay(test, new Topic(), options).over;
    expect(error).toBeInstanceOf(RangeError);
    expect(String(error)).toMatch(/Nothing was started/);
    expect(await test.rows('select from txn.outbox_partition where epoch > 0')).toEqual([]);
  });
});

describe('a relay is woken', () => {
  it('far sooner than it would look', async () => {
    const topic = new Topic();
    // It looks once an hour: whatever it publishes before that, it was woken for.
    startRelay(test, topic, { pollMs: 3_600_000 });
    await until('it listens', async () => (await listeners()).length === 1);
    for (const n of upTo(30)) {
      await test.append('k');
      wakeRelays(test.pool);
      await until(`${n} are published`, () => topic.received.length === n);
    }
  });

  it('by what comes while it publishes', async () => {
    const { pass, reached, open } = gate();
    const topic = new Topic(({ version }) => (version === 1 ? pass() : undefined));
    startRelay(test, topic, { pollMs: 60_000 });
    await test.append('k');
    wakeRelays(test.pool);
    await reached;
    await test.append('k');
    await test.pool.query('notify txn_outbox');
    await sleep(50);
    open();
    await until('both are published', () => topic.of('k').length === 2);
  });

  it('by nobody when the notification is lost, and looks by itself', async () => {
    const topic = new Topic();
    startRelay(test, topic, { pollMs: 100 });
    for (const n of upTo(3)) {
      await test.append('k');
      await until('it is published', () => topic.received.length === n);
    }
  });

  it('again after its listening connection was lost', async () => {
    const topic = new Topic();
    startRelay(test, topic, { pollMs: 60_000 });
    await until('it listens', async () => (await listeners()).length === 1);
    const [first] = await listeners();
    await test.pool.query('select pg_terminate_backend($1, 5000)', [first]);
    await test.append('k');
    // It looks when it listens again: what was sent meanwhile was not heard.
    await until('it is published', () => topic.received.length === 1);
    const [second] = await listeners();
    expect(second).not.toBe(first);
    await test.append('k');
    wakeRelays(test.pool);
    await until('it is published', () => topic.received.length === 2);
  });

  async function listeners(): Promise<number[]> {
    const rows = await test.rows<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = 'relay' and query = 'listen txn_outbox' and state = 'idle'`,
    );
    return rows.map(({ pid }) => pid);
  }
});

describe('the process of a relay is killed', () => {
  const DIST = resolve(__dirname, '../../dist');
  let targetUrl = '';
  let directory = '';
  beforeAll(async () => {
    targetUrl = await postgres.createService('target');
    directory = mkdtempSync(join(tmpdir(), 'txn-relay-'));
    return () => rmSync(directory, { recursive: true, force: true });
  });

  it.each([
    ['outbox.claimed-before-publish', [[]]],
    // Where a machine is busy, the second one is not published yet when the first one has been for a while.
    ['outbox.published-before-mark', [[1], [1, 2]]],
  ] as const)('at %s: the next one publishes what is not marked', async (at, possible) => {
    const target = quietPool({ connectionString: targetUrl });
    onTestFinished(() => target.end());
    await target.query('drop table if exists published');
    await target.query('create table published (at serial, key text, version int, id text, pid int)');
    const published = async (): Promise<number[]> =>
      (await target.query<{ version: number }>('select version from published order by at')).rows.map(
        ({ version }) => version,
      );
    await test.append('k', 'k');
    const log = join(directory, at);
    const start = (crash: boolean) =>
      spawnGuarded(
        process.execPath,
        ['--require', join(DIST, 'src/testing/crashpoints-preload.js'), join(DIST, 'test/outbox/relay-child.js')],
        {
          env: {
            ...process.env,
            OUTBOX_URL: test.url,
            TARGET_URL: targetUrl,
            TXN_CRASHPOINT: crash ? JSON.stringify([{ at, action: { kind: 'kill' } }]) : '',
            TXN_CRASHPOINT_LOG: log,
          },
          log: join(directory, 'output'),
        },
      );
    const killed = await start(true);
    expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
    expect(readFileSync(log, 'utf8')).toBe(`${at}\n`);
    const already = await published();
    expect(possible).toContainEqual(already);
    expect(await test.rows('select from txn.outbox_queue')).toHaveLength(2);
    const next = await start(false);
    onTestFinished(() => next.kill().then(() => undefined));
    await untilLeft(test);
    expect(await published()).toEqual([...already, 1, 2]);
    await next.stop();
  });
});
