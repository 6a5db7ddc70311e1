/** Silence, and branches that take long: by default and as set. Time is skipped wherever no activity waits. */
import { describe, expect, it } from 'vitest';
import { ParticipantUnavailable, TransactionAborted } from '../../src/client';
import type { TwoPhaseCommitOptions } from '../../src/workflow';
import { gate, THREE, twoPhaseFixture } from './fixture';
import type { HistoryEvent, Story } from './fixture';
import { callLine, down, refuses } from './participants';

const fixture = twoPhaseFixture();

const secondsOf = ({ eventTime }: HistoryEvent): number =>
  Number(eventTime?.seconds ?? 0) + (eventTime?.nanos ?? 0) / 1e9;

/** When a kind of activity was asked for first, in seconds from the start. */
function secondsUntil(history: readonly HistoryEvent[], activity: string): number {
  const asked = history.find((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activity);
  if (!asked || !history[0]) throw new Error(`${activity} was not asked for.`);
  return secondsOf(asked) - secondsOf(history[0]);
}

const overdueCount = (): number => fixture.counted('txn_overdue_total', { protocol: 'two-phase-commit' });

describe('a branch that does not vote', () => {
  it.each<[string, TwoPhaseCommitOptions, number]>([
    ['30 s by default', {}, 30],
    ['as set', { timeouts: { prepare: '50 seconds' } }, 50],
  ])('counts as an abort after the prepare timeout, %s', async (_, options, seconds) => {
    const tale = await fixture.begin({ branches: [...THREE, { id: 'approval', finish: 'none' }], options });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: {
        kind: 'timed-out',
        reason: { code: 'timed-out', message: `No vote came within ${seconds} s from approval.` },
      },
    });
    const elapsed = secondsUntil(await tale.history(), 'debit.decide');
    expect(elapsed).toBeGreaterThanOrEqual(seconds);
    expect(elapsed).toBeLessThan(seconds + 5);
    expect(Object.values(tale.states())).toEqual(['rolled-back', 'rolled-back', 'rolled-back']);
  });

  it('is given 30 s by default, attempts of 10 s, and needs no timer of its own', async () => {
    const tale = await fixture.begin();
    await tale.report();
    const history = await tale.history();
    // The limit of all attempts to prepare together is the limit of the vote.
    expect(history.flatMap((event) => event.timerStartedEventAttributes ?? [])).toEqual([]);
    const asked = history.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    const limits = asked.map(({ activityType, startToCloseTimeout, scheduleToCloseTimeout }) => [
      activityType?.name,
      Number(startToCloseTimeout?.seconds),
      Number(scheduleToCloseTimeout?.seconds),
    ]);
    expect(limits.sort()).toEqual([
      ['credit.commit', 10, 60],
      ['credit.prepare', 10, 30],
      ['debit.decide', 10, 60],
      ['debit.prepare', 10, 30],
      ['record.commit', 10, 60],
      ['record.prepare', 10, 30],
    ]);
  });
});

/** When the transaction was shown as overdue first, in seconds from the request that began the second phase. */
function secondsUntilOverdue(history: readonly HistoryEvent[], activity: string): number {
  const asked = history.find((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activity);
  const shown = history.find((event) => event.upsertWorkflowSearchAttributesEventAttributes);
  if (!asked || !shown) throw new Error('It was never overdue.');
  return secondsOf(shown) - secondsOf(asked);
}

/** Fails until the transaction is overdue, and then waits at a gate. Attempts pass quickly: their pauses are skipped. */
async function overdueAt(question: string, story: Story) {
  const before = overdueCount();
  const slow = gate();
  const tale = await fixture.begin({
    ...story,
    answers: {
      ...story.answers,
      [question]: async (usual, request) => {
        const [report] = await fixture.environment.transactions.handle(request.transaction).reports();
        return report?.outcome === 'overdue' ? callLine(slow.line, usual, request) : callLine(down, usual, request);
      },
    },
  });
  const ended = tale.report();
  await slow.entered;
  expect(overdueCount()).toBe(before + 1);
  return { tale, slow, ended };
}

describe('a branch that does not commit', () => {
  it.each<[string, TwoPhaseCommitOptions, number]>([
    ['60 s by default', {}, 60],
    ['as set', { timeouts: { commit: '10 seconds' } }, 10],
  ])('is overdue after the commit timeout, %s, and is tried until it does', async (_, options, seconds) => {
    const { tale, slow, ended } = await overdueAt('commit south.credit', { options });
    expect((await tale.now()).branches[1]?.finish).toEqual({ kind: 'overdue', cause: 'The database does not answer.' });
    expect(await tale.attributes()).toMatchObject({
      TxnStatus: 'overdue',
      TxnProtocol: 'two-phase-commit',
      TxnNeedsAttention: false,
      TxnFailedStep: 'south.credit',
    });
    const details = await tale.details();
    expect(details).toContain('overdue, decided: commit');
    expect(details).toContain(
      '| south.credit | commit | OVERDUE, goes on being tried: The database does not answer. |',
    );
    expect(details).toContain(`temporal-txn resolve ${tale.id}`);
    slow.release();
    expect(await ended).toMatchObject({
      outcome: 'committed',
      results: ['north.debit', 'south.credit', 'audit.record'],
    });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'committed', TxnNeedsAttention: false });
    const elapsed = secondsUntilOverdue(await tale.history(), 'credit.commit');
    // Within the limit: an attempt that would begin after it is not made.
    expect(elapsed).toBeGreaterThan(seconds / 2);
    expect(elapsed).toBeLessThan(seconds + 1);
  });

  it('is tried for hours', async () => {
    const id = fixture.nextId;
    const start = await fixture.environment.temporal.currentTimeMs();
    const tale = await fixture.begin({
      answers: {
        'commit south.credit': async (usual, request) => {
          const now = await fixture.environment.temporal.currentTimeMs();
          return callLine(now - start < 2 * 60 * 60 * 1000 ? down : (go) => go(), usual, request);
        },
      },
    });
    expect(await tale.report()).toMatchObject({ id, outcome: 'committed' });
    expect((await tale.history()).length).toBeLessThan(120);
  });
});

