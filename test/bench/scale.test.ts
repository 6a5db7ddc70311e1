/**
 * The benchmark of scale: that it measures what it says, and tells a series that grows from one that only has noise. No test holds a
 * time. The processes of the fleet are compiled ones, so all that starts them is taken from dist/.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { check, resolveConfig } from 'prettier';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as FleetModule from '../../bench/scale/fleet';
import {
  EXAMPLE,
  frontendCalls,
  resourcesOf,
  scarcest,
  shardWrites,
  throughputOf,
  times,
} from '../../bench/scale/model';
import { filesOf, RECORDED_FILE } from '../../bench/scale/page';
import type * as PartModule from '../../bench/scale/part';
import type { Price } from '../../bench/scale/prices';
import { reportOf } from '../../bench/scale/report';
import type { ScaleReport } from '../../bench/scale/report';
import { exceeds, trendOf } from '../../bench/scale/trend';
import type { Memory } from '../../bench/scale/usage';
import type { Window } from '../../bench/scale/windows';
import { isTurnOf } from '../depth';
import { taken } from './taken';

const root = resolve(__dirname, '../..');
const compiled = <Module>(name: string): Promise<Module> =>
  import(resolve(root, `dist/bench/scale/${name}.js`)) as Promise<Module>; // Cast: compiled from it.

describe.skipIf(!isTurnOf('comparison', 'scale'))('a run', () => {
  let fleet: FleetModule.Fleet;

  beforeAll(async () => {
    const { openFleet } = await compiled<typeof FleetModule>('fleet');
    fleet = await openFleet(() => undefined);
  });

  afterAll(() => fleet?.stage.stop());

  it('makes transfers in groups from all clients, opens many at once, and finds all the money where it should be', async () => {
    const { run } = await compiled<typeof PartModule>('part');
    const options = { rounds: 2, size: { alone: 6, together: 48 }, lastBeginMs: 60_000, say: () => undefined };
    const { report, violations, text } = await run(fleet, options, { began: Date.now(), load: 0 });
    expect(violations).toBe(0);
    expect(report.windows.map(({ transfers, refused }) => ({ transfers, refused }))).toEqual([
      { transfers: 24, refused: 0 },
      { transfers: 24, refused: 0 },
    ]);
    expect(report.verdicts).toEqual([]);
    // Less than one each in groups.
    expect(report.prices.grouped.workflows).toBeLessThan(1);
    expect(report.prices.alone).toMatchObject({ workflows: 1, workflowTasks: 3, activities: 2, actions: 3 });
    expect(report.opened).toMatchObject({ open: 6, wanted: 6 });
    for (const { memory } of report.windows) {
      expect(memory).toHaveLength(fleet.members.length + 2);
      for (const { heap = 1, anonymous, resident } of memory) {
        expect(heap).toBeGreaterThan(0);
        expect(anonymous).toBeGreaterThan(0);
        expect(resident).toBeGreaterThan(anonymous / 2);
      }
    }
    for (const { name } of fleet.members) expect(text).toContain(name);
  }, 180_000);

  it('has several processes for each role, all of which fetch work', async () => {
    const { client } = fleet.stage;
    const pollers = await Promise.all(
      ['transactions', 'north-bank', 'south-bank'].map(async (name) => {
        const { namespace } = client.options;
        const taskQueueType = name === 'transactions' ? 1 : 2;
        const request = { namespace, taskQueue: { name }, taskQueueType };
        return (await client.workflowService.describeTaskQueue(request)).pollers ?? [];
      }),
    );
    const fetching = new Set(pollers.flat().map(({ identity }) => Number(identity?.split('@').at(-1))));
    const workers = fleet.members.filter(({ role }) => role !== 'client').map(({ pid }) => pid);
    expect(workers).toHaveLength(6);
    for (const pid of workers) expect(fetching).toContain(pid);
  });

  it('sees a transfer that is missing', async () => {
    const made = await fleet.make({ way: 'grouped', count: 2, callers: 2 });
    expect(await fleet.look([{ ...made, count: 3 }])).toBe(2);
  });
});

/** Repeatable noise between -1 and 1. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return (2 * state) / 2 ** 31 - 1;
  };
}

const series = (windows: number, of: (i: number) => number): readonly number[] =>
  Array.from({ length: windows }, (_, i) => of(i));

const LIMIT = { growth: 0.1 };

/** Whether it is said to grow; false also of too few values. */
const grows = (values: readonly number[], limit = LIMIT): boolean => {
  const trend = trendOf(values);
  return trend !== undefined && exceeds(trend, limit);
};

describe('a series', () => {
  it('that grows is seen, with noise and without', () => {
    expect(trendOf(series(20, (i) => 100 + i))).toMatchObject({ change: 15 });
    expect(grows(series(20, (i) => 100 + i))).toBe(true);
    for (let seed = 1; seed <= 20; seed++) {
      const next = noise(seed);
      expect(grows(series(20, (i) => (100 + 2 * i) * (1 + 0.05 * next())))).toBe(true);
    }
  });

  it('that is flat and noisy is left alone, whatever the noise', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const next = noise(seed);
      expect(grows(series(20, () => 100 * (1 + 0.1 * next())))).toBe(false);
    }
  });

  it('that grows for certain, and by next to nothing, is left alone', () => {
    const values = series(20, (i) => 1000 + i);
    expect(trendOf(values)?.z).toBeGreaterThan(4);
    expect(grows(values)).toBe(false);
  });

  it('is not judged by single windows in which the machine was busy, or by its warm-up', () => {
    expect(grows(series(20, (i) => (i > 17 ? 300 : 100 + (i % 3))))).toBe(false);
    expect(grows(series(20, (i) => (i < 4 ? 10 * i : 100 + (i % 3))))).toBe(false);
  });

  it('can be judged for becoming less', () => {
    expect(
      grows(
        series(20, (i) => 100 - i),
        { growth: -0.1 },
      ),
    ).toBe(true);
    expect(
      grows(
        series(20, (i) => 100 + i),
        { growth: -0.1 },
      ),
    ).toBe(false);
    expect(grows(series(20, (i) => 100 - i))).toBe(false);
  });

  it('is not judged when it is short', () => {
    expect(trendOf(series(6, (i) => 2 ** i))).toBeUndefined();
  });
});

