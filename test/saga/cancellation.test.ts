/** A saga that is cancelled, or runs out of time, turns back, unless its pivot has decided. Nothing is undone while it still runs. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Story, Told } from './fixture';
import { fates, overtaken, pause, pivot, retriable, sagaFixture, settledReport, step, tolerate } from './fixture';

const fixture = sagaFixture();
const STEPS = ['shop.reserve', 'bank.debit', 'mail.send'];

let told: Told;

const begin = async (story: Story): Promise<Told> => (told = await fixture.begin(story));

describe('a cancellation', () => {
  afterEach(() => {
    expect(overtaken(told.log())).toEqual([]);
  });

  it('before the first step leaves nothing to do', async () => {
    await begin({ moves: [pause('1 hour'), step('shop.reserve')] });
    await expect.poll(() => told.handle.status()).toBe('RUNNING');
    await told.handle.cancel();
    expect(await settledReport(told)).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'cancelled' },
      steps: [],
    });
    expect(told.log()).toEqual([]);
  });

  it.each([0, 1, 2])('during step %i, which takes effect all the same, undoes it once it has ended', async (k) => {
    const current = STEPS[k] as string;
    await begin({ moves: STEPS.map((name) => step(name)), behaviours: { [current]: 'end late' } });
    await told.seen(`${current} begins`);
    await told.handle.cancel();
    const report = await settledReport(told);
    const done = STEPS.slice(0, k + 1);
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'cancelled' } });
    expect(told.effects()).toEqual([...done, ...done.toReversed().map((name) => `undo ${name}`)]);
    expect(fates(report)).toEqual(done.map((name) => `${name}: done, compensated`));
  });

  it.each([0, 1, 2])('during step %i, which ends without an effect, undoes those before it', async (k) => {
    const current = STEPS[k] as string;
    await begin({ moves: STEPS.map((name) => step(name)), behaviours: { [current]: 'hang' } });
    await told.seen(`${current} begins`);
    await told.handle.cancel();
    const report = await settledReport(told);
    const done = STEPS.slice(0, k);
    expect(told.effects()).toEqual([...done, ...done.toReversed().map((name) => `undo ${name}`)]);
    expect(fates(report)).toEqual([
      ...done.map((name) => `${name}: done, compensated`),
      `${current}: unknown, nothing-to-compensate`,
    ]);
  });

  it('waits for an action that does not listen to it', async () => {
    await begin({
      moves: [step('shop.reserve'), step('bank.debit')],
      behaviours: { 'bank.debit': 'wait for the gate' },
    });
    await told.seen('bank.debit begins');
    await told.handle.cancel();
    await expect
      .poll(async () => (await fixture.history(told)).some((event) => event.activityTaskCancelRequestedEventAttributes))
      .toBe(true);
    await fixture.participants.openGate();
    await settledReport(told);
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'undo bank.debit', 'undo shop.reserve']);
  });

  it('between steps undoes what was done', async () => {
    await begin({ moves: [step('shop.reserve'), pause('1 hour'), step('bank.debit')] });
    // Not while the step is about to end: see standing-clock.ts.
    await expect
      .poll(async () => (await fixture.history(told)).some((event) => event.timerStartedEventAttributes))
      .toBe(true);
    await told.handle.cancel();
    const report = await settledReport(told);
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'cancelled' } });
    expect(told.effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('during the pivot comes too late when the pivot is done', async () => {
    await begin({
      moves: [step('shop.reserve'), pivot('bank.debit'), pause('1 hour'), retriable('mail.send')],
      behaviours: { 'bank.debit': 'wait for the gate' },
    });
    await told.seen('bank.debit begins');
    await told.handle.cancel();
    await expect.poll(() => cancelArrived()).toBe(true);
    await fixture.participants.openGate();
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'mail.send']);
  });

  it('during the pivot counts when the pivot is refused, even if the body would go on', async () => {
    await begin({
      moves: [step('shop.reserve'), tolerate(pivot('bank.debit')), step('mail.send')],
      behaviours: { 'bank.debit': 'wait for the gate, then refuse' },
    });
    await told.seen('bank.debit begins');
    await told.handle.cancel();
    await expect.poll(() => cancelArrived()).toBe(true);
    await fixture.participants.openGate();
    expect(await settledReport(told)).toMatchObject({ outcome: 'compensated', cause: { kind: 'cancelled' } });
    expect(told.effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('after the pivot comes too late', async () => {
    await begin({ moves: [step('shop.reserve'), pivot('bank.debit'), pause('1 hour'), retriable('mail.send')] });
    await told.seen('bank.debit ends');
    await expect.poll(async () => (await told.handle.reports<'saga'>())[0]?.steps[1]?.fate.kind).toBe('done');
    await told.handle.cancel();
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'mail.send']);
  });

  it('during a retriable step does not withdraw it', async () => {
    await begin({
      moves: [pivot('bank.debit'), retriable('mail.send')],
      behaviours: { 'mail.send': 'wait for the gate' },
    });
    await told.seen('mail.send begins');
    await told.handle.cancel();
    await expect.poll(() => cancelArrived()).toBe(true);
    await fixture.participants.openGate();
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
    expect(told.log().filter((line) => line === 'mail.send begins')).toHaveLength(1);
  });

  it('during a compensation does not stop the undoing', async () => {
    await begin({
      moves: [step('shop.reserve'), step('bank.debit'), step('mail.send')],
      behaviours: { 'mail.send': 'refuse', 'undo bank.debit': 'wait for the gate' },
    });
    await told.seen('undo bank.debit begins');
    await told.handle.cancel();
    await expect.poll(() => cancelArrived()).toBe(true);
    await fixture.participants.openGate();
    const report = await settledReport(told);
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused', branch: 'mail.send' } });
    expect(fates(report)).toEqual([
      'shop.reserve: done, compensated',
      'bank.debit: done, compensated',
      'mail.send: not-done, not-needed',
    ]);
    expect(told.log().filter((line) => line === 'undo bank.debit begins')).toHaveLength(1);
  });

  /** Whether a worker has handled a workflow task since the cancellation. */
  async function cancelArrived(): Promise<boolean> {
    const events = await fixture.history(told);
    const requested = events.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
    return requested >= 0 && events.slice(requested).some((event) => event.workflowTaskCompletedEventAttributes);
  }
});

describe('a timeout of days', () => {
  const options = { timeout: '3 days' } as const;

  it('before the pivot undoes the saga', async () => {
    await begin({ moves: [step('shop.reserve'), pause('5 days'), pivot('bank.debit')], options });
    expect(await settledReport(told)).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'timed-out', message: 'The saga took longer than its timeout.' },
    });
    expect(told.effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('that is not reached does nothing', async () => {
    await begin({ moves: [step('shop.reserve'), pause('2 days'), step('bank.debit')], options });
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
  });

  it('that passes during the last step undoes the saga once the step has ended', async () => {
    await begin({
      moves: [step('shop.reserve'), step('bank.debit')],
      behaviours: { 'bank.debit': 'end late' },
      options: { timeout: '1 second' },
    });
    expect(await settledReport(told)).toMatchObject({ outcome: 'compensated', cause: { kind: 'timed-out' } });
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'undo bank.debit', 'undo shop.reserve']);
  });

  it('after the pivot does nothing either', async () => {
    await begin({ moves: [pivot('bank.debit'), pause('5 days'), retriable('mail.send')], options });
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
    expect(told.effects()).toEqual(['bank.debit', 'mail.send']);
  });
});
