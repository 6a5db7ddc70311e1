/** Semantic locks: asked back from each participant once, when the saga completes or leaves an effect behind. */
import { describe, expect, it } from 'vitest';
import { sagaFixture, settledReport, step } from './fixture';
import type { Told } from './fixture';

const fixture = sagaFixture();

const released = (told: Pick<Told, 'log'>): string[] =>
  told
    .log()
    .filter((line) => line.endsWith('are released'))
    .sort();

describe('semantic locks', () => {
  it('are released once at each participant that took some, when the saga completes', async () => {
    const told = await fixture.settle({
      moves: [step('shop.reserve'), step('shop.book'), step('bank.debit'), step('mail.send')],
      behaviours: { 'shop.reserve': 'work and lock', 'shop.book': 'work and lock', 'bank.debit': 'work and lock' },
    });
    expect(told.report.outcome).toBe('committed');
    expect(released(told)).toEqual(['locks at bank are released', 'locks at shop are released']);
    const last = told.log().indexOf('mail.send ends');
    expect(told.log().findIndex((line) => line.endsWith('are released'))).toBeGreaterThan(last);
  });

  it('are none of the business of a saga whose steps took none', async () => {
    const told = await fixture.settle({ moves: [step('shop.reserve'), step('bank.debit')] });
    expect(released(told)).toEqual([]);
  });

  it('go with the compensation of the step that took them', async () => {
    const told = await fixture.settle({
      moves: [step('shop.reserve'), step('bank.debit')],
      behaviours: { 'shop.reserve': 'work and lock', 'bank.debit': 'refuse' },
    });
    expect(told.report.outcome).toBe('compensated');
    expect(released(told)).toEqual([]);
  });

  it.each(['skipStep', 'resolve'] as const)(
    'are released when a person rules %s instead of a compensation',
    async (rule) => {
      const told = await fixture.begin({
        moves: [step('shop.reserve'), step('bank.debit'), step('mail.send')],
        behaviours: {
          'shop.reserve': 'work and lock',
          'bank.debit': 'work and lock',
          'mail.send': 'refuse',
          'undo bank.debit': 'fail for good',
        },
      });
      await expect.poll(async () => (await told.handle.reports())[0]?.outcome).toBe('held');
      await told.handle[rule]({ step: 'bank.debit', reason: 'called the bank', by: 'ann' });
      await settledReport(told);
      expect(released(told)).toEqual(['locks at bank are released']);
    },
  );
});
