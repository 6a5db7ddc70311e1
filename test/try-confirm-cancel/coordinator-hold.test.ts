/** What is reserved waits for somebody: who takes it, declines it, fails, is silent, or is called off. */
import { describe, expect, it } from 'vitest';
import { TransactionAborted } from '../../src/client';
import { gate } from '../two-phase-commit/fixture';
import { all, NAMES, reservingFixture } from './coordinator-fixture';

const fixture = reservingFixture();
const { participants } = fixture;

describe('while it is held', () => {
  it('everything is reserved, nothing is decided, and everybody can see that', async () => {
    const trip = await fixture.held();
    const report = await trip.begun.now();
    expect(report).toMatchObject({ protocol: 'try-confirm-cancel', outcome: 'reserved', attempts: 1 });
    expect(report.decision).toBeUndefined();
    expect(report.branches.map(({ vote, finish }) => [vote, finish.kind])).toEqual(
      NAMES.map(() => ['commit', 'waiting']),
    );
    expect(trip.begun.states()).toEqual(all('prepared'));
    expect(trip.begun.decided).toBeUndefined();
    expect(await trip.thoughts()).toEqual([{ reserved: NAMES, ended: 'thinking' }]);
    const details = await trip.begun.details();
    expect(details).toContain(`**Try-confirm-cancel ${trip.id}: reserved**`);
    expect(details).toContain('| reservation | try | confirmed or cancelled |');
    expect(details).toContain('| north.reserve (primary) | commit | – |');
    // Nothing that anybody would look for.
    expect(await trip.begun.attributes()).toEqual({});
    await trip.answer('yes');
    await trip.report();
  });

  it('one timer runs, with a name and the length of the hold, and participants know how long', async () => {
    const trip = await fixture.held({ hold: { limit: '3 days' } });
    expect(await trip.timers()).toEqual([['the hold ends', 3 * 24 * 60 * 60]]);
    for (const name of NAMES)
      expect(participants.request(trip.id, name)).toMatchObject({ register: 'north', holdMs: 3 * 24 * 60 * 60 * 1000 });
    await trip.answer('no');
    await trip.report();
  });

  it('the caller may take days', async () => {
    const trip = await fixture.held({ hold: { limit: '4 days' } });
    await fixture.environment.sleep('3 days');
    expect(trip.begun.states()).toEqual(all('prepared'));
    await trip.answer('yes');
    expect((await trip.report()).outcome).toBe('committed');
  });
});

describe('what is held and', () => {
  it('taken is confirmed at all of them, and the timer is called off', async () => {
    const trip = await fixture.held({ workflow: 'reserves' });
    await trip.answer('yes');
    expect(await trip.begun.handle.result()).toEqual(NAMES);
    expect(trip.begun.states()).toEqual(all('committed'));
    expect(trip.begun.decided).toBe('commit');
    expect(await trip.thoughts()).toEqual([{ reserved: NAMES, ended: 'answered' }]);
    const history = await trip.begun.history();
    expect(history.filter((event) => event.timerCanceledEventAttributes)).toHaveLength(1);
    expect(await trip.begun.attributes()).toEqual({});
  });

  it('declined is cancelled at all of them', async () => {
    const trip = await fixture.held({ workflow: 'reserves' });
    await trip.answer('no');
    const error: unknown = await trip.begun.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionAborted);
    expect(error).toMatchObject({
      report: {
        protocol: 'try-confirm-cancel',
        cause: { kind: 'refused', message: 'It was not wanted any more.', reason: { code: 'declined' } },
      },
    });
    expect(trip.begun.states()).toEqual(all('rolled-back'));
    trip.expectNoneConfirmed();
    expect(await trip.begun.attributes()).toMatchObject({ TxnStatus: 'aborted', TxnProtocol: 'try-confirm-cancel' });
  });

  it('refused is cancelled for that reason, in the register too', async () => {
    const trip = await fixture.held();
    const reason = { code: 'card-declined', message: 'The card was declined.' };
    await trip.answer(reason);
    const report = await trip.report();
    expect(report).toMatchObject({ outcome: 'aborted', cause: { kind: 'refused', message: reason.message, reason } });
    expect(report).not.toHaveProperty('cause.branch');
    expect(participants.register.get(trip.id)).toMatchObject({ decision: 'abort', reason });
    trip.expectNoneConfirmed();
  });

  it('followed by a failure is cancelled, and the failure is told', async () => {
    const trip = await fixture.held();
    await trip.answer('fails');
    expect(await trip.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'failed', message: 'Nobody could be asked.', reason: { code: 'failed' } },
    });
    expect(trip.begun.states()).toEqual(all('rolled-back'));
  });

  it('that fails before it waits is cancelled alike', async () => {
    const trip = await fixture.trip({ hold: { limit: '15 minutes', fails: true } });
    expect(await trip.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'failed', message: 'There is nobody.' },
    });
    expect(trip.begun.states()).toEqual(all('rolled-back'));
  });
});

