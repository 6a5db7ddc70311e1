/** Tries, and what becomes of them: confirmed or cancelled, at once, late, or by a person. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RulingRefused, TransactionAborted, TransactionInputMismatch, TransactionMixed } from '../../src/client';
import { gate } from '../two-phase-commit/fixture';
import { broken, down, mismatch, refuses, unheard } from '../two-phase-commit/participants';
import { all, NAMES, reservingFixture } from './coordinator-fixture';
import type { Story, Trip } from './coordinator-fixture';

const fixture = reservingFixture();
const { participants } = fixture;

const HELD = [undefined, { limit: '15 minutes' }] as const;
const kim = { reason: 'seen in the database', by: 'kim' };

describe('without a hold', () => {
  it('everything is confirmed as soon as it is reserved', async () => {
    const trip = await fixture.trip();
    const report = await trip.report();
    expect(report).toMatchObject({
      id: trip.id,
      protocol: 'try-confirm-cancel',
      outcome: 'committed',
      decision: 'commit',
      attempts: 1,
      results: NAMES,
    });
    expect(report.branches.map(({ branch, vote, finish }) => [branch, vote, finish.kind])).toEqual(
      NAMES.map((name) => [name, 'commit', 'done']),
    );
    expect(trip.asked('try')).toEqual([...NAMES].sort().map((name) => `try ${name}`));
    // The primary is confirmed with the decision. Nobody was asked about an earlier run: there is no timer and no question more.
    expect(trip.asked().slice(3)).toHaveLength(3);
    expect(trip.asked()[3]).toBe('decide north.reserve');
    expect(trip.asked('confirm')).toEqual(['confirm shop.work', 'confirm south.reserve']);
    expect(trip.asked('register')).toEqual([]);
    expect(await trip.timers()).toEqual([]);
    expect(await trip.begun.attributes()).toEqual({});
    for (const name of NAMES) expect(participants.request(trip.id, name)).not.toHaveProperty('holdMs');
    expect(participants.proposals.get(trip.id)).toMatchObject([
      {
        propose: 'commit',
        register: 'north',
        branches: [
          { branch: 'north.reserve', participant: 'north', vote: 'commit' },
          { branch: 'south.reserve', participant: 'south', vote: 'commit' },
          { branch: 'shop.work', participant: 'shop', vote: 'commit' },
        ],
      },
    ]);
  });

  it('all are asked side by side, and all are confirmed side by side', async () => {
    const tries = [gate(), gate(), gate()];
    const confirms = [gate(), gate()];
    const trip = await fixture.trip({
      answers: {
        'try north.reserve': tries[0]!.line,
        'try south.reserve': tries[1]!.line,
        'try shop.work': tries[2]!.line,
        'confirm south.reserve': confirms[0]!.line,
        'confirm shop.work': confirms[1]!.line,
      },
    });
    await Promise.all(tries.map(({ entered }) => entered));
    expect((await trip.begun.now()).outcome).toBe('preparing');
    for (const each of tries) each.release();
    await Promise.all(confirms.map(({ entered }) => entered));
    expect((await trip.begun.now()).outcome).toBe('committing');
    for (const each of confirms) each.release();
    expect((await trip.report()).outcome).toBe('committed');
  });

  it('one alone is tried and confirmed too: there is no short cut', async () => {
    const trip = await fixture.trip({ branches: [{ participant: 'north', operation: 'reserve' }] });
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: ['north.reserve'] });
    expect(trip.asked()).toEqual(['try north.reserve', 'decide north.reserve']);
  });

  it('the same operation twice is two reservations', async () => {
    const twice = { participant: 'north', operation: 'reserve' };
    const trip = await fixture.trip({ branches: [twice, twice, { ...twice, id: 'third' }] });
    expect(await trip.report()).toMatchObject({ results: ['north.reserve', 'north.reserve-2', 'third'] });
  });

  it('64 are confirmed', async () => {
    const many = Array.from({ length: 64 }, (_, i) => ({ participant: 'north', operation: 'work', id: `place-${i}` }));
    expect(await (await fixture.trip({ branches: many })).report()).toMatchObject({
      outcome: 'committed',
      results: many.map(({ id }) => id),
    });
  });
});

describe.each(HELD)('a try that (hold: %j)', (hold) => {
  const cancelled = async (trip: Trip, cause: object): Promise<void> => {
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', decision: 'abort', cause });
    trip.expectNoneConfirmed();
    expect(trip.asked('register')).toEqual([]);
    if (hold) expect(await trip.thoughts()).toEqual([]);
    // Each had its end told, the one that objected too: its try may be on its way yet.
    expect(trip.asked('cancel')).toEqual(['cancel shop.work', 'cancel south.reserve']);
    expect(Object.values(trip.begun.states())).toEqual(['rolled-back', 'rolled-back', 'rolled-back']);
    expect(trip.begun.decided).toBe('abort');
    expect((await trip.begun.attributes())['TxnStatus']).toBe('aborted');
  };
  const trip = (answers: Story['answers'] = {}, options: Story['options'] = {}): Promise<Trip> =>
    fixture.trip({ answers, options, ...(hold ? { hold } : {}) });

  it('is refused has the others cancelled', async () => {
    const told = await trip({ 'try south.reserve': refuses('sold-out', 'There is none left.') });
    await cancelled(told, {
      kind: 'refused',
      branch: 'south.reserve',
      message: 'There is none left.',
      reason: { code: 'sold-out' },
    });
    const details = await told.begun.details();
    expect(details).toContain('Cause: refused at south.reserve: There is none left.');
    expect(details).toContain('| south.reserve | abort: sold-out: There is none left. | done |');
    expect(await told.begun.attributes()).toMatchObject({ TxnFailedStep: 'south.reserve' });
  });

  it('is refused at the first is no different', async () => {
    await cancelled(await trip({ 'try north.reserve': refuses() }), { kind: 'refused', branch: 'north.reserve' });
  });

  it('is refused ends it at once, whoever is still being asked', async () => {
    const slow = gate();
    const told = await trip({ 'try shop.work': slow.line, 'try south.reserve': refuses() });
    await told.begun.untilAsked('cancel shop.work');
    expect(told.begun.states()).toMatchObject({ 'shop.work': 'rolled-back' });
    slow.release();
    await cancelled(told, { kind: 'refused', branch: 'south.reserve' });
  });

  it('is silent has the others cancelled when its time is up', async () => {
    const slow = gate();
    // By the real clock, and the others have to answer in it.
    const told = await trip(
      { 'try south.reserve': slow.line },
      { timeouts: { try: '3 seconds' }, attemptTimeout: 2_900 },
    );
    await cancelled(told, {
      kind: 'timed-out',
      message: 'No vote came within 3 s from south.reserve.',
      reason: { code: 'timed-out' },
    });
    slow.release();
  });

  it('fails until its time is up has the others cancelled, and the failure is told', async () => {
    const told = await trip({ 'try south.reserve': down }, { timeouts: { try: '3 seconds' }, attemptTimeout: 2_900 });
    await cancelled(told, { kind: 'failed', branch: 'south.reserve', message: 'The database does not answer.' });
  });

  it('fails for good has the others cancelled', async () => {
    const told = await trip({ 'try south.reserve': broken });
    await cancelled(told, { kind: 'failed', branch: 'south.reserve', message: 'The operation is broken.' });
    expect(told.asked('try').filter((line) => line === 'try south.reserve')).toHaveLength(1);
  });

  it('is under way when the workflow is cancelled is not waited for', async () => {
    const slow = gate();
    const told = await trip({ 'try south.reserve': slow.line });
    await slow.entered;
    await told.begun.handle.cancel();
    await told.begun.untilAsked('cancel south.reserve');
    slow.release();
    await cancelled(told, { kind: 'cancelled', reason: { code: 'cancelled' } });
  });
});

describe('a try', () => {
  it('is asked again for as long as it fails, and until contention is over', async () => {
    const trip = await fixture.trip({
      answers: { 'try south.reserve': [down, unheard, down, async (usual) => usual()] },
    });
    expect(await trip.report()).toMatchObject({ outcome: 'committed', attempts: 1 });
    expect(trip.asked('try').filter((line) => line === 'try south.reserve')).toHaveLength(4);
  });

  it('whose answer was lost is answered from its row', async () => {
    const trip = await fixture.trip({ answers: { 'try south.reserve': [unheard, async (usual) => usual()] } });
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
  });

  it('that says contention in the end is not tried anew as a whole: it holds nothing that others wait for', async () => {
    const trip = await fixture.trip({ answers: { 'try south.reserve': refuses('contention', 'Busy.') } });
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', attempts: 1, cause: { kind: 'contention' } });
  });

  it('under an id that has another input is told as such', async () => {
    const trip = await fixture.trip({
      workflow: 'reserves',
      answers: { 'try south.reserve': refuses('input-mismatch', 'It stands.') },
    });
    await expect(trip.begun.handle.result()).rejects.toThrow(TransactionInputMismatch);
  });

  it('that is cancelled before it comes is too late, and changes nothing any more', async () => {
    const slow = gate();
    const trip = await fixture.trip({
      answers: { 'try shop.work': [slow.line], 'try south.reserve': refuses() },
    });
    await trip.begun.untilAsked('cancel shop.work');
    slow.release();
    await trip.report();
    await sleep(20);
    expect(trip.begun.states()).toMatchObject({ 'shop.work': 'rolled-back' });
  });
});

describe('a caller', () => {
  it('is told of an abort by an error that has the report', async () => {
    const trip = await fixture.trip({ workflow: 'reserves', answers: { 'try shop.work': refuses() } });
    const error: unknown = await trip.begun.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionAborted);
    expect(error).toMatchObject({ report: { protocol: 'try-confirm-cancel', cause: { branch: 'shop.work' } } });
  });

  it('who cancels after the decision comes too late', async () => {
    const slow = gate();
    const trip = await fixture.trip({ answers: { 'confirm shop.work': slow.line } });
    await slow.entered;
    await trip.begun.handle.cancel();
    slow.release();
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a confirmation that fails', () => {
  it('for a while is overdue, shown, and then done: never cancelled', async () => {
    const before = fixture.counted('txn_overdue_total', { protocol: 'try-confirm-cancel' });
    const trip = await fixture.trip({
      answers: { 'confirm south.reserve': down },
      options: { timeouts: { confirm: '1 second' } },
    });
    const report = await trip.begun.until('overdue');
    expect(report).toMatchObject({ decision: 'commit' });
    expect(report.branches[1]?.finish).toEqual({ kind: 'overdue', cause: 'The database does not answer.' });
    expect(await trip.begun.attributes()).toMatchObject({
      TxnStatus: 'overdue',
      TxnProtocol: 'try-confirm-cancel',
      TxnNeedsAttention: false,
      TxnFailedStep: 'south.reserve',
      TxnParticipants: ['north', 'shop', 'south'],
    });
    expect(await trip.begun.details()).toMatch(/overdue, decided: commit/);
    expect(fixture.counted('txn_overdue_total', { protocol: 'try-confirm-cancel' })).toBe(before + 1);
    trip.begun.say('confirm south.reserve', async (usual) => usual());
    expect(await trip.report()).toMatchObject({ outcome: 'committed', results: NAMES });
    expect(trip.asked('cancel')).toEqual([]);
    expect(trip.begun.states()).toEqual(all('committed'));
  });

  it('to be heard is asked again', async () => {
    const trip = await fixture.trip({
      answers: {
        'decide north.reserve': [unheard, async (usual) => usual()],
        'confirm south.reserve': [unheard, async (usual) => usual()],
      },
    });
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
    expect(participants.effects.filter((effect) => effect.startsWith(`${trip.id} `))).toHaveLength(3);
  });

  /** A transaction one of whose reservations somebody has ended by hand. */
  async function held(workflow = 'settles'): Promise<Trip> {
    const lost = { kind: 'lost', evidence: 'Its branch-log row is gone.' };
    const trip = await fixture.trip({ workflow, answers: { 'confirm south.reserve': lost } });
    await trip.begun.until('held');
    return trip;
  }

  it('for good is held for a person, and the others are confirmed', async () => {
    const trip = await held();
    await expect
      .poll(() => trip.begun.states())
      .toMatchObject({ 'north.reserve': 'committed', 'shop.work': 'committed' });
    expect((await trip.begun.now()).branches[1]?.finish).toEqual({
      kind: 'held',
      cause: 'Its branch-log row is gone.',
    });
    expect(await trip.begun.attributes()).toMatchObject({ TxnStatus: 'held', TxnNeedsAttention: true });
    const details = await trip.begun.details();
    expect(details).toContain('**Branch south.reserve waits for a person.**');
    expect(details).toContain('| south.reserve | commit | HELD: Its branch-log row is gone. |');
    expect(details).toContain(`temporal-txn resolve ${trip.id}`);
    await expect(trip.begun.handle.resolve({ step: 'south.reserve', ...kim, as: 'not-done' })).rejects.toThrow(
      RulingRefused,
    );
    trip.begun.say('confirm south.reserve', async (usual) => usual());
    await trip.begun.handle.retryStep({ step: 'south.reserve', ...kim });
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
    expect((await trip.begun.attributes())['TxnNeedsAttention']).toBe(false);
  });

  it('and is resolved by a person counts as confirmed', async () => {
    const trip = await held();
    await trip.begun.handle.resolve({ step: 'south.reserve', ...kim });
    const report = await trip.report();
    expect(report).toMatchObject({ outcome: 'committed' });
    expect(report.branches[1]?.finish).toEqual({ kind: 'resolved', ...kim });
  });

  it('and is skipped leaves the outcome mixed, with the evidence', async () => {
    const trip = await held('reserves');
    await trip.begun.handle.skipStep({ step: 'south.reserve', ...kim });
    const error: unknown = await trip.begun.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionMixed);
    expect(error).toMatchObject({
      report: {
        protocol: 'try-confirm-cancel',
        outcome: 'mixed',
        decision: 'commit',
        branches: [{}, { finish: { kind: 'skipped' } }, {}],
      },
    });
  });
});

