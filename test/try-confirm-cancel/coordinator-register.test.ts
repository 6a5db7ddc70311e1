/** The register has the last word: over a second run of the workflow, over recovery, over what the caller says. And what is no transaction at all. */
import { describe, expect, it } from 'vitest';
import { gate } from '../two-phase-commit/fixture';
import { callLine, down } from '../two-phase-commit/participants';
import { all, NAMES, reservingFixture, THREE } from './coordinator-fixture';
import type { Story, Trip } from './coordinator-fixture';
import type { Planned } from './workflows';

const fixture = reservingFixture();
const { participants } = fixture;

const RECOVERED = { code: 'recovered', message: 'Recovery was first.' };

/** A run that ended while one was being told, with its decision written. */
async function interrupted(question: string, answer: 'yes' | 'no'): Promise<Trip> {
  const slow = gate();
  const trip = await fixture.held({ answers: { [question]: [slow.line, async (usual) => usual()] } });
  await trip.answer(answer);
  await slow.entered;
  await trip.terminate();
  slow.release();
  return trip;
}

// First: an activity that ends as it is cancelled stops the clock of this server for good.
describe('a hold that ends', () => {
  it('in a second run cancels what the first one has reserved', async () => {
    const trip = await fixture.held();
    await trip.terminate();
    await trip.again();
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'timed-out' } });
    expect(trip.begun.states()).toEqual(all('rolled-back'));
  });

  it('obeys a register that says confirm: no clock decides', async () => {
    const trip = await fixture.held();
    participants.register.set(trip.id, { decision: 'commit', by: 'another run' });
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
    expect(participants.proposals.get(trip.id)).toMatchObject([{ propose: 'abort', reason: { code: 'timed-out' } }]);
    expect(trip.begun.states()).toEqual(all('committed'));
  });
});

describe('a second run of the workflow', () => {
  it('while it is held finds everything reserved, and asks the caller again', async () => {
    const trip = await fixture.held();
    await trip.terminate();
    await trip.again();
    await trip.begun.until('reserved');
    expect(await trip.thoughts()).toEqual([{ reserved: NAMES, ended: 'thinking' }]);
    expect(trip.begun.states()).toEqual(all('prepared'));
    expect(trip.asked('register')).toEqual(['register', 'register']);
    await trip.answer('yes');
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
  });

  it('after the decision to confirm asks nobody, whatever he would say now', async () => {
    const trip = await interrupted('confirm south.reserve', 'yes');
    expect(trip.begun.states()).toMatchObject({ 'north.reserve': 'committed' });
    await trip.again();
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
    expect(await trip.thoughts()).toEqual([]);
    expect(await trip.timers()).toEqual([]);
    expect(trip.begun.states()).toEqual(all('committed'));
    expect(participants.effects.filter((effect) => effect.startsWith(`${trip.id} `)).sort()).toEqual(
      NAMES.map((name) => `${trip.id} ${name}`).sort(),
    );
  });

  it('after the decision to confirm confirms, although it is cancelled itself', async () => {
    const trip = await interrupted('confirm south.reserve', 'yes');
    const slow = gate();
    trip.begun.say('try shop.work', slow.line);
    await trip.again();
    await slow.entered;
    await trip.begun.handle.cancel();
    await trip.begun.untilAsked('decide north.reserve', 2);
    // By then its cancellation is on its way: this server loses the workflow task that asks to cancel an activity which has ended.
    await trip.begun.untilAsked('confirm south.reserve', 2);
    slow.release();
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
    expect(participants.proposals.get(trip.id)?.map(({ propose }) => propose)).toEqual(['commit', 'abort']);
  });

  it('after the decision to cancel is told that it was cancelled before, and asks nobody', async () => {
    const trip = await interrupted('cancel south.reserve', 'no');
    await trip.again();
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { reason: { code: 'declined' } } });
    expect(await trip.thoughts()).toEqual([]);
    trip.expectNoneConfirmed();
  });

  it('when all has ended gives the same answer, and confirms nothing twice', async () => {
    const trip = await fixture.held();
    await trip.answer('yes');
    const { results } = (await trip.report()) as { results?: unknown };
    const effects = participants.effects.length;
    await trip.again();
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results });
    expect(await trip.thoughts()).toEqual([]);
    expect(participants.effects).toHaveLength(effects);
  });
});