describe('a hold that nobody ends', () => {
  it('ends by itself: everything is cancelled, and who thought it over is called off', async () => {
    const trip = await fixture.held({ workflow: 'reserves', hold: { limit: '2 days' } });
    const error: unknown = await trip.begun.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionAborted);
    expect(error).toMatchObject({
      report: {
        cause: {
          kind: 'timed-out',
          message: 'The hold ended, and nobody had confirmed.',
          reason: { code: 'timed-out' },
        },
      },
    });
    expect(trip.begun.states()).toEqual(all('rolled-back'));
    trip.expectNoneConfirmed();
    expect(await trip.thoughts()).toEqual([{ reserved: NAMES, ended: 'cancelled' }]);
    const history = await trip.begun.history();
    expect(history.filter((event) => event.timerFiredEventAttributes)).toHaveLength(1);
    expect(participants.proposals.get(trip.id)).toMatchObject([{ propose: 'abort', reason: { code: 'timed-out' } }]);
    expect(await trip.begun.attributes()).toMatchObject({ TxnStatus: 'aborted', TxnNeedsAttention: false });
  });

  it('is not taken afterwards, whoever says so, even where he does not hear that it is over', async () => {
    const slow = gate();
    const trip = await fixture.held({
      hold: { limit: '2 days', deaf: true },
      answers: { 'cancel south.reserve': slow.line },
    });
    // No longer than the hold: the clock stands still while an activity is under way.
    await fixture.environment.sleep('2 days');
    await slow.entered;
    await trip.answer('yes');
    await expect.poll(() => trip.thoughts()).toEqual([{ reserved: NAMES, ended: 'answered' }]);
    slow.release();
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'timed-out' } });
    trip.expectNoneConfirmed();
  });
});

describe('a cancellation of the workflow', () => {
  it('while it is held cancels everything, and calls off who thinks it over', async () => {
    const trip = await fixture.held();
    await trip.begun.handle.cancel();
    expect(await trip.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'cancelled', message: 'It was cancelled before it was decided.', reason: { code: 'cancelled' } },
    });
    expect(trip.begun.states()).toEqual(all('rolled-back'));
    trip.expectNoneConfirmed();
    expect(await trip.thoughts()).toEqual([{ reserved: NAMES, ended: 'cancelled' }]);
    expect(participants.register.get(trip.id)).toMatchObject({ reason: { code: 'cancelled' } });
  });

  it('while it is held counts even where nobody hears of it', async () => {
    const trip = await fixture.held({ hold: { limit: '15 minutes', deaf: true } });
    await trip.begun.handle.cancel();
    expect(await trip.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'cancelled' } });
    trip.expectNoneConfirmed();
  });

  it('after the decision is too late', async () => {
    const slow = gate();
    const trip = await fixture.held({ answers: { 'confirm south.reserve': slow.line } });
    await trip.answer('yes');
    await slow.entered;
    await trip.begun.handle.cancel();
    slow.release();
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
    expect(trip.begun.states()).toEqual(all('committed'));
  });

  it('while it is being decided is too late as well: the register says', async () => {
    const slow = gate();
    const trip = await fixture.held({ answers: { 'decide north.reserve': slow.line } });
    await trip.answer('yes');
    await slow.entered;
    expect((await trip.begun.now()).outcome).toBe('deciding');
    await trip.begun.handle.cancel();
    slow.release();
    expect(await trip.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('who waits for the decision only', () => {
  it('hears of it before all are confirmed', async () => {
    const slow = gate();
    const trip = await fixture.held({ workflow: 'reserves', answers: { 'confirm south.reserve': slow.line } });
    const deciding = trip.begun.handle.decision();
    await trip.answer('yes');
    expect(await deciding).toEqual({ transaction: trip.id, decision: 'commit', by: 'coordinator' });
    expect(trip.begun.states()['south.reserve']).toBe('prepared');
    slow.release();
    expect(await trip.begun.handle.result()).toEqual(NAMES);
    expect(await trip.begun.handle.decision()).toEqual({ transaction: trip.id, decision: 'commit' });
  });

  it('hears why it was cancelled', async () => {
    const trip = await fixture.held();
    const deciding = trip.begun.handle.decision();
    await trip.answer('no');
    expect(await deciding).toMatchObject({ decision: 'abort', reason: { code: 'declined' } });
    await trip.report();
  });

  it('can say so at the start', async () => {
    const { transactions } = fixture.environment;
    const input = { branches: [{ participant: 'north', operation: 'reserve' }] };
    const id = 'waits-for-the-decision';
    expect(await transactions.execute('reserves', { id, input, waitFor: 'decision' })).toEqual({
      transaction: id,
      decision: 'commit',
      by: 'coordinator',
    });
    expect(await transactions.execute('reserves', { id, input })).toEqual(['north.reserve']);
  });
});

describe('in all of these', () => {
  it('no participant was told otherwise than the register says', () => {
    expect(participants.breaches).toEqual([]);
  });
});
