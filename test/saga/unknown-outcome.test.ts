/** A step whose outcome is not known: it may have happened, and the saga acts accordingly. */
import { describe, expect, it } from 'vitest';
import type { Told } from './fixture';
import { fates, sagaFixture, settledReport, step, tolerate } from './fixture';

const fixture = sagaFixture();
const BRIEFLY = { timeout: '1 second', attemptTimeout: '1 second' } as const;

describe('an unknown outcome, by default,', () => {
  it('of a step that did take effect is undone', async () => {
    const { report, effects } = await fixture.settle({
      moves: [step('shop.reserve'), step('bank.debit', BRIEFLY)],
      behaviours: { 'bank.debit': 'work, then hang' },
    });
    expect(effects()).toEqual(['shop.reserve', 'bank.debit', 'undo bank.debit', 'undo shop.reserve']);
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'failed', branch: 'bank.debit' } });
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: unknown, compensated']);
  });

  it('of a step whose answer was lost is undone', async () => {
    const { report, effects } = await fixture.settle({
      moves: [step('bank.debit')],
      behaviours: { 'bank.debit': 'work, answer lost' },
    });
    expect(effects()).toEqual(['bank.debit', 'undo bank.debit']);
    expect(fates(report)).toEqual(['bank.debit: unknown, compensated']);
  });

  it('of a step that never took effect has nothing to undo, and the late action is turned away', async () => {
    const { report, effects, log } = await fixture.settle({
      moves: [step('bank.debit', BRIEFLY)],
      behaviours: { 'bank.debit': 'wait for the gate' },
    });
    expect(fates(report)).toEqual(['bank.debit: unknown, nothing-to-compensate']);
    expect(report.outcome).toBe('compensated');
    await fixture.participants.openGate();
    expect(log()).toContain('bank.debit came too late');
    expect(effects()).toEqual([]);
  });

  it('of a step that keeps failing ends its patience', async () => {
    const { report } = await fixture.settle({
      moves: [step('bank.debit', { timeout: '10 seconds' })],
      behaviours: { 'bank.debit': 'fail' },
    });
    expect(report).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'failed', message: expect.stringContaining('bank.debit failed') },
    });
    expect(fates(report)).toEqual(['bank.debit: unknown, nothing-to-compensate']);
  });
});

describe('an unknown outcome that the body gets over', () => {
  it('is undone when the saga commits another way, and only that', async () => {
    const { report, effects } = await fixture.settle({
      moves: [step('shop.reserve'), tolerate(step('bank.debit')), step('bank.credit')],
      behaviours: { 'bank.debit': 'work, answer lost' },
    });
    expect(report.outcome).toBe('committed');
    expect(effects()).toEqual(['shop.reserve', 'bank.debit', 'bank.credit', 'undo bank.debit']);
  });
});

