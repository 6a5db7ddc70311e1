/** Bodies that are written in unusual ways, or wrongly: nothing is lost, and nothing is undone that should not be. */
import { describe, expect, it } from 'vitest';
import { TransactionMixed } from '../../src/client';
import { fates } from '../saga/fixture';
import { puppetFixture, valueOf } from './fixture';
import { refusal } from './puppets';

const fixture = puppetFixture();

/** An answer that the test gives when it wants to. */
function later(): { line: () => Promise<{ answer: 'applied'; result: string }>; give: () => void } {
  let give = (): void => undefined;
  const given = new Promise<void>((resolve) => (give = resolve));
  const line = async () => {
    await given;
    return { answer: 'applied' as const, result: 'late' };
  };
  return { line, give: () => give() };
}

describe('a step that its body looks at later', () => {
  it('may be refused meanwhile: the saga is undone once the body has come round to it', async () => {
    const { line, give } = later();
    const begun = await fixture.begin({
      workflow: 'looksLater',
      answers: { 'shop.reserve': refusal, 'bank.debit': line },
    });
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[0]?.fate.kind).toBe('not-done');
    give();
    const report = await begun.report();
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused', branch: 'shop.reserve' } });
    expect(fates(report)).toEqual(['shop.reserve: not-done, not-needed', 'bank.debit: done, compensated']);
    expect(await begun.taskFailure()).toBeUndefined();
  });
});