describe('a cancellation that fails', () => {
  it('for a while is overdue, and then done', async () => {
    const trip = await fixture.trip({
      answers: { 'try shop.work': refuses(), 'cancel south.reserve': down },
      options: { timeouts: { cancel: '1 second' } },
    });
    expect(await trip.begun.until('overdue')).toMatchObject({ decision: 'abort', cause: { branch: 'shop.work' } });
    trip.begun.say('cancel south.reserve', async (usual) => usual());
    expect(await trip.report()).toMatchObject({ outcome: 'aborted' });
  });

  it('because somebody has confirmed by hand is held, and mixed when it is left', async () => {
    const trip = await fixture.trip({
      answers: {
        'try shop.work': refuses(),
        'cancel south.reserve': { kind: 'heuristic', took: 'commit', evidence: 'It is confirmed.' },
      },
    });
    await trip.begun.until('held');
    await trip.begun.handle.skipStep({ step: 'south.reserve', ...kim });
    expect(await trip.report()).toMatchObject({ outcome: 'mixed', decision: 'abort', cause: { kind: 'refused' } });
  });

  it('to find anything of ours is done', async () => {
    const trip = await fixture.trip({
      answers: { 'try shop.work': refuses(), 'cancel south.reserve': { kind: 'foreign', evidence: 'Another input.' } },
    });
    expect(await trip.report()).toMatchObject({ outcome: 'aborted' });
  });
});