const priceOf = (each: number, workflows: number): Price => ({
  cpuMs: {
    client: each,
    coordinator: 2 * each,
    'north-bank': each,
    'south-bank': each,
    postgres: each,
    temporal: each,
  },
  commits: 1,
  workflows,
  workflowTasks: 3 * workflows,
  activities: 2 * workflows,
  events: 17 * workflows,
  actions: 3 * workflows,
});

const prices = { alone: priceOf(10, 1), grouped: priceOf(1, 0.01) };

describe('on paper', () => {
  it('counts what a transfer asks of Temporal', () => {
    expect(shardWrites(prices.alone)).toBe(11);
    expect(frontendCalls(prices.alone)).toBe(12);
  });

  it('allows what the scarcest resource does', () => {
    const resources = resourcesOf(prices, 'alone', EXAMPLE);
    const allowedBy = (name: string): number | undefined => resources.find((one) => one.name === name)?.allows;
    // 16 processors, 70 % busy, 20 ms each.
    expect(allowedBy('coordinators')).toBeCloseTo(560);
    // 512 shards, 70 % busy, 11 writes of 5 ms each.
    expect(allowedBy("Temporal's history shards")).toBeCloseTo(6516, 0);
    // 8 clients with 2 groups each, 7 ms a transfer.
    const underWay = resourcesOf(prices, 'grouped', EXAMPLE).find(({ name }) => name === 'groups under way');
    expect(underWay?.allows).toBeCloseTo(16_000 / 7);
    expect(scarcest(resources).allows).toBe(Math.min(...resources.map(({ allows }) => allows)));
  });

  it('grows with machines until the shards are used up, and groups hardly use them', () => {
    const alone = (factor: number) => throughputOf(prices, 'alone', times(EXAMPLE, factor, 4));
    expect(alone(2).name).toBe("Temporal's history shards");
    expect(alone(4).allows).toBe(alone(2).allows);
    const grouped = (factor: number) => throughputOf(prices, 'grouped', times(EXAMPLE, factor, 512)).allows;
    expect(grouped(0.5)).toBeCloseTo(2 * grouped(0.25));
  });
});

const memoryOf = (anonymous: number): readonly Memory[] => [
  { name: 'client 1', heap: anonymous / 2, anonymous, resident: anonymous + 2 ** 20 },
  { name: 'Temporal', anonymous: 2 * anonymous, resident: 3 * anonymous },
];

const windowOf = (i: number, growing: number): Window => ({
  transfers: 5_000,
  refused: 0,
  throughput: 500,
  p50Ms: 900,
  p99Ms: 1_900,
  cpuMs: prices.grouped.cpuMs,
  memory: memoryOf((100 + growing * i) * 2 ** 20),
});

const reportWith = (growing: number): ScaleReport =>
  reportOf({
    taken,
    windows: Array.from({ length: 20 }, (_, i) => windowOf(i, growing)),
    alone: windowOf(0, 0),
    prices,
    opened: {
      open: 10_000,
      wanted: 10_000,
      openingSeconds: 120,
      slowestSeconds: 130,
      before: memoryOf(2 ** 27),
      whileOpen: memoryOf(2 ** 28),
      after: memoryOf(2 ** 27),
    },
  });

describe('the report', () => {
  it('says whose memory grows, and by how much for each transfer', () => {
    const leaking = reportWith(2).verdicts.filter(({ kept }) => !kept);
    expect(leaking.map(({ of }) => of)).toEqual(['heap of client 1', 'memory of client 1']);
    // 2 MiB a window of 5,000.
    expect(leaking[1]?.bytesEach).toBeCloseTo((2 * 2 ** 20) / 5_000);
    expect(reportWith(0).verdicts.every(({ kept }) => kept)).toBe(true);
  });

  it('becomes a page that is laid out as all others, and a drawing', async () => {
    const { 'docs/scaling.md': page = '', 'docs/images/scaling.svg': plot = '' } = filesOf(reportWith(2));
    expect(page).toContain('Not all of it: beyond its limit are heap of client 1, memory of client 1.');
    const file = resolve(root, 'docs/scaling.md');
    expect(await check(page, { ...(await resolveConfig(file)), filepath: file })).toBe(true);
    expect(XMLValidator.validate(plot)).toBe(true);
    expect(plot.match(/<polyline /g)).toHaveLength(3);
    for (const text of [page, plot]) expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });
});

// Until a run has been recorded there is nothing to compare.
it.skipIf(!existsSync(resolve(root, RECORDED_FILE)))(
  'docs/scaling.md shows what was recorded; otherwise run `npm run scaling:page`',
  () => {
    // Cast: a run of the benchmark has written it.
    const report = JSON.parse(readFileSync(resolve(root, RECORDED_FILE), 'utf8')) as ScaleReport;
    for (const [path, content] of Object.entries(filesOf(report)))
      expect(readFileSync(resolve(root, path), 'utf8')).toBe(content);
  },
);