describe('a step that its body never looks at', () => {
  it('is part of the saga all the same, which waits for it', async () => {
    const { line, give } = later();
    const begun = await fixture.begin({ workflow: 'neverLooks', answers: { 'shop.reserve': line } });
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[1]?.fate.kind).toBe('done');
    expect(await begun.outcome()).toBe('running');
    give();
    expect(fates(await begun.report())).toEqual(['shop.reserve: done, not-needed', 'bank.debit: done, not-needed']);
  });

  it('undoes the saga when it fails and the body is over, so that nobody else would hear of it', async () => {
    const { line, give } = later();
    const begun = await fixture.begin({
      workflow: 'neverLooks',
      answers: { 'shop.reserve': () => line().then(() => Promise.reject(refusal)) },
    });
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[1]?.fate.kind).toBe('done');
    give();
    const report = await begun.report();
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused', branch: 'shop.reserve' } });
    expect(fates(report)).toEqual(['shop.reserve: not-done, not-needed', 'bank.debit: done, compensated']);
    expect(await begun.taskFailure()).toBeUndefined();
  });

  it.each(['step', 'pivot'])('undoes it too when it fails while the body goes on: a %s', async (role) => {
    const { line, give } = later();
    const begun = await fixture.begin({
      workflow: 'neverLooks',
      input: role,
      answers: { 'shop.reserve': refusal, 'bank.debit': line },
    });
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[0]?.fate.kind).toBe('not-done');
    give();
    const report = await begun.report();
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused', branch: 'shop.reserve' } });
    expect(fates(report)).toEqual(['shop.reserve: not-done, not-needed', 'bank.debit: done, compensated']);
    expect(await begun.taskFailure()).toBeUndefined();
  });

  it('undoes it when it could not even be begun', async () => {
    const begun = await fixture.begin({ workflow: 'neverLooks', input: 'too much' });
    expect(await begun.report()).toMatchObject({ outcome: 'compensated', cause: { kind: 'refused' } });
    expect(begun.asked()).toEqual(['bank.debit', 'undo bank.debit']);
  });

  it.each(['catches', 'races'])('but listens to is its own affair: one that %s', async (how) => {
    const { line, give } = later();
    const begun = await fixture.begin({
      workflow: 'listensBeside',
      input: how,
      answers: { 'shop.reserve': refusal, 'bank.debit': line },
    });
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[0]?.fate.kind).toBe('not-done');
    give();
    expect(await begun.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('an input and a result that the body goes on to change', () => {
  it('are undone as they were: at a participant', async () => {
    const begun = await fixture.begin({ workflow: 'changesWhatItGave', answers: { 'bank.debit': refusal } });
    expect(await begun.report()).toMatchObject({ outcome: 'compensated' });
    const inputs = (await begun.history()).flatMap(({ activityTaskScheduledEventAttributes: asked }) =>
      asked?.activityType?.name?.startsWith('reserve') ? [valueOf(asked.input?.payloads?.[0])] : [],
    );
    const asGiven = { input: { amount: 100, on: '1970-01-01T00:00:00.000Z' } };
    expect(inputs).toMatchObject([asGiven, asGiven]);
  });
});

describe('an input with which nobody can be asked', () => {
  it.each([
    ['too large', /^Nothing was changed: the input of bank.debit has more than 2000000 bytes of JSON/],
    ['too deep', /^Nothing was changed: the input of bank.debit is nested more than 200 levels deep/],
  ])('undoes what was done before: one that is %s', async (input, message) => {
    const begun = await fixture.begin({ workflow: 'asksForTooMuch', input });
    const report = await begun.report();
    expect(report).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'refused', branch: 'bank.debit', message: expect.stringMatching(message) },
    });
    expect(fates(report)).toEqual(['shop.reserve: done, compensated', 'bank.debit: not-done, not-needed']);
    expect(await begun.taskFailure()).toBeUndefined();
  });

  it('is held after the pivot, where a person is the only way on', async () => {
    const begun = await fixture.begin({ workflow: 'asksForTooMuch', input: 'too large, after the pivot' });
    await expect.poll(() => begun.outcome(), { timeout: 5_000 }).toBe('held');
    await begun.handle.resolve({ step: 'bank.debit', result: 'by hand', reason: 'did it in parts', by: 'ann' });
    expect(await begun.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('an error that is no Temporal failure', () => {
  it('undoes the saga where its workflow fails with it', async () => {
    const begun = await fixture.begin({ workflow: 'failsWithTypeErrors' });
    expect(await begun.report()).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'failed', message: 'Cannot read properties of null' },
    });
    expect(begun.asked()).toEqual(['shop.reserve', 'undo shop.reserve']);
  });

  it('undoes the saga where it is nothing but the failures of several steps', async () => {
    const begun = await fixture.begin({
      workflow: 'takesAny',
      answers: { 'bank.debit': refusal, 'bank.credit': refusal },
    });
    const report = await begun.report();
    expect(report).toMatchObject({
      outcome: 'compensated',
      cause: { kind: 'refused', branch: 'bank.debit', message: 'Not today. Not today.' },
    });
    expect(fates(report)[0]).toBe('shop.reserve: done, compensated');
    expect(await begun.taskFailure()).toBeUndefined();
  });
});

describe('a body that fails after the pivot', () => {
  it('leaves what is done in effect, and says that the outcome is mixed', async () => {
    const begun = await fixture.begin({ workflow: 'failsAfterPivot' });
    const error: unknown = await begun.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionMixed);
    expect(error).toMatchObject({
      report: { outcome: 'mixed', cause: { kind: 'failed', message: 'Nobody wants it any more.' } },
    });
    expect(begun.asked()).toEqual(['shop.reserve', 'bank.debit']);
  });
});

describe('a bug in a free-form step', () => {
  it('fails the workflow task, even where a person would be asked about an unknown outcome: mended code goes on', async () => {
    const begun = await fixture.begin({ workflow: 'misspells' });
    await expect.poll(() => begun.taskFailure()).toBe('call.inptu is undefined');
    expect(await begun.handle.status()).toBe('RUNNING');
    expect(begun.asked()).toEqual(['shop.reserve']);
    await begun.workflow.terminate();
  });
});

describe('a bug in the body', () => {
  it('is told to nobody around the saga, who would go on although half is done', async () => {
    const begun = await fixture.begin({ workflow: 'shrugs' });
    await expect.poll(() => begun.taskFailure()).toBe('A bug.');
    expect(await begun.handle.status()).toBe('RUNNING');
    expect(begun.asked()).toEqual(['shop.reserve']);
    await begun.workflow.terminate();
  });
});

describe('a saga without end', () => {
  it('is stopped at 500 steps', async () => {
    const [fits, tooLong] = await Promise.all([
      fixture.begin({ workflow: 'longSaga', input: 500 }),
      fixture.begin({ workflow: 'longSaga', input: 501 }),
    ]);
    expect(await fits.handle.result()).toBe(500);
    await expect.poll(() => tooLong.taskFailure()).toMatch(/at most 500 steps/);
    await tooLong.workflow.terminate();
  });
});
