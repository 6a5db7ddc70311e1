/** Steps that meet an earlier run of the same transaction: what that one has done is not undone by mistake. */
import { describe, expect, it } from 'vitest';
import { fates, inTurn, step, together } from '../saga/fixture';
import { puppetFixture } from './fixture';
import { mismatch } from './puppets';

const fixture = puppetFixture();
const before = { answer: 'applied-before', result: 'kept' } as const;
const RULING = { step: 'bank.debit', reason: 'compared the requests', by: 'ann' };

describe('a step whose name is taken by another input', () => {
  it('did nothing when it is the first: the transaction ends without an effect', async () => {
    const begun = await fixture.begin({
      moves: [step('bank.debit'), step('mail.send')],
      answers: { 'bank.debit': mismatch },
    });
    const report = await begun.report();
    expect(report.outcome).toBe('compensated');
    expect(fates(report)).toEqual(['bank.debit: not-done, not-needed']);
    expect(begun.asked()).toEqual(['bank.debit']);
  });

  it('undoes the steps before it when this run has done them', async () => {
    const begun = await fixture.begin({
      moves: [step('shop.reserve'), step('bank.debit')],
      answers: { 'bank.debit': mismatch },
    });
    expect(fates(await begun.report())).toEqual([
      'shop.reserve: done, compensated',
      'bank.debit: not-done, not-needed',
    ]);
  });

  it('is held when an earlier run may have done the steps before it: that one may have committed', async () => {
    const begun = await fixture.begin({
      moves: [step('shop.reserve'), step('bank.debit')],
      answers: { 'shop.reserve': before, 'bank.debit': mismatch },
    });
    await expect.poll(() => begun.outcome()).toBe('held');
    expect(begun.asked()).toEqual(['shop.reserve', 'bank.debit']);
    await begun.handle.resolve({ ...RULING, result: 'kept too' });
    expect(await begun.report()).toMatchObject({ outcome: 'committed', result: ['kept', 'kept too'] });
  });

  it('is held while a step beside it has not said yet whose it is', async () => {
    let answer = (): void => undefined;
    const asked = new Promise<void>((resolve) => (answer = resolve));
    const begun = await fixture.begin({
      moves: [together(inTurn(step('shop.reserve')), inTurn(step('bank.debit')))],
      answers: { 'bank.debit': mismatch, 'shop.reserve': () => asked.then(() => before) },
    });
    await expect.poll(() => begun.outcome()).toBe('held');
    answer();
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[0]?.fate.kind).toBe('done');
    expect(begun.asked()).not.toContain('undo shop.reserve');
    await begun.handle.resolve(RULING);
    expect((await begun.report()).outcome).toBe('committed');
  });
});

describe('a step that an earlier run has done', () => {
  it('gives its stored result, and is undone like any other when this run cannot go on', async () => {
    const begun = await fixture.begin({
      moves: [step('shop.reserve'), step('bank.debit')],
      answers: {
        'shop.reserve': before,
        'bank.debit': new Error('The worker is misconfigured.'),
      },
      options: { steps: { retry: { maximumAttempts: 1 } } },
    });
    const report = await begun.report();
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: unknown, compensated']);
    expect(report).toMatchObject({ cause: { kind: 'failed', message: 'The worker is misconfigured.' } });
  });
});

describe('a step that changed nothing', () => {
  it('is not undone', async () => {
    const begun = await fixture.begin({
      moves: [step('shop.reserve'), step('bank.debit')],
      answers: { 'shop.reserve': { answer: 'read-only', result: 'seen' }, 'bank.debit': mismatch },
    });
    expect(fates(await begun.report())).toEqual(['shop.reserve: done, not-needed', 'bank.debit: not-done, not-needed']);
    expect(begun.asked()).toEqual(['shop.reserve', 'bank.debit']);
  });
});
