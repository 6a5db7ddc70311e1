/** Workflows of one thread have the modules of the library in common, and nothing else. */
import { expect, it } from 'vitest';
import { step } from '../saga/fixture';
import { puppetFixture } from './fixture';
import { lost } from './puppets';

const fixture = puppetFixture();
const RULING = { step: 'bank.debit', reason: 'called the bank', by: 'ann' };

it('have the library in common', async () => {
  const shared = fixture.environment.transactions.execute('sharesTheLibrary', { id: 'shares', input: null });
  expect(await shared).toBe(true);
});

it('have reports, held steps and rulings of their own', async () => {
  const tale = { moves: [step('bank.debit', { onUnknown: 'hold' })], answers: { 'bank.debit': lost } };
  const [one, another] = [await fixture.begin(tale), await fixture.begin(tale)];
  for (const begun of [one, another]) await expect.poll(() => begun.outcome(), { timeout: 5_000 }).toBe('held');
  const [mine, ...others] = await one.handle.reports();
  expect([mine?.id, others]).toEqual([one.id, []]);

  await one.handle.resolve({ ...RULING, result: 'by hand' });
  // Whoever waits for a result has time pass, and with it the one that is still held.
  await expect.poll(() => one.outcome(), { timeout: 5_000 }).toBe('committed');
  expect(await another.outcome()).toBe('held');
  await another.handle.skipStep(RULING);
  expect((await another.report()).outcome).toBe('compensated');
});
