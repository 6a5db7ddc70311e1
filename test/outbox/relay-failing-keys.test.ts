/**
 * Rule X6 with the settings that a relay has when it is told nothing: keys that fail or hang, few or many, stop no other, and an
 * outage of what is published to is not hammered.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { deadLetters, UnpublishableEventError, wakeRelays } from 'temporal-txn/outbox';
import type { OutboxEvent, RelayRound } from 'temporal-txn/outbox';
import { describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { usePostgres } from '../participant/fixture';
import { startRelay, Topic, until, untilLeft, useOutbox } from './fixture';
import type { RunningRelay } from './fixture';

const test = useOutbox(usePostgres(), 'failing_keys');

// Nothing that hangs is late while a test runs, whatever the machine is busy with.
const DEFAULTS = { pollMs: 500, publishTimeoutMs: 600_000, backoff: { firstMs: 100, longestMs: 30_000 } };
const named = (name: string, n: number): string[] => Array.from({ length: n }, (_, at) => `${name}-${at}`);

/** Keys `fail-` fail, and `hang-` fail once and hang then; at each moment it knows how many hang, and which are tried twice. */
class Faulty {
  hanging = 0;
  mostHanging = 0;
  readonly twice: string[] = [];
  /** Has those that hang fail, so that the relay can end. */
  readonly release = new AbortController();
  readonly #tried = new Set<string>();
  readonly #now = new Set<string>();
  readonly topic = new Topic((event, signal) => this.#before(event, signal));

  async #before({ key }: OutboxEvent, signal: AbortSignal): Promise<void> {
    if (key.startsWith('good-')) return;
    const again = this.#tried.has(key);
    this.#tried.add(key);
    if (this.#now.has(key)) this.twice.push(key);
    if (key.startsWith('fail-') || !again) throw new Error('503');
    this.#now.add(key);
    this.mostHanging = Math.max(this.mostHanging, ++this.hanging);
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      this.release.signal.addEventListener('abort', () => resolve());
    });
    this.#now.delete(key);
    this.hanging--;
    throw new Error('late');
  }

  /** Good events that were published. */
  get good(): number {
    return this.topic.received.filter(({ key }) => key.startsWith('good-')).length;
  }
}

/** Of a new key each, one every so often. @returns how many */
async function writeGood(forMs: number, everyMs: number): Promise<number> {
  let n = 0;
  for (const end = Date.now() + forMs; Date.now() < end; await sleep(everyMs)) {
    await test.append(`good-${n++}`);
    wakeRelays(test.pool);
  }
  return n;
}

describe('others are published at once', () => {
  it.each([
    { fail: 50, hang: 0 },
    { fail: 12, hang: 2 },
    { fail: 0, hang: 3 },
  ])('while $fail keys fail and $hang hang', async ({ fail, hang }) => {
    const faulty = new Faulty();
    await test.append(...named('hang', hang), ...named('fail', fail));
    startRelay(test, faulty.topic, DEFAULTS);
    await until('each was tried', () => faulty.topic.tried.length >= fail + hang && faulty.hanging === hang);
    const good = await writeGood(3_000, 200);
    // Long before those that hang are late.
    await until('all are published', () => faulty.good === good);
    expect(faulty.hanging).toBe(hang);
    expect(faulty.twice).toEqual([]);
    expect(await deadLetters(test.pool)).toEqual([]);
    faulty.release.abort();
  });

  it('while more keys hang than may be published side by side', async () => {
    const faulty = new Faulty();
    await test.append(...named('hang', 12));
    startRelay(test, faulty.topic, { ...DEFAULTS, concurrency: 8 });
    await until('as many hang as may', () => faulty.hanging === 2);
    const good = await writeGood(1_500, 50);
    await until('all are published', () => faulty.good === good);
    expect(faulty.mostHanging).toBe(2);
    faulty.release.abort();
  });
});

it('an outage is asked a few at a time whether it is over, and nothing is parked', async () => {
  let away = true;
  const topic = new Topic(() => {
    if (away) throw new Error('away');
  });
  for (const part of ['a', 'b', 'c']) await test.append(...named(part, 800));
  startRelay(test, topic, { ...DEFAULTS, attempts: 1 });
  await until('it is known', () => topic.tried.length >= 1_000);
  const before = topic.tried.length;
  await sleep(3_000);
  // Ten that have not failed and one that has, after 100, 200, 400 and 800 ms and then each second, less jitter.
  expect(topic.tried.length - before).toBeLessThan(120);
  expect(topic.tried.length).toBeLessThan(1_200);
  expect(topic.tried.length).toBeGreaterThan(before);
  away = false;
  await untilLeft(test, 0, 20_000);
  expect(new Set(topic.log).size).toBe(2_400);
  expect(await deadLetters(test.pool)).toEqual([]);
}, 40_000);

describe('an event that cannot be parked', () => {
  /** A relay of which the first attempts to park fail. */
  function refused(topic: Topic, times: number, rounds: RelayRound[]): RunningRelay {
    const pool = quietPool({ connectionString: test.url, max: 4 });
    onTestFinished(() => pool.end());
    const query = pool.query.bind(pool) as (...all: unknown[]) => unknown;
    let left = times;
    const refusing = (statement: unknown, ...more: unknown[]): unknown =>
      typeof statement === 'string' && /insert into txn.outbox_dead_letter/.test(statement) && left-- > 0
        ? query('select 1 / 0')
        : query(statement, ...more);
    Object.assign(pool, { query: refusing });
    return startRelay(test, topic, { pool, observe: (round) => rounds.push(round) });
  }

  const bad = (why: unknown): Topic =>
    new Topic(({ key }) => {
      if (key === 'bad') throw why;
    });

  it('is tried again, and keeps no other waiting', async () => {
    await test.append('bad', 'good-0');
    const rounds: RelayRound[] = [];
    refused(bad(new UnpublishableEventError('nobody wants it')), 2, rounds);
    await until('it is parked', async () => (await deadLetters(test.pool)).length === 1);
    expect(await deadLetters(test.pool)).toMatchObject([{ key: 'bad', attempts: 3 }]);
    await untilLeft(test, 1);
    expect(rounds.flatMap(({ notParked }) => notParked)).toMatchObject([
      { queued: { event: { key: 'bad' } }, error: { code: '22012' } },
      { queued: { event: { key: 'bad' } }, error: { code: '22012' } },
    ]);
    expect(rounds.flatMap(({ parked }) => parked)).toMatchObject([{ queued: { event: { key: 'bad' } } }]);
  });

  it.each([
    [new UnpublishableEventError('said a\0b'), 'UnpublishableEventError: Nothing was published: said ab.'],
    [Object.create(null), 'An error that cannot be shown.'],
  ])('for what its error says is parked all the same: %#', async (why, error) => {
    await test.append('bad');
    startRelay(test, bad(why), { attempts: 1 });
    await until('it is parked', async () => {
      await test.append('other');
      return (await deadLetters(test.pool)).length === 1;
    });
    expect(await deadLetters(test.pool)).toMatchObject([{ key: 'bad', error }]);
  });
});
