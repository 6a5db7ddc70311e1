/** A compensation that keeps failing is held: nothing is given up, everything else goes on, and a person can settle it. */
import { describe, expect, it } from 'vitest';
import { RulingRefused, TransactionMixed } from '../../src/client';
import { depth } from '../depth';
import type { Story, Told } from './fixture';
import { fates, inTurn, pause, sagaFixture, settledReport, step, together, typeOf } from './fixture';
import type { Behaviour } from './participants';

const fixture = sagaFixture();
const RULING = { step: 'bank.debit', reason: 'called the bank', by: 'ann' };

/** A saga that has to undo three steps, of which the middle one resists. */
const resisting = (behaviour: Behaviour): Story => ({
  moves: [step('shop.reserve'), step('bank.debit'), step('bank.credit'), step('mail.send')],
  behaviours: { 'mail.send': 'refuse', 'undo bank.debit': behaviour },
});

async function untilHeld(told: Told): Promise<Told> {
  await expect.poll(async () => (await told.handle.reports<'saga'>())[0]?.outcome, { timeout: 5_000 }).toBe('held');
  return told;
}

/** Mends what resists, so that nothing of this saga runs into the next test. */
async function endWell(told: Told): Promise<void> {
  told.behave({ 'undo bank.debit': 'work' });
  expect((await settledReport(told)).outcome).toBe('compensated');
}

const undone = (told: Told): string[] => told.effects().filter((line) => line.startsWith('undo '));
const attempts = (told: Told): number => told.log().filter((line) => line === 'undo bank.debit begins').length;

describe('a compensation that keeps failing', () => {
  it('is not held before its time', async () => {
    const told = await fixture.begin({ ...resisting('fail'), options: { holdAfter: '10 minutes' } });
    await told.seen('undo bank.debit begins', 2);
    await fixture.environment.sleep('5 minutes');
    expect((await told.handle.reports<'saga'>())[0]?.outcome).toBe('compensating');
    expect(await fixture.attributes(told)).toMatchObject({ TxnStatus: 'compensating', TxnNeedsAttention: false });
    await endWell(told);
  });

  it('is held, and shows that it needs a person and where', async () => {
    const told = await fixture.begin(resisting('fail'));
    await fixture.environment.sleep('5 minutes');
    expect(await fixture.attributes(told)).toEqual({
      TxnStatus: 'held',
      TxnProtocol: 'saga',
      TxnParticipants: ['bank', 'mail', 'shop'],
      TxnNeedsAttention: true,
      TxnFailedStep: 'bank.debit',
    });
    const details = await fixture.currentDetails(told);
    expect(details).toContain('The compensation of bank.debit waits for a person.');
    expect(details).toContain('temporal workflow update execute --name retryStep');
    expect(details).toContain(`--workflow-id ${told.id} `);
    expect(undone(told)).toEqual(['undo bank.credit']);
    await endWell(told);
  });

  it('goes on by itself once it succeeds, without anyone', async () => {
    const told = await fixture.begin(resisting('fail'));
    await fixture.environment.sleep('5 minutes');
    expect((await told.handle.reports<'saga'>())[0]?.outcome).toBe('held');
    told.behave({ 'undo bank.debit': 'work' });
    const report = await settledReport(told);
    expect(report.outcome).toBe('compensated');
    expect(undone(told)).toEqual(['undo bank.credit', 'undo bank.debit', 'undo shop.reserve']);
    expect(await fixture.attributes(told)).toMatchObject({ TxnStatus: 'compensated', TxnNeedsAttention: false });
  });

  it('does not keep back those that do not depend on it', async () => {
    const told = await fixture.begin({
      moves: [together(inTurn(step('shop.reserve')), inTurn(step('bank.debit'))), step('mail.send')],
      behaviours: { 'mail.send': 'refuse', 'undo bank.debit': 'fail' },
    });
    await fixture.environment.sleep('5 minutes');
    expect(undone(told)).toEqual(['undo shop.reserve']);
    expect(fates((await told.handle.reports<'saga'>())[0] ?? { steps: [] })).toEqual([
      'shop.reserve: done, compensated',
      'bank.debit: done, held',
      'mail.send: not-done, not-needed',
    ]);
    await endWell(told);
  });

  it('for weeks leaves a history that is not too long, and still ends well', async () => {
    const days = depth({ sample: 8, campaign: 30 });
    const told = await fixture.begin(resisting('be down'));
    await fixture.environment.sleep(`${days} days`);
    expect((await told.handle.reports<'saga'>())[0]?.outcome).toBe('held');
    // Temporal's limit is 51,200: that is ten months.
    expect((await fixture.history(told)).length).toBeLessThan((days * 5_000) / 30);
    await endWell(told);
    expect(undone(told)).toEqual(['undo bank.credit', 'undo bank.debit', 'undo shop.reserve']);
  }, 60_000);
});

describe('a compensation that fails for good', () => {
  it('waits for a person only, without being tried again', async () => {
    const told = await untilHeld(await fixture.begin(resisting('fail for good')));
    await fixture.environment.sleep('10 days');
    expect(attempts(told)).toBe(1);
    told.behave({ 'undo bank.debit': 'work' });
    await told.handle.retryStep(RULING);
    expect((await settledReport(told)).outcome).toBe('compensated');
    expect(attempts(told)).toBe(2);
  });
});

