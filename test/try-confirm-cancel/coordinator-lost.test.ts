/**
 * The coordinator of a trip is terminated, cancelled, reset, wherever it is. On a real server, real databases, with
 * the recovery of each company at work. Whatever happens, and whenever: all companies do as the register says, nothing stays
 * reserved, no place is lost or sold twice, and what is reported is so.
 */
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TransactionAborted, TransactionClient, TransactionInterrupted } from '../../src/client';
import type { TripOffer } from '../../workflows/book-trip';
import { depth } from '../depth';
import { endedBefore, SlowServer, tasksIn } from '../real-server';
import type { Events } from '../real-server';
import { COMPANIES, World } from './coordinator-world';

const AT_A_TIME = 16;
const GRACE_MS = 500;
/** Recovery leaves alone what is younger than the hold and the grace period. */
const HOLD_SECONDS = 1;
const LONG_HOLD_SECONDS = 3_600;
/** Each activity dwells before and after its work, so that there is a moment to act at every event. */
const DWELL_MS = 20;
const OFFERS = [
  ['airline', 'LIS-900'],
  ['hotel', 'DOUBLE'],
  ['car-rental', 'COMPACT'],
] as const;
const CAPACITY = 1_000;

let world: World;
let slow: SlowServer;
let client: Client;
let transactions: TransactionClient;
const endings: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  world = await World.open(COMPANIES);
  endings.push(() => world.close());
  for (const [company, offer] of OFFERS)
    await world.rows(company, 'update offer set capacity = $2, available = $2 where id = $1', [offer, CAPACITY]);
  slow = await SlowServer.start('try-confirm-cancel', world.activities(), { dwellMs: DWELL_MS, graceMs: GRACE_MS });
  endings.push(() => slow.stop());
  client = slow.server.client;
  // A machine that is busy with other tests answers late.
  transactions = new TransactionClient({ client, patienceMs: 60_000 });
});
afterAll(async () => {
  for (const end of endings.reverse()) await end();
}, 60_000);

const HOLD_IS_OVER = { message: 'The hold ended, and nobody had confirmed.' };

type Reset = 'updates reapplied' | 'updates excluded';
type Act = 'cancel' | 'terminate' | Reset;
const REAPPLYING: readonly Reset[] = ['updates reapplied', 'updates excluded'];
type Outcome = 'committed' | 'aborted';

let begun = 0;
let booked = 0;
const outcomes = new Map<string, number>();
const count = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1);

async function book(holdSeconds = HOLD_SECONDS): Promise<string> {
  const id = `trip-${++begun}`;
  const input: TripOffer = { flight: 'LIS-900', room: 'DOUBLE', car: 'COMPACT', travellers: 1, holdSeconds };
  await transactions.start('bookTrip', { id, input });
  return id;
}

const isHeld = (events: Events): boolean => events.some((event) => event.timerStartedEventAttributes);
const isEnded = (events: Events): boolean =>
  events.some(
    (event) => event.workflowExecutionCompletedEventAttributes ?? event.workflowExecutionFailedEventAttributes,
  );

async function untilHeld(id: string): Promise<void> {
  while (!isHeld(await slow.eventsOf(id))) await sleep(10);
}

const answer = (id: string, accept: boolean): Promise<void> =>
  client.workflow
    .getHandle(id)
    .executeUpdate<void, [object]>('answerTrip', { args: [{ accept }] })
    // It has ended a moment before, or is held no more.
    .catch((error: unknown) => {
      const why = error instanceof WorkflowUpdateFailedError ? String(error.cause) : String(error);
      if (!/already completed|not found|completed before|not held|Interrupted|terminated|aborted/i.test(why))
        throw error;
    });

async function act(id: string, what: Act, task?: number): Promise<void> {
  const workflow = client.workflow.getHandle(id);
  try {
    if (what === 'cancel') return void (await workflow.cancel());
    if (what === 'terminate') return void (await workflow.terminate('by a test'));
    await slow.reset(id, what === 'updates reapplied', task);
  } catch (error) {
    if (!endedBefore(error)) throw error;
  }
}

async function untilAtRest(id: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(100)) {
    if ((await transactions.handle(id).status()) === 'RUNNING' || (slow.inFlight.get(id) ?? 0) > 0) continue;
    if ((await world.pending(id)).length === 0) return;
  }
  throw new Error(`${id} did not come to rest: ${JSON.stringify(await world.pending(id))}`);
}

async function saidOf(id: string): Promise<Outcome | 'nothing'> {
  try {
    await transactions.handle(id).result();
    return 'committed';
  } catch (error) {
    if (error instanceof TransactionAborted) return 'aborted';
    if (error instanceof TransactionInterrupted) return 'nothing';
    throw error;
  }
}

/** All three did as the register says, or nothing was ever decided and nothing was done; and what was said is so. */
async function judge(id: string): Promise<Outcome> {
  const [decisions, bookings] = await Promise.all([world.decisions(id), world.bookings(id)]);
  expect(decisions.length, `${id} is decided at most once`).toBeLessThanOrEqual(1);
  const outcome = decisions[0] === 'airline commit' ? 'committed' : 'aborted';
  const wrong = bookings.filter((booking) => !booking.endsWith(outcome === 'committed' ? 'CONFIRMED' : 'CANCELLED'));
  expect({ id, decisions, wrong }).toEqual({ id, decisions, wrong: [] });
  if (outcome === 'committed') expect({ id, bookings }).toMatchObject({ bookings: { length: OFFERS.length } });
  // What was never decided was never reserved, or it would be there for ever.
  if (decisions.length === 0) expect({ id, bookings }).toEqual({ id, bookings: [] });
  const said = await saidOf(id);
  if (said !== 'nothing') expect(`${id} ${said}`).toBe(`${id} ${outcome}`);
  return outcome;
}

