/** A saga whose step is refused is undone: exactly what was done, the last first. */
import { describe, expect, it } from 'vitest';
import { TransactionCompensated } from '../../src/client';
import { fates, sagaFixture, step, tolerate } from './fixture';

const fixture = sagaFixture();
const STEPS = ['shop.reserve', 'bank.debit', 'bank.credit', 'mail.send'];

describe('a refusal', () => {
  it.each([0, 1, 2, 3])('at step %i of 4 undoes the steps before it in reverse, and not the refused one', async (k) => {
    const refused = STEPS[k] as string;
    const { report, effects, log } = await fixture.settle({
      moves: STEPS.map((operation) => step(operation)),
      behaviours: { [refused]: 'refuse' },
    });
    const done = STEPS.slice(0, k);
    expect(effects()).toEqual([...done, ...done.toReversed().map((name) => `undo ${name}`)]);
    expect(log()).not.toContain(`undo ${refused} begins`);
    expect(report).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'refused', branch: refused, refusal: { code: 'not-today' } },
    });
    expect(fates(report)).toEqual([
      ...done.map((name) => `${name}: done, compensated`),
      `${refused}: not-done, not-needed`,
    ]);
  });

  it('reaches the client as TransactionCompensated with the report', async () => {
    const told = await fixture.tell({
      moves: [step('shop.reserve'), step('bank.debit')],
      behaviours: { 'bank.debit': 'refuse' },
    });
    const error = await told.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionCompensated);
    expect(error).toMatchObject({
      id: told.id,
      message: `Transaction ${told.id} did not commit. Everything was undone: bank.debit is not possible today`,
      report: {
        id: told.id,
        protocol: 'saga',
        outcome: 'compensated',
        cause: { kind: 'refused', refusal: { code: 'not-today', message: 'bank.debit is not possible today' } },
      },
    });
    expect(await told.handle.status()).toBe('FAILED');
  });

  it('that the body handles is no reason to undo anything', async () => {
    const { report, effects } = await fixture.settle({
      moves: [step('shop.reserve'), tolerate(step('bank.debit')), step('bank.credit')],
      behaviours: { 'bank.debit': 'refuse' },
    });
    expect(report.outcome).toBe('committed');
    expect(effects()).toEqual(['shop.reserve', 'bank.credit']);
  });

  it('of a handled step is not undone later either', async () => {
    const { report, log } = await fixture.settle({
      moves: [step('shop.reserve'), tolerate(step('bank.debit')), step('bank.credit')],
      behaviours: { 'bank.debit': 'refuse', 'bank.credit': 'refuse' },
    });
    expect(report).toMatchObject({ outcome: 'compensated', cause: { branch: 'bank.credit' } });
    expect(log()).not.toContain('undo bank.debit begins');
  });

  it('is not repeated to a participant that would say yes the next time', async () => {
    const { log } = await fixture.settle({ moves: [step('shop.reserve')], behaviours: { 'shop.reserve': 'refuse' } });
    expect(log()).toEqual(['shop.reserve begins', 'shop.reserve ends']);
  });
});