describe('a register that has decided before', () => {
  /** A transaction whose reservations are there, and decided. */
  async function decidedBefore(decision: 'commit' | 'abort', story: Story = {}): Promise<Trip> {
    const id = fixture.nextId;
    participants.register.set(id, { decision, by: 'recovery', ...(decision === 'abort' ? { reason: RECOVERED } : {}) });
    for (const name of NAMES) participants.set(id, name, 'prepared');
    return fixture.trip({ hold: { limit: '15 minutes' }, ...story });
  }

  it('to cancel is obeyed, and nobody is asked', async () => {
    const trip = await decidedBefore('abort');
    expect(await trip.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'recovered', message: 'Recovery was first.', reason: RECOVERED },
    });
    expect(await trip.thoughts()).toEqual([]);
    expect(await trip.timers()).toEqual([]);
    expect(trip.begun.states()).toEqual(all('rolled-back'));
    trip.expectNoneConfirmed();
  });

  it('to confirm is obeyed, and nobody is asked', async () => {
    const trip = await decidedBefore('commit');
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
    expect(await trip.thoughts()).toEqual([]);
    expect(trip.begun.states()).toEqual(all('committed'));
  });

  it('to confirm is obeyed although a try does not answer, results included', async () => {
    const slow = gate();
    const trip = await decidedBefore('commit', {
      answers: {
        'try south.reserve': async (usual, request) => {
          await callLine(slow.line, usual, request);
          throw new Error('The answer was lost.');
        },
      },
      options: { timeouts: { try: '1 second' }, attemptTimeout: 900 },
    });
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
    expect(participants.proposals.get(trip.id)?.map(({ propose }) => propose)).toEqual(['abort']);
    expect(participants.proposals.get(trip.id)?.[0]).toMatchObject({ reason: { code: 'timed-out' } });
    slow.release();
  });

  it('without a hold is not asked before it decides: one question less', async () => {
    const id = fixture.nextId;
    participants.register.set(id, { decision: 'abort', by: 'recovery', reason: RECOVERED });
    const trip = await fixture.trip();
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'recovered' } });
    expect(trip.asked('register')).toEqual([]);
    trip.expectNoneConfirmed();
  });

  it('while the caller thought it over is obeyed, whatever he says', async () => {
    const trip = await fixture.held();
    participants.register.set(trip.id, { decision: 'abort', by: 'recovery', reason: RECOVERED });
    await trip.answer('yes');
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'recovered' } });
    expect(participants.proposals.get(trip.id)?.map(({ propose }) => propose)).toEqual(['commit']);
    trip.expectNoneConfirmed();
    expect(await trip.begun.handle.decision()).toMatchObject({ decision: 'abort', reason: RECOVERED });
  });
});

describe('a register that cannot be read', () => {
  it('for a while is asked again, and then the caller is', async () => {
    const trip = await fixture.held({ answers: { register: [down, down, async (usual) => usual()] } });
    expect(trip.asked('register')).toHaveLength(3);
    await trip.answer('yes');
    expect((await trip.report()).outcome).toBe('committed');
  });

  it('does not keep a cancellation from being heard, nor people from seeing what is the matter', async () => {
    const trip = await fixture.trip({
      hold: { limit: '15 minutes' },
      options: { timeouts: { cancel: '1 second' } },
      answers: { register: down, 'decide north.reserve': down },
    });
    await trip.begun.untilAsked('register', 2);
    await trip.begun.handle.cancel();
    const said = trip.begun.until('overdue').then(() => 'overdue', String);
    expect(await said).toBe('overdue');
    trip.begun.say('register', async (usual) => usual());
    trip.begun.say('decide north.reserve', async (usual) => usual());
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'cancelled' } });
  });
});

/** What is wrong, with which plan. */
const BAD: readonly (readonly [string, Story, RegExp])[] = [
  ['no reservations', { branches: [] }, /at least one branch/],
  [
    '65 reservations',
    { branches: Array.from({ length: 65 }, (_, i) => ({ ...(THREE[0] as Planned), id: `place-${i}` })) },
    /at most 64 branches, not 65/,
  ],
  ['one id twice', { branches: THREE.map((planned) => ({ ...planned, id: 'a' })) }, /Two branches have the id a\./],
  ['a hold of nothing', { hold: { limit: 0 } }, /hold\.limit is 0\. Use a duration above zero and of 30 days at most/],
  ['a hold of less', { hold: { limit: -1 } }, /Nothing was started: hold\.limit is -1\./],
  ['a hold of another age', { hold: { limit: '5 lightyears' as never } }, /hold\.limit is "5 lightyears"/],
  ['a hold of 31 days', { hold: { limit: '31 days' } }, /hold\.limit is "31 days"\. Use/],
  ['no time to try', { options: { timeouts: { try: 0 } } }, /the timeout try is 0/],
  ['no time to confirm', { options: { timeouts: { confirm: -1 } } }, /the timeout confirm is -1/],
  ['no time to cancel', { options: { timeouts: { cancel: 0 } } }, /the timeout cancel is 0/],
  [
    'an attempt as long as the tries',
    { options: { timeouts: { try: '10 seconds' } } },
    /attemptTimeout \(10 s\) is not shorter than timeouts.try \(10 s\)/,
  ],
  [
    'a branch that does not reserve, from a caller in JavaScript',
    { branches: [...THREE, { participant: 'shop', operation: 'ship', forgetful: true }] },
    /shop\.ship .*reserv/,
  ],
  [
    'a reservation in a two-phase commit, from a caller in JavaScript',
    { workflow: 'commitsReservations' },
    /north\.reserve .*reserv/,
  ],
];

describe('a workflow whose transaction has', () => {
  it.each(BAD)('%s fails its task and asks nobody', async (_, story, message) => {
    const trip = await fixture.trip(story);
    await expect.poll(() => trip.begun.taskFailure()).toMatch(message);
    expect(trip.asked()).toEqual([]);
    await trip.terminate();
  });
});

describe('in all of these', () => {
  it('no participant was told otherwise than the register says', () => {
    expect(participants.breaches).toEqual([]);
  });
});