describe('a branch that does not abort', () => {
  it.each<[string, TwoPhaseCommitOptions, number]>([
    ['30 s by default', {}, 30],
    ['as set', { timeouts: { abort: '10 seconds' } }, 10],
  ])('is overdue after the abort timeout, %s, and is tried until it does', async (_, options, seconds) => {
    const answers = { 'prepare audit.record': refuses() };
    const { tale, slow, ended } = await overdueAt('abort south.credit', { answers, options });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'overdue' });
    slow.release();
    expect(await ended).toMatchObject({ outcome: 'aborted', cause: { branch: 'audit.record' } });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'aborted', TxnFailedStep: 'audit.record' });
    expect(Object.values(tale.states())).toEqual(['rolled-back', 'rolled-back', 'rolled-back']);
    const elapsed = secondsUntilOverdue(await tale.history(), 'credit.abort');
    expect(elapsed).toBeGreaterThan(seconds / 2);
    expect(elapsed).toBeLessThan(seconds + 1);
  });
});

describe('a register that does not answer', () => {
  it('makes the transaction overdue, and it waits for it', async () => {
    const { tale, slow, ended } = await overdueAt('decide north.debit', {});
    const report = await tale.now();
    expect(report.decision).toBeUndefined();
    expect(report.branches[0]?.finish).toEqual({ kind: 'overdue', cause: 'The database does not answer.' });
    expect(tale.asked().filter((line) => /^(commit|abort)/.test(line))).toEqual([]);
    slow.release();
    expect(await ended).toMatchObject({ outcome: 'committed' });
  });
});

describe('a prepare that is still under way when the vote has ended', () => {
  it('is withdrawn once the abort is decided, and what it answers later changes nothing', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      workflow: 'settlesAndStays',
      answers: { 'prepare south.credit': slow.line, 'prepare audit.record': refuses() },
    });
    await tale.until('aborted');
    slow.release();
    await expect
      .poll(
        async () =>
          (await tale.history()).filter(
            (event) => event.activityTaskCanceledEventAttributes ?? event.activityTaskCompletedEventAttributes,
          ).length,
      )
      .toBe(6);
    expect(await tale.now()).toMatchObject({ outcome: 'aborted' });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'aborted' });
    await tale.workflow.terminate();
  });
});

describe('a branch that nobody can ask', () => {
  it('because it hangs is what its caller hears, and not that of a person who took too long', async () => {
    const options = { timeouts: { prepare: '2 seconds' }, attemptTimeout: '1 second' } as const;
    const external = await fixture.begin({
      workflow: 'commits',
      branches: [...THREE, { id: 'approval', finish: 'none' }],
    });
    const failure: unknown = await external.handle.result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TransactionAborted);
    expect(failure).not.toBeInstanceOf(ParticipantUnavailable);
    const hanging = await fixture.begin({
      workflow: 'commits',
      options,
      answers: { 'prepare south.credit': () => new Promise(() => undefined) },
    });
    await expect(hanging.handle.result()).rejects.toBeInstanceOf(ParticipantUnavailable);
  });

  // Last, because the request that nobody takes holds the clock of the test server.
  it('because nobody polls its queue is named as silent, not as failed, and what prepared is rolled back', async () => {
    const tale = await fixture.begin({
      branches: [
        { participant: 'north', operation: 'debit' },
        { participant: 'nobody', operation: 'credit' },
      ],
      options: { timeouts: { prepare: '2 seconds' }, attemptTimeout: '1 second' },
    });
    // The participant decides, and the workflow hears of it a moment later.
    await expect
      .poll(() => tale.now())
      .toMatchObject({
        decision: 'abort',
        cause: { kind: 'timed-out', message: 'No vote came within 2 s from nobody.credit.' },
      });
    expect((await tale.now()).branches[1]).toMatchObject({ vote: 'none', finish: { kind: 'running' } });
    expect(tale.states()).toEqual({ 'north.debit': 'rolled-back' });
    await tale.workflow.terminate();
  });
});
