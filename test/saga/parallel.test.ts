/** Steps side by side: waited for when one fails, and undone side by side. */
import { describe, expect, it } from 'vitest';
import { fates, inTurn, sagaFixture, settledReport, step, together } from './fixture';

const fixture = sagaFixture();

describe('steps that run side by side', () => {
  it('are waited for when one of them fails, and undone once they have ended', async () => {
    const told = await fixture.begin({
      moves: [together(step('shop.reserve'), step('bank.debit'))],
      behaviours: { 'shop.reserve': 'wait for the gate', 'bank.debit': 'refuse' },
    });
    await told.seen('shop.reserve begins');
    await told.seen('bank.debit ends');
    await expect
      .poll(async () =>
        (await told.handle.reports<'saga'>()).flatMap(({ steps }) => steps.map(({ fate }) => fate.kind)),
      )
      .toEqual(['running', 'not-done']);
    expect(told.log()).not.toContain('undo shop.reserve begins');
    await fixture.participants.openGate();
    const report = await settledReport(told);
    expect(told.effects()).toEqual(['shop.reserve', 'undo shop.reserve']);
    expect(told.log().indexOf('shop.reserve ends')).toBeLessThan(told.log().indexOf('undo shop.reserve begins'));
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused', branch: 'bank.debit' } });
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: not-done, not-needed']);
  });

  it('are told to stop trying when one of them fails', async () => {
    const { report, log } = await fixture.settle({
      moves: [together(step('shop.reserve'), step('bank.debit'))],
      behaviours: { 'shop.reserve': 'hang', 'bank.debit': 'refuse' },
    });
    expect(fates(report)).toEqual(['shop.reserve: unknown, nothing-to-compensate', 'bank.debit: not-done, not-needed']);
    expect(log().filter((line) => line === 'shop.reserve begins')).toHaveLength(1);
  });

  it('begin no further step once one of them has failed', async () => {
    const { report, log } = await fixture.settle({
      moves: [together(inTurn(step('shop.reserve'), step('mail.send')), step('bank.debit'))],
      behaviours: { 'shop.reserve': 'end late', 'bank.debit': 'refuse' },
    });
    expect(log()).not.toContain('mail.send begins');
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: not-done, not-needed']);
  });

  it('are undone side by side, after what builds on them and before what they build on', async () => {
    const told = await fixture.begin({
      moves: [
        step('shop.book'),
        together(step('shop.reserve'), step('bank.debit')),
        step('bank.credit'),
        step('mail.send'),
      ],
      behaviours: {
        'mail.send': 'refuse',
        'undo shop.reserve': 'wait for the gate',
        'undo bank.debit': 'wait for the gate',
      },
    });
    await told.seen('undo shop.reserve begins');
    await told.seen('undo bank.debit begins');
    expect(told.effects()).toEqual(expect.arrayContaining(['undo bank.credit']));
    expect(told.log()).not.toContain('undo shop.book begins');
    await fixture.participants.openGate();
    await settledReport(told);
    const undone = told.effects().filter((line) => line.startsWith('undo '));
    expect(undone).toHaveLength(4);
    expect(undone[0]).toBe('undo bank.credit');
    expect(undone[3]).toBe('undo shop.book');
  });

  it('wait only for the compensations of what builds on them', async () => {
    const told = await fixture.begin({
      moves: [
        together(inTurn(step('shop.reserve'), step('shop.book')), inTurn(step('bank.debit', { id: 'deposit' }))),
        step('mail.send'),
      ],
      behaviours: { 'mail.send': 'refuse', 'undo deposit': 'wait for the gate' },
    });
    await told.seen('undo deposit begins');
    await told.seen('undo shop.book takes effect');
    await fixture.participants.openGate();
    expect(await settledReport(told)).toMatchObject({ outcome: 'compensated' });
    const log = told.log();
    expect(log.indexOf('undo shop.book ends')).toBeLessThan(log.indexOf('undo shop.reserve begins'));
  });
});