describe("an unknown outcome with onUnknown: 'query'", () => {
  const asked = { ...BRIEFLY, onUnknown: 'query' } as const;

  it('goes forward with the stored result when the step took effect', async () => {
    const { report, effects, log } = await fixture.settle({
      moves: [step('bank.debit', asked), step('mail.send')],
      behaviours: { 'bank.debit': 'work, answer lost' },
    });
    expect(report).toMatchObject({
      outcome: 'committed',
      result: ['bank.debit by attempt 1', 'mail.send by attempt 1'],
      steps: [{ fate: { kind: 'done', answer: 'applied-before' } }, {}],
    });
    expect(effects()).toEqual(['bank.debit', 'mail.send']);
    expect(log()).toContain('ask bank.debit begins');
  });

  it('fails when it never took effect, with nothing to undo and the late action turned away', async () => {
    const { report, effects, log } = await fixture.settle({
      moves: [step('shop.reserve'), step('bank.debit', asked)],
      behaviours: { 'bank.debit': 'wait for the gate' },
    });
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: not-done, not-needed']);
    expect(report.steps[1]?.fate).toMatchObject({ refusal: { code: 'never-applied' } });
    await fixture.participants.openGate();
    expect(log()).toContain('bank.debit came too late');
    expect(effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('asks until it gets an answer', async () => {
    const { report, log } = await fixture.settle({
      moves: [step('bank.debit', asked)],
      behaviours: { 'bank.debit': 'work, answer lost', 'ask bank.debit': ['fail', 'fail', 'work'] },
    });
    expect(report.outcome).toBe('committed');
    expect(log().filter((line) => line === 'ask bank.debit begins')).toHaveLength(3);
  });
});

describe("an unknown outcome with onUnknown: 'hold'", () => {
  const ruling = { step: 'bank.debit', reason: 'looked it up', by: 'ann' };

  async function held(behaviour: 'work, answer lost' | 'fail for good'): Promise<Told> {
    const told = await fixture.begin({
      moves: [step('shop.reserve'), step('bank.debit', { onUnknown: 'hold' }), step('mail.send')],
      behaviours: { 'bank.debit': [behaviour, 'work'] },
    });
    await expect
      .poll(async () => (await told.handle.reports())[0], { timeout: 5_000 })
      .toMatchObject({ outcome: 'held', steps: [{}, { fate: { kind: 'held' } }] });
    expect(told.log()).not.toContain('undo shop.reserve begins');
    return told;
  }

  it('waits for a person, who says that it is done and with what result', async () => {
    const told = await held('work, answer lost');
    await told.handle.resolve({ ...ruling, as: 'done', result: 'by hand' });
    expect(await settledReport(told)).toMatchObject({
      outcome: 'committed',
      result: ['shop.reserve by attempt 1', 'by hand', 'mail.send by attempt 1'],
      steps: [{}, { fate: { kind: 'resolved', as: 'done', by: 'ann', reason: 'looked it up' } }, {}],
    });
  });

  it('is not undone by its participant where a person has done it by hand: whoever did undoes it', async () => {
    const told = await held('fail for good');
    told.behave({ 'mail.send': 'refuse' });
    await told.handle.resolve({ ...ruling, as: 'done', result: 'by hand' });
    await expect
      .poll(async () => (await told.handle.reports<'saga'>())[0]?.steps[1]?.compensation, { timeout: 5_000 })
      .toMatchObject({ kind: 'held', cause: expect.stringMatching(/^Nothing was undone: .* by hand, as ann said/) });
    await told.handle.resolve({ ...ruling, reason: 'undone by hand' });
    const report = await settledReport(told);
    expect(report.outcome).toBe('compensated');
    expect(fates(report).slice(0, 2)).toEqual(['shop.reserve: done, compensated', 'bank.debit: resolved, resolved']);
  });

  it('is undone by its participant where that has done it after all, whatever a person said', async () => {
    const told = await held('work, answer lost');
    told.behave({ 'mail.send': 'refuse' });
    await told.handle.resolve({ ...ruling, as: 'done', result: 'looked up' });
    expect(fates(await settledReport(told))[1]).toBe('bank.debit: resolved, compensated');
    expect(told.effects().at(-2)).toBe('undo bank.debit');
  });

  it('waits for a person, who says that it did not happen: nothing to undo there', async () => {
    const told = await held('fail for good');
    await told.handle.resolve({ ...ruling, as: 'not-done' });
    const report = await settledReport(told);
    expect(report.outcome).toBe('compensated');
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: resolved, not-needed']);
    expect(told.log()).not.toContain('undo bank.debit begins');
  });

  it('waits for a person, who has it tried again', async () => {
    const told = await held('work, answer lost');
    await told.handle.retryStep(ruling);
    expect(await settledReport(told)).toMatchObject({
      outcome: 'committed',
      steps: [{}, { fate: { kind: 'done', answer: 'applied-before' } }, {}],
    });
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'mail.send']);
  });

  it('waits for a person, who gives it up: it counts as failed and is undone in case it happened', async () => {
    const told = await held('work, answer lost');
    await told.handle.skipStep(ruling);
    const report = await settledReport(told);
    expect(report.outcome).toBe('compensated');
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: skipped, compensated']);
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit', 'undo bank.debit', 'undo shop.reserve']);
  });

  it('may wait for days', async () => {
    const told = await held('work, answer lost');
    await fixture.environment.sleep('10 days');
    expect(await told.handle.status()).toBe('RUNNING');
    await told.handle.resolve(ruling);
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
  });
});