describe('a decision that cannot be had', () => {
  it('is nobody’s to skip; everything stays reserved until the register answers', async () => {
    const trip = await fixture.trip({
      answers: { 'decide north.reserve': down },
      options: { timeouts: { confirm: '1 second' } },
    });
    await trip.begun.until('overdue');
    expect(trip.begun.states()).toEqual(all('prepared'));
    for (const rule of ['skipStep', 'resolve'] as const)
      await expect(trip.begun.handle[rule]({ step: 'north.reserve', ...kim })).rejects.toThrow(
        /nobody can take its place/,
      );
    // An attempt that comes by itself meanwhile waits for the ruling.
    const ruled = gate();
    trip.begun.say('decide north.reserve', ruled.line);
    await trip.begun.handle.retryStep({ step: 'north.reserve', ...kim });
    ruled.release();
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
  });

  it('because the id belongs to another input leaves nothing reserved', async () => {
    const trip = await fixture.trip({ workflow: 'reserves', answers: { 'decide north.reserve': mismatch } });
    await expect(trip.begun.handle.result()).rejects.toThrow(TransactionInputMismatch);
    expect(trip.begun.states()).toEqual(all('rolled-back'));
    expect(participants.breaches.splice(0)).toHaveLength(3); // The model cannot know that this is the other one's register.
  });
});

describe('a saga that is cancelled', () => {
  it.each(['try-confirm-cancel', 'two-phase-commit', 'saga'])(
    'is undone by a transaction of its own (%s), which does not hear of it',
    async (protocol) => {
      const slow = gate();
      const saga = await fixture.begin({
        workflow: 'undoneBy',
        input: protocol,
        answers: { 'execute shop.ship': slow.line },
      });
      await slow.entered;
      await saga.handle.cancel();
      const heard = async (): Promise<boolean> => {
        const events = await saga.history();
        const asked = events.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
        return events.slice(asked).some((event) => event.workflowTaskCompletedEventAttributes);
      };
      await expect.poll(heard, { timeout: 25_000 }).toBe(true);
      slow.release();
      const undone = async (): Promise<string[]> => (await saga.handle.reports()).map(({ outcome }) => outcome);
      await expect.poll(undone, { timeout: 25_000 }).toEqual(['compensated', 'committed']);
    },
  );
});

describe('in all of these', () => {
  it('no participant was told otherwise than the register says', () => {
    expect(participants.breaches).toEqual([]);
  });
});