describe('a person', () => {
  const held = async (behaviour: Behaviour = 'fail for good'): Promise<Told> =>
    untilHeld(await fixture.begin(resisting(behaviour)));

  it('who has it tried again too early finds it held again', async () => {
    const told = await held();
    await told.handle.retryStep(RULING);
    await told.seen('undo bank.debit ends', 2);
    told.behave({ 'undo bank.debit': 'work' });
    await expect.poll(() => told.handle.retryStep(RULING).then(() => 'accepted', String)).toBe('accepted');
    expect((await settledReport(told)).outcome).toBe('compensated');
    expect(attempts(told)).toBe(3);
  });

  it('has it tried at once, between the tries of a long wait', async () => {
    const told = await fixture.begin(resisting('be down'));
    await fixture.environment.sleep('6 hours');
    told.behave({ 'undo bank.debit': 'work' });
    await told.handle.retryStep(RULING);
    // No time passes here: only the ruling can have caused the attempt.
    await told.seen('undo bank.debit takes effect');
    expect((await settledReport(told)).outcome).toBe('compensated');
  });

  it('gives it up: the effect stays, the others are undone, and the outcome is mixed', async () => {
    const told = await fixture.tell(resisting('fail for good'));
    await untilHeld(told);
    await told.handle.skipStep(RULING);
    const error = await told.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionMixed);
    expect(error).toMatchObject({
      report: {
        outcome: 'mixed',
        steps: [
          { compensation: { kind: 'compensated' } },
          { compensation: { kind: 'skipped', by: 'ann', reason: 'called the bank' } },
          { compensation: { kind: 'compensated' } },
          { compensation: { kind: 'not-needed' } },
        ],
      },
    });
    expect(undone(told)).toEqual(['undo bank.credit', 'undo shop.reserve']);
    expect(await fixture.attributes(told)).toMatchObject({ TxnStatus: 'mixed', TxnNeedsAttention: false });
  });

  it('gives it up while it is being tried: the attempt is stopped, and none comes after it', async () => {
    const told = await fixture.begin(resisting('fail'));
    await fixture.environment.sleep('5 minutes');
    const tried = attempts(told);
    told.behave({ 'undo bank.debit': 'hang' });
    const passing = fixture.environment.sleep('1 minute');
    await told.seen('undo bank.debit begins', tried + 1);
    await told.handle.skipStep(RULING);
    expect((await settledReport(told)).outcome).toBe('mixed');
    await passing;
    expect(attempts(told)).toBe(tried + 1);
  });

  it('says that it was undone by other means: everything is undone', async () => {
    const told = await held();
    await told.handle.resolve(RULING);
    const report = await settledReport(told);
    expect(report.outcome).toBe('compensated');
    expect(fates(report)).toEqual([
      'shop.reserve: done, compensated',
      'bank.debit: done, resolved',
      'bank.credit: done, compensated',
      'mail.send: not-done, not-needed',
    ]);
    expect(undone(told)).toEqual(['undo bank.credit', 'undo shop.reserve']);
  });
});

describe('a ruling is refused, and leaves no trace,', () => {
  const LONG = 'x'.repeat(1_001);

  it('when it is not one that can be carried out', async () => {
    const told = await untilHeld(await fixture.begin(resisting('fail for good')));
    const { handle } = told;
    const problems = await Promise.all(
      [
        handle.retryStep({ ...RULING, step: 'shop.reserve' }),
        handle.retryStep({ ...RULING, step: '' }),
        handle.skipStep({ ...RULING, reason: ' ' }),
        handle.skipStep({ ...RULING, by: '' }),
        handle.resolve({ ...RULING, reason: LONG }),
        handle.resolve({ ...RULING, by: LONG }),
        handle.retryStep({ ...RULING, transaction: 'another-one' }),
        handle.resolve({ ...RULING, as: 'maybe' as 'done' }),
        handle.resolve({ ...RULING, as: 'not-done' }),
        handle.retryStep(undefined as unknown as typeof RULING),
      ].map((ruling) => ruling.then(() => 'accepted', refusalIn)),
    );
    expect(problems).toEqual([
      expect.stringContaining('"shop.reserve" is not held. Held now: bank.debit.'),
      expect.stringContaining('"step" is "", not a text of 1 to 1000 characters.'),
      expect.stringContaining('"reason" is " ", not a text'),
      expect.stringContaining('"by" is "", not a text'),
      expect.stringContaining('"reason" is'),
      expect.stringContaining('"by" is'),
      expect.stringContaining('"bank.debit" is not held.'),
      expect.stringContaining('"as" is "maybe", not "done" or "not-done".'),
      expect.stringContaining('a compensation cannot be resolved as not done. Use skipStep'),
      expect.stringContaining('"step" is undefined'),
    ]);
    expect((await handle.reports<'saga'>())[0]?.outcome).toBe('held');
    expect((await fixture.history(told)).map(typeOf)).not.toContain('workflowExecutionUpdateAccepted');
    await fixture.abandon(told);
  });

  it('when nothing is held', async () => {
    const told = await fixture.begin({ moves: [step('bank.debit'), pause('1 hour')] });
    await told.seen('bank.debit ends');
    expect(await told.handle.skipStep(RULING).then(() => 'accepted', refusalIn)).toBe(
      'Nothing was changed: "bank.debit" is not held. No step is held now.',
    );
    expect((await settledReport(told)).outcome).toBe('committed');
  });

  const refusalIn = (error: unknown): string => {
    expect(error).toBeInstanceOf(RulingRefused);
    return (error as RulingRefused).message;
  };
});
