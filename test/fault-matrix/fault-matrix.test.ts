/**
 * Two-phase commit on PostgreSQL, with every fault at every statement that goes over the wire, and with two of them anywhere.
 */
import { FAULTS, PLAN_NAMES, tellBlow } from './plans';
import type { Blow, Plan, Spot } from './plans';
import { Transfer } from './transfer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { some } from '../depth';
import { generator, seedOf } from '../property/seed';
import { Lane, World } from './world';

/** Most of a case is waiting. */
const LANES = 24;
/** More of them would tell nothing new, and most of them wait in vain for long. */
const MOST_BROKEN = 40;
const TRIALS = Number(process.env['TXN_TRIALS'] ?? 60);

let world: World;
const lanes: Lane[] = [];
const spots = new Map<Plan, readonly Spot[]>();

beforeAll(async () => {
  world = await World.start();
  for (let i = 0; i < LANES; i++) lanes.push(await Lane.open(`lane-${i}-`, world));
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await world?.stop();
});

interface Case {
  readonly plan: Plan;
  readonly blows: readonly Blow[];
}

/** Runs all of them, each lane one after the other. Answers what was broken. */
async function runAll(cases: readonly Case[]): Promise<{ broken: string[]; looks: number; ran: number }> {
  const waiting = [...cases];
  const broken: string[] = [];
  let looks = 0;
  let ran = 0;
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = waiting.shift(); next && broken.length < MOST_BROKEN; next = waiting.shift()) {
        const { plan, blows } = next;
        const once = (): Promise<Transfer> => new Transfer(world, lane, plan, blows).run();
        const first = await once();
        const transfer = first.hasOnlyMissed ? await once() : first;
        looks += transfer.looks;
        ran++;
        if (transfer.broken.length > 0) broken.push(transfer.explain());
      }
    }),
  );
  return { broken, looks, ran };
}

describe('two-phase commit on PostgreSQL', () => {
  it('goes as planned without a fault, and shows its statements', async () => {
    const [lane] = lanes;
    if (!lane) throw new Error('There are lanes.');
    const broken: string[] = [];
    for (const plan of PLAN_NAMES) {
      const transfer = await new Transfer(world, lane, plan).run();
      if (transfer.broken.length > 0) broken.push(transfer.explain());
      spots.set(plan, transfer.recorded);
    }
    expect(broken, broken.join('\n\n')).toEqual([]);
    const all = [...spots.values()].flat().map(({ statement }) => statement);
    for (const expected of [
      /^prepare transaction '<id>'$/,
      /^commit prepared '<id>'$/,
      /^rollback prepared '<id>'$/,
      /^insert into txn\.branch/,
      /^insert into txn\.decision/,
      /^insert into txn\.preparation/,
      /pg_prepared_xacts/,
      /pg_xact_status/,
      /^update account/,
    ])
      expect(all.filter((statement) => expected.test(statement))).not.toEqual([]);
  });

  it('keeps every promise with one fault at each statement', async () => {
    const all = matrix();
    const cells = some(all, Math.ceil(all.length / 8), 'fault matrix');
    if (process.env['TXN_SHOW']) show(cells);
    const began = Date.now();
    const { broken, looks, ran } = await runAll(cells);
    process.stdout.write(
      `fault matrix: ${ran} of ${cells.length} cells ran, ${broken.length} broken, ${looks} looks, ${Date.now() - began} ms\n`,
    );
    expect(broken, broken.join('\n\n')).toEqual([]);
    expect(ran).toBe(cells.length);
    expect(all.length).toBeGreaterThan(process.env['TXN_CELL'] === undefined ? 700 : 0);
    expect(looks).toBeGreaterThan(ran * 4);
  }, 240_000);

  it('keeps every promise with two faults at once', async () => {
    const seed = seedOf('two faults at once');
    const random = generator(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T; // Cast: no list is empty.
    const cases = Array.from({ length: TRIALS }, (): Case => {
      const plan = pick(PLAN_NAMES);
      const blow = (): Blow => ({ ...pick(spots.get(plan) ?? []), fault: pick(FAULTS) });
      return { plan, blows: [blow(), blow()] };
    });
    const began = Date.now();
    const { broken, looks, ran } = await runAll(cases);
    process.stdout.write(
      `two faults: ${ran} of ${cases.length} cases ran, ${broken.length} broken, ${Date.now() - began} ms\n`,
    );
    expect(broken, broken.join('\n\n')).toEqual([]);
    expect(ran).toBe(TRIALS);
    expect(looks).toBeGreaterThan(ran * 4);
  }, 240_000);

  it('leaves nothing behind', async () => {
    const left = await world.rows<{ gid: string }>('north', 'select gid from pg_prepared_xacts');
    expect(left).toEqual([]);
  });
});

/** Where it makes a difference that somebody else decides meanwhile. */
const RIVALLED = /^north (prepare|decide|decide again)$|^north's word/;
/** Recovery asks the same of both, and south comes first. */
const AS_BEFORE = /^north (watch|settle)$|for north$/;

/** Each statement of each plan with each fault, but none twice: plans begin alike. */
function matrix(): Case[] {
  const met = new Set<string>();
  const only = new RegExp(process.env['TXN_CELL'] ?? '');
  return PLAN_NAMES.flatMap((plan) =>
    (spots.get(plan) ?? []).flatMap((spot) =>
      FAULTS.flatMap((fault) => {
        if ((fault === 'rival' && !RIVALLED.test(spot.at)) || AS_BEFORE.test(spot.at)) return [];
        const blow = { ...spot, fault };
        const impatient = plan === 'impatient' && spot.at.endsWith('prepare') ? 'impatient ' : '';
        const key = `${impatient}${tellBlow(blow)}`;
        if (met.has(key)) return [];
        met.add(key);
        return only.test(`${plan}: ${tellBlow(blow)}`) ? [{ plan, blows: [blow] }] : [];
      }),
    ),
  );
}

function show(cells: readonly Case[]): void {
  const counts = new Map<string, number>();
  for (const { plan, blows } of cells)
    for (const { at } of blows) counts.set(`${plan}: ${at}`, (counts.get(`${plan}: ${at}`) ?? 0) + 1);
  for (const [place, count] of counts) process.stdout.write(`${String(count).padStart(5)}  ${place}\n`);
}
