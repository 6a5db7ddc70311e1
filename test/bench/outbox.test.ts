/**
 * The benchmark of the outbox: that it measures what it says, and sees when the relay does not do what it is measured at. No test holds
 * a time. The processes that publish are compiled ones, so all that starts them is taken from dist/.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DRAIN_NAMES } from '../../bench/outbox/drain';
import type * as DrainModule from '../../bench/outbox/drain';
import { LATENCY_WAYS } from '../../bench/outbox/latency';
import type * as LatencyModule from '../../bench/outbox/latency';
import { produce, WAKE_WAYS } from '../../bench/outbox/producers';
import type { WakeWay } from '../../bench/outbox/producers';
import { reportOf, textOf } from '../../bench/outbox/report';
import type { OutboxRound } from '../../bench/outbox/report';
import type * as StageModule from '../../bench/outbox/stage';
import { Tally } from '../../bench/outbox/tally';
import { defineOutbox } from '../../src/outbox';
import { isTurnOf } from '../depth';

const compiled = <Module>(name: string): Promise<Module> =>
  import(resolve(__dirname, `../../dist/bench/outbox/${name}.js`)) as Promise<Module>; // Cast: compiled from it.

const outbox = defineOutbox('/test');

let stage: StageModule.OutboxStage;

/** What is written is published by one relay, in a process of its own. */
async function relayed(events: number): Promise<{ readonly count: number; readonly astray: number }> {
  const publishing = await stage.publish([{ kind: 'ours', seat: 0, seats: 1 }]);
  try {
    publishing.begin();
    await publishing.finished(events, 20_000);
    return { count: publishing.count, astray: publishing.astray };
  } finally {
    await publishing.stop();
  }
}

/** What relays are told meanwhile. */
async function counted<T>(run: () => Promise<T>): Promise<{ readonly result: T; readonly notifications: number }> {
  const listener = await stage.pool.connect();
  let notifications = 0;
  listener.on('notification', () => notifications++);
  try {
    await listener.query('listen txn_outbox');
    const result = await run();
    await sleep(100); // The last that is sent after a commit.
    await listener.query('select');
    return { result, notifications };
  } finally {
    listener.release(true);
  }
}

const append = (...keys: readonly string[]): Promise<void> =>
  outbox.append(
    stage.pool,
    keys.map((key) => ({ type: 'Happened', key, data: {} })),
  );

describe.skipIf(!isTurnOf('comparison', 'outbox'))('on its stage', () => {
  beforeAll(async () => {
    const { openOutboxStage } = await compiled<typeof StageModule>('stage');
    stage = await openOutboxStage();
  });

  afterAll(() => stage?.stop());

  describe('a backlog', () => {
    it('is published whole and in order by each way', async () => {
      const { drain } = await compiled<typeof DrainModule>('drain');
      for (const name of DRAIN_NAMES) {
        const { msPerEvent, astray } = await drain(stage, name, 40);
        expect(astray, name).toBe(0);
        expect(msPerEvent, name).toBeGreaterThan(0);
      }
      const { rows } = await stage.pool.query('select from txn.outbox_queue');
      expect(rows).toHaveLength(0);
      const slots = await stage.pool.query('select from pg_replication_slots');
      expect(slots.rows).toHaveLength(0);
    }, 90_000);

    it('shows an event that comes out of its turn', async () => {
      await stage.empty();
      await append('a', 'a', 'b');
      await stage.pool.query("delete from txn.outbox_queue where key = 'a' and version = 1");
      expect(await relayed(2)).toEqual({ count: 1, astray: 1 });
    });

    it('is given up when the process has ended', async () => {
      await stage.empty();
      const publishing = await stage.publish([{ kind: 'ours', seat: 0, seats: 1 }]);
      const given = expect(publishing.finished(1, 20_000)).rejects.toThrow('has ended');
      await publishing.stop();
      await given;
    });
  });

  describe('one event at a time', () => {
    it('has its turns, in which the relay leaves out nothing', async () => {
      const { latencies } = await compiled<typeof LatencyModule>('latency');
      const { result, notifications } = await counted(() => latencies(stage, 1));
      const { samples, lost, astray } = result;
      expect(astray).toBe(0);
      // The one before the counted ones is woken too, and nothing else is.
      expect(notifications).toBe(21);
      expect([samples.unwoken.length, samples.polling.length, samples.woken.length]).toEqual([1, 1, 20]);
      expect(samples.replication.length + lost).toBe(20);
      expect(Math.min(...samples.unwoken)).toBeGreaterThan(0);
    }, 90_000);
  });

  describe('producers', () => {
    /** Notifications and transactions of a way. */
    async function notified(way: WakeWay): Promise<{ readonly notifications: number; readonly transactions: number }> {
      await stage.empty();
      const { notifications } = await counted(() => produce(stage.pool, way, 300));
      const { rows } = await stage.pool.query<{ n: number }>('select count(*)::int as n from business');
      return { notifications, transactions: rows[0]?.n ?? 0 };
    }

    it('wake nobody, after their commits, or inside of each transaction', async () => {
      const none = await notified('none');
      expect(none.notifications).toBe(0);
      expect(none.transactions).toBeGreaterThan(0);
      const inside = await notified('inside');
      expect(inside.notifications).toBe(inside.transactions);
      const after = await notified('after commit');
      expect(after.notifications).toBeGreaterThan(0);
      expect(after.notifications).toBeLessThan(after.transactions);
    });
  });
});

