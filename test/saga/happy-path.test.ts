/** A saga that goes well: its value, its report, and how little of it there is in the history. */
import { defaultPayloadConverter } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { pause, pivot, retriable, sagaFixture, step, together, typeOf } from './fixture';

const fixture = sagaFixture();

const TASK = ['workflowTaskScheduled', 'workflowTaskStarted', 'workflowTaskCompleted'];
const ACTIVITY = ['activityTaskScheduled', 'activityTaskStarted', 'activityTaskCompleted'];

describe('a saga that goes well', () => {
  it('resolves with the value of its body', async () => {
    const told = await fixture.tell({ moves: [step('shop.reserve'), step('bank.debit')] });
    expect(await told.handle.result()).toEqual(['shop.reserve by attempt 1', 'bank.debit by attempt 1']);
    expect(told.effects()).toEqual(['shop.reserve', 'bank.debit']);
    expect(await told.handle.status()).toBe('COMPLETED');
  });

  it('settles with a report of every step', async () => {
    const { id, report } = await fixture.settle({
      moves: [step('shop.reserve'), pivot('bank.debit'), retriable('mail.send')],
    });
    const done = { fate: { kind: 'done', answer: 'applied' }, compensation: { kind: 'not-needed' } };
    expect(report).toEqual({
      id,
      protocol: 'saga',
      outcome: 'committed',
      result: ['shop.reserve by attempt 1', 'bank.debit by attempt 1', 'mail.send by attempt 1'],
      steps: [
        { branch: 'shop.reserve', role: 'compensatable', participant: 'shop', operation: 'reserve', ...done },
        { branch: 'bank.debit', role: 'pivot', participant: 'bank', operation: 'debit', ...done },
        { branch: 'mail.send', role: 'retriable', participant: 'mail', operation: 'send', ...done },
      ],
    });
  });

  it('costs nothing beyond its steps: 17 events for two of them', async () => {
    const told = await fixture.tell({ moves: [step('shop.reserve'), step('bank.debit')] });
    await told.handle.result();
    expect((await fixture.history(told)).map(typeOf)).toEqual([
      'workflowExecutionStarted',
      ...TASK,
      ...ACTIVITY,
      ...TASK,
      ...ACTIVITY,
      ...TASK,
      'workflowExecutionCompleted',
    ]);
  });

  it('names each activity for the Web UI, in its own words where it is given some', async () => {
    const told = await fixture.tell({
      moves: [step('shop.reserve'), step('bank.debit', { summary: 'Take the deposit' })],
    });
    await told.handle.result();
    const summaries = (await fixture.history(told))
      .filter((event) => typeOf(event) === 'activityTaskScheduled')
      .map(({ userMetadata }) => userMetadata?.summary && defaultPayloadConverter.fromPayload(userMetadata.summary));
    expect(summaries).toEqual(['at shop', 'Take the deposit']);
  });

  it('tells while it runs how far it is, in the Current Details and the report', async () => {
    const told = await fixture.begin({
      moves: [
        together(step('shop.reserve'), step('bank.debit', { id: 'deposit' })),
        pause('1 hour'),
        step('mail.send'),
      ],
    });
    await told.seen('shop.reserve ends');
    await told.seen('deposit ends');
    await expect
      .poll(async () =>
        (await told.handle.reports<'saga'>()).flatMap(({ steps }) => steps.map(({ fate }) => fate.kind)),
      )
      .toEqual(['done', 'done']);
    const details = await fixture.currentDetails(told);
    expect(details).toContain(`**Saga ${told.id}: running**`);
    expect(details).toContain('| shop.reserve | done | armed |');
    expect(details).toContain('| deposit | done | armed |');
    await told.handle.result();
    expect(await fixture.currentDetails(told)).toContain(`**Saga ${told.id}: committed**`);
    expect(await fixture.currentDetails(told)).toContain('| mail.send | done | – |');
    expect(await told.handle.reports<'saga'>()).toMatchObject([{ id: told.id, outcome: 'committed' }]);
  });

  it('numbers an operation that it runs several times', async () => {
    const { effects } = await fixture.settle({
      moves: [step('bank.debit'), step('bank.debit'), step('bank.debit', { id: 'tip' }), step('bank.debit')],
    });
    expect(effects()).toEqual(['bank.debit', 'bank.debit-2', 'tip', 'bank.debit-3']);
  });

  it('gets over failures of its participants on the way', async () => {
    const { report, log } = await fixture.settle({
      moves: [step('shop.reserve')],
      behaviours: { 'shop.reserve': ['fail', 'fail', 'work'] },
    });
    expect(report).toMatchObject({ outcome: 'committed', result: ['shop.reserve by attempt 3'] });
    expect(log().filter((line) => line === 'shop.reserve begins')).toHaveLength(3);
  });
});
