/** The pivot decides: refused, the saga is undone; done, it goes forward only; unknown, it is asked until it is known. */
import { describe, expect, it } from 'vitest';
import { fates, pivot, retriable, sagaFixture, settledReport, step, tolerate } from './fixture';

const fixture = sagaFixture();

describe('a pivot', () => {
  it('that is refused unwinds the saga', async () => {
    const { report, effects } = await fixture.settle({
      moves: [step('shop.reserve'), pivot('bank.debit'), retriable('mail.send')],
      behaviours: { 'bank.debit': 'refuse' },
    });
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused', branch: 'bank.debit' } });
    expect(effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('of unknown outcome is asked until it answers, and goes forward when it is done', async () => {
    const { report, log } = await fixture.settle({
      moves: [step('shop.reserve'), pivot('bank.debit', { onUnknown: 'compensate' }), retriable('mail.send')],
      behaviours: { 'bank.debit': 'work, answer lost', 'ask bank.debit': ['fail', 'fail', 'fail', 'work'] },
    });
    expect(report).toMatchObject({ outcome: 'committed' });
    expect(log().filter((line) => line === 'ask bank.debit begins')).toHaveLength(4);
    expect(log()).not.toContain('undo bank.debit begins');
  });

  it('that timed out and never took effect unwinds the saga, and cannot take effect any more', async () => {
    const { report, effects, log } = await fixture.settle({
      moves: [step('shop.reserve'), pivot('bank.debit', { timeout: '1 second', attemptTimeout: '1 second' })],
      behaviours: { 'bank.debit': 'wait for the gate' },
    });
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: not-done, not-needed']);
    await fixture.participants.openGate();
    expect(log()).toContain('bank.debit came too late');
    expect(effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('that nobody can be asked about for days is held, and then decides', async () => {
    const told = await fixture.begin({
      moves: [step('shop.reserve'), pivot('bank.debit')],
      behaviours: { 'bank.debit': 'fail for good', 'ask bank.debit': 'be down' },
    });
    await fixture.environment.sleep('3 days');
    expect(await told.handle.reports()).toMatchObject([{ outcome: 'held', steps: [{}, { fate: { kind: 'held' } }] }]);
    expect(told.effects()).toEqual(['shop.reserve']);
    told.behave({ 'ask bank.debit': 'work' });
    expect(fates(await settledReport(told))).toEqual([
      'shop.reserve: done, compensated',
      'bank.debit: not-done, not-needed',
    ]);
  });
});

describe('a step that nothing undoes, and that a person gives up', () => {
  it.each([
    ['the pivot', [tolerate(pivot('bank.debit')), step('mail.send')]],
    ['a step after it', [pivot('bank.credit'), tolerate(retriable('bank.debit')), retriable('mail.send')]],
  ])('leaves a mixed outcome though the body goes on: %s', async (_, moves) => {
    const told = await fixture.begin({
      moves: [step('shop.reserve'), ...moves],
      behaviours: { 'bank.debit': 'work, answer lost', 'ask bank.debit': 'fail for good' },
    });
    await expect.poll(async () => (await told.handle.reports())[0]?.outcome).toBe('held');
    await told.handle.skipStep({ step: 'bank.debit', reason: 'nobody answers', by: 'ann' });
    const report = await settledReport(told);
    expect(report).toMatchObject({
      outcome: 'mixed',
      cause: { branch: 'bank.debit', message: expect.stringContaining('bank.debit was given up: nobody knows') },
    });
    expect(told.effects()).toContain('mail.send');
    expect(told.effects().filter((line) => line.startsWith('undo '))).toEqual([]);
    expect(await fixture.attributes(told)).toMatchObject({ TxnStatus: 'mixed', TxnNeedsAttention: false });
  });
});

describe('a step after the pivot', () => {
  it('is retried until it succeeds', async () => {
    const { report, effects } = await fixture.settle({
      moves: [pivot('bank.debit'), retriable('mail.send')],
      behaviours: { 'mail.send': ['fail', 'fail', 'fail', 'work'] },
    });
    expect(report).toMatchObject({ outcome: 'committed' });
    expect(effects()).toEqual(['bank.debit', 'mail.send']);
  });

  it('that fails for three days is held meanwhile, and commits when it succeeds', async () => {
    const told = await fixture.begin({
      moves: [step('shop.reserve'), pivot('bank.debit'), retriable('mail.send')],
      behaviours: { 'mail.send': 'be down' },
    });
    await fixture.environment.sleep('3 days');
    expect(await fixture.attributes(told)).toMatchObject({
      TxnStatus: 'held',
      TxnNeedsAttention: true,
      TxnFailedStep: 'mail.send',
    });
    told.behave({ 'mail.send': 'work' });
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'mail.send']);
    expect(await fixture.attributes(told)).toMatchObject({ TxnStatus: 'committed', TxnNeedsAttention: false });
  });

  it('that is refused waits for a person, because nobody else can decide', async () => {
    const told = await fixture.begin({
      moves: [pivot('bank.debit'), retriable('mail.send')],
      behaviours: { 'mail.send': 'refuse' },
    });
    await expect
      .poll(async () => (await told.handle.reports())[0])
      .toMatchObject({ outcome: 'held', steps: [{}, { fate: { kind: 'held' } }] });
    await told.handle.resolve({ step: 'mail.send', result: 'by hand', reason: 'sent it myself', by: 'ann' });
    expect(await settledReport(told)).toMatchObject({
      outcome: 'committed',
      result: ['bank.debit by attempt 1', 'by hand'],
    });
  });

  it('that a person gives up leaves a mixed outcome', async () => {
    const told = await fixture.begin({
      moves: [step('shop.reserve'), pivot('bank.debit'), retriable('mail.send')],
      behaviours: { 'mail.send': 'fail for good' },
    });
    await expect.poll(async () => (await told.handle.reports())[0]?.outcome).toBe('held');
    await told.handle.skipStep({ step: 'mail.send', reason: 'nobody reads it', by: 'ann' });
    const report = await settledReport(told);
    expect(report.outcome).toBe('mixed');
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit']);
    expect(fates(report)).toEqual([
      'shop.reserve: done, not-needed',
      'bank.debit: done, not-needed',
      'mail.send: skipped, not-needed',
    ]);
  });
});