describe('the report', () => {
  /** A round in which the relay takes so many milliseconds for an event. */
  const roundOf = (ms: number): OutboxRound => ({
    drained: {
      '1×100': { msPerEvent: ms, astray: 0 },
      '1×500': { msPerEvent: ms / 4, astray: 0 },
      '4×100': { msPerEvent: ms, astray: 0 },
      '4×500': { msPerEvent: ms, astray: 0 },
      polling: { msPerEvent: 30 * ms, astray: 0 },
      replication: { msPerEvent: ms / 2, astray: 0 },
    },
    latencies: {
      samples: { woken: [1, 1, 1, 20], unwoken: [200], polling: [300], replication: [2] },
      lost: 1,
      astray: 0,
    },
    wakes: {
      alone: { none: 1, 'after commit': 1.05, inside: 1.5 },
      'with a relay': { none: 1, 'after commit': 1.2, inside: 2 },
    },
  });

  it('takes ratios within a round, as times, and says which aims were met', () => {
    const report = reportOf([roundOf(0.05), roundOf(0.08), roundOf(0.2)]);
    expect(report.drained['1×100']).toEqual({ median: 12_500, least: 5_000, most: 20_000 });
    expect(report.ratios.drained['polling/1×100']?.least).toBeCloseTo(30);
    expect(report.ratios.drained['polling/1×100']?.most).toBeCloseTo(30);
    expect(report.ratios.latencyP50['replication/woken']?.median).toBe(2);
    expect(report.latencies.woken).toEqual({ p50Ms: 1, p99Ms: 20, samples: 12 });
    expect(report.lost).toEqual({ lost: 3, of: 6 });
    expect(report.aims.map(({ met }) => met)).toEqual([true, true, true, false, true, false, true, false]);
    const text = textOf(report);
    for (const way of [...DRAIN_NAMES, ...LATENCY_WAYS, ...WAKE_WAYS]) expect(text).toContain(way);
  });
});

describe('the tally', () => {
  it('counts what comes in its turn, and what does not apart', () => {
    const tally = new Tally();
    expect([tally.add('a', 1), tally.add('b', 1), tally.add('a', 2)]).toEqual([true, true, true]);
    expect([tally.add('a', 2), tally.add('a', 4), tally.add('b', 3)]).toEqual([false, false, false]);
    expect([tally.count, tally.astray]).toEqual([3, 3]);
  });
});