async function conclude(id: string, what: string): Promise<void> {
  await untilAtRest(id);
  // A request that was on its way when the coordinator was taken away may come after that, and recovery after it.
  const outcome = await vi.waitFor(() => judge(id), { timeout: 45_000, interval: 500 });
  if (outcome === 'committed') booked++;
  count(`${what}: ${outcome}`);
}

async function inTurns<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const open = [...all];
  const runner = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined; next = open.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, runner));
}

/** A trip that is booked, after others whose hold was over before the answer came: on a busy machine it may be. */
async function bookInTime(holdSeconds: number): Promise<string> {
  for (;;) {
    const id = await book(holdSeconds);
    await untilHeld(id);
    await answer(id, true);
    if ((await saidOf(id)) === 'committed') return id;
    // Nothing else may have kept it from being booked.
    await expect(transactions.handle(id).result()).rejects.toMatchObject({ report: { cause: HOLD_IS_OVER } });
    await conclude(id, 'answered too late');
  }
}

/** Answers as soon as it is held, and acts as soon as the history is so long. */
async function actAt(length: number, what: Act): Promise<void> {
  const id = await book();
  let answered: Promise<void> | undefined;
  for (; ; await sleep(5)) {
    const events = await slow.eventsOf(id);
    if (events.length >= length || isEnded(events)) break;
    if (isHeld(events)) answered ??= answer(id, true);
  }
  await act(id, what);
  await answered;
  // Who began anew asks again, and nobody answers: the hold ends.
  await conclude(id, what);
}

describe('a trip with a hold', () => {
  let length = 0;
  let tasks: readonly number[] = [];

  it('is booked when nobody interferes', async () => {
    const id = await book(LONG_HOLD_SECONDS);
    await untilHeld(id);
    await answer(id, true);
    await transactions.handle(id).result();
    const events = await slow.eventsOf(id);
    length = events.length;
    tasks = tasksIn(events);
    await conclude(id, 'left alone');
    expect(outcomes.get('left alone: committed')).toBe(1);
    expect(length).toBeGreaterThan(25);
  });

  it.each<readonly [Act, number]>([
    ['terminate', depth({ sample: 3, campaign: 1 })],
    ['cancel', depth({ sample: 5, campaign: 2 })],
    ['updates reapplied', depth({ sample: 6, campaign: 3 })],
    ['updates excluded', depth({ sample: 6, campaign: 3 })],
  ])(
    'with an operator at its events (%s, at one in %i) is all or nothing',
    async (what, step) => {
      const points = Array.from({ length: Math.ceil(length / step) }, (_, i) => 1 + i * step);
      await inTurns(points, (at) => actAt(at, what));
    },
    150_000,
  );

  it('reset to any workflow task when it is booked, stays booked, whoever says what then', async () => {
    const resets = tasks.map((task, i) => ({ task, what: REAPPLYING[i % 2] ?? 'updates excluded' }));
    await inTurns(resets, async ({ task, what }) => {
      // Reset into its hold it waits for the rest of that, as it did not know of a decision then.
      const id = await bookInTime(3);
      const ends = tasksIn(await slow.eventsOf(id));
      await act(id, what, ends.find((end) => end >= task) ?? ends.at(-1));
      await conclude(id, 'reset after the end');
      expect(await saidOf(id)).toBe('committed');
    });
    expect(outcomes.get('reset after the end: aborted')).toBeUndefined();
  }, 150_000);

  it('terminated while it is held is given back by the companies themselves, after the hold and not before', async () => {
    // Not before: there must be time to see that, on a busy machine too.
    const id = await book(6);
    await untilHeld(id);
    await act(id, 'terminate');
    await sleep(GRACE_MS + 1_200);
    expect(await world.bookings(id)).toEqual(OFFERS.map((offer) => [...offer, 'PENDING'].join(' ')));
    await conclude(id, 'terminated while held');
    expect(await world.decisions(id)).toEqual(['airline abort']);
    expect(await world.bookings(id)).toEqual(OFFERS.map((offer) => [...offer, 'CANCELLED'].join(' ')));
  });

  it('that waits longer than the grace period is left to its coordinator', async () => {
    const id = await book(60);
    await untilHeld(id);
    await sleep(GRACE_MS + 1_000);
    expect(await world.decisions(id)).toEqual([]);
    expect(await world.bookings(id)).toHaveLength(OFFERS.length);
    await answer(id, true);
    await conclude(id, 'held for long');
    expect(outcomes.get('held for long: committed')).toBe(1);
  });

  it('leaves all places where they belong, and nothing pending', async () => {
    expect(await world.pending()).toEqual([]);
    expect(await world.violations()).toEqual([]);
    for (const [company, offer] of OFFERS)
      expect(await world.places(company, offer)).toEqual([CAPACITY - booked, 0, booked]);
    process.stdout.write(`trips: ${begun}, ${JSON.stringify(Object.fromEntries([...outcomes].sort()))}\n`);
    // Acts that never changed anything would prove little.
    for (const what of ['terminate', 'cancel'])
      for (const outcome of ['committed', 'aborted'])
        expect(outcomes.get(`${what}: ${outcome}`), `${what}: ${outcome}`).toBeGreaterThan(0);
  });
});
