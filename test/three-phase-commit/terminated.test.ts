/**
 * The coordinator is terminated, once at every event of its history and at every question that it has asked, of transactions
 * that would commit and that would abort, with two, three and four participants; without a campaign at some events and of one of these
 * numbers. They end the transaction without it: all in the same way, as the register says, and soon.
 */
import { describe, expect, it } from 'vitest';
import { CAMPAIGN, depth, some } from '../depth';
import { refuses } from '../two-phase-commit/participants';
import type { Interruption, Line } from '../two-phase-commit/participants';
import { FOUR, IMPATIENT, threePhaseFixture } from './fixture';
import type { Tale } from './fixture';

const fixture = threePhaseFixture();
const { participants } = fixture;

const AT_A_TIME = 24;
/** What participants may take longer than their timers: a workflow task that is lost costs 10 s, and there may be several of them. */
const GRACE_MS = 60_000;
const { uncertain, preCommitted, peers } = IMPATIENT.timeouts;

type Course = 'commit' | 'abort';
const answersOf = (course: Course): Record<string, Line> =>
  course === 'commit' ? {} : { 'prepare south.credit': refuses() };

const outcomes = new Map<string, number>();
let tried = 0;
let longestMs = 0;

/** Takes away the coordinator. It may have ended the moment before. */
async function terminate(id: string): Promise<void> {
  await fixture.client.workflow
    .getHandle(id)
    .terminate('by a test')
    .catch((error: unknown) => {
      if (!/already completed|not found/i.test(String(error))) throw error;
    });
}

/** All that were asked came to one decision, the register's, and in time. */
async function judge(tale: Tale): Promise<void> {
  tried++;
  const endings = await tale.endings();
  const { id, decided = 'nothing' } = tale;
  const states = tale.states();
  const about = `${id}: ${tale.asked().join(', ')}`;
  const ended = new Set(Object.values(endings));
  expect(ended.size, `${about}: ${JSON.stringify(endings)}`).toBeLessThanOrEqual(1);
  const expected = decided === 'commit' ? 'committed' : 'rolled-back';
  for (const [branch, state] of Object.entries(states))
    expect(`${branch} ${state}`, about).toBe(`${branch} ${expected}`);
  if (decided === 'commit') expect(Object.keys(states)).toHaveLength(tale.branches.length);
  const gone = await tale.endedAt();
  for (const branch of Object.keys(endings)) {
    const tookMs = (await tale.endedAt(branch)) - gone;
    longestMs = Math.max(longestMs, tookMs);
    expect(tookMs, `${about}: ${branch}`).toBeLessThan(uncertain + preCommitted + peers + GRACE_MS);
  }
  outcomes.set(decided, (outcomes.get(decided) ?? 0) + 1);
}

async function inTurns<T>(todo: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const open = [...todo];
  const runner = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined; next = open.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, runner));
}

const COUNTS = some([2, 3, 4], 1, 'numbers of participants whose coordinator is terminated');

describe.each(COUNTS)('a coordinator of %i participants that is terminated', (count) => {
  const branches = FOUR.slice(0, count);

  describe.each<Course>(['commit', 'abort'])('in a transaction that would %s', (course) => {
    let events: readonly number[] = [];
    let questions = 0;
    const story = { branches, options: IMPATIENT, answers: answersOf(course) };

    it('is not needed while nobody does so', async () => {
      const tale = await fixture.begin({ branches, answers: answersOf(course) });
      expect(await tale.report()).toMatchObject({ decision: course });
      await judge(tale);
      const history = await tale.history();
      // Nothing of the coordinator's has gone out between the event that wakes it and the end of its task.
      const seen = history.filter(
        (event) => !event.workflowTaskScheduledEventAttributes && !event.workflowTaskStartedEventAttributes,
      );
      const chosen = some(seen, 8, `events of ${count} participants, ${course}`);
      events = (CAMPAIGN ? history : chosen).map(({ eventId }) => Number(eventId));
      questions = tale.asked().length;
      expect(seen.length).toBeGreaterThan(8);
    });

    it('at any event leaves participants that agree', async () => {
      await inTurns(events, async (length) => {
        const tale = await fixture.begin(story);
        await tale.untilEvents(length);
        await terminate(tale.id);
        await judge(tale);
      });
    }, 120_000);

    it('at any question, before the answer and after, leaves participants that agree', async () => {
      const points = Array.from({ length: questions }, (_, i) =>
        (['before', 'after'] as const).map((when) => ({ at: i + 1, when })),
      )
        .flat()
        .filter((_, i) => CAMPAIGN || i % count === 0);
      await inTurns(points, async (point: Omit<Interruption, 'act'>) => {
        const id = fixture.nextId;
        let tell = (): void => undefined;
        const told = new Promise<void>((done) => (tell = done));
        participants.interrupt(id, { ...point, act: () => terminate(id).finally(tell) });
        const tale = await fixture.begin(story);
        // The last question may not come this time, where one came twice before.
        await Promise.race([told, tale.handle.result().catch(() => undefined)]);
        await judge(tale);
      });
    }, 120_000);
  });
});

it('Both decisions were taken, at many points, and nothing happened that may not happen', () => {
  process.stdout.write(
    `terminated: ${tried} points, ${JSON.stringify(Object.fromEntries(outcomes))}, longest ${longestMs} ms\n`,
  );
  // Who has not voted commit, and may be prepared for all it knows, aborts alone.
  expect(participants.breaches.filter((breach) => !breach.endsWith('abort, decided is undefined'))).toEqual([]);
  expect(tried).toBeGreaterThan(depth({ sample: 15, campaign: 100 }));
  expect(outcomes.get('commit')).toBeGreaterThan(depth({ sample: 0, campaign: 10 }));
  expect(outcomes.get('abort')).toBeGreaterThan(depth({ sample: 5, campaign: 50 }));
});
