/** What a participant is asked, how hard, and what the Web UI shows of each question. */
import type { Payload } from '@temporalio/common';
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { canonicalJson } from '../../src/protocol';
import { pause, pivot, retriable, step } from '../saga/fixture';
import type { HistoryEvent } from './fixture';
import { puppetFixture, valueOf } from './fixture';
import { lost, refusal } from './puppets';

const fixture = puppetFixture();

/** Two steps that are undone, one of them settled by a question, and locks that a person's ruling has left. */
const moves = [
  step('shop.reserve', { onUnknown: 'query' }),
  step('bank.debit', { summary: 'Take the deposit' }),
  step('mail.send'),
];
const INPUT = { moves, options: { timeout: '1 day' } };
let id: string;
let events: readonly HistoryEvent[];

beforeAll(async () => {
  const begun = await fixture.begin({
    input: INPUT,
    answers: {
      'shop.reserve': lost,
      'ask shop.reserve': { answer: 'applied', result: 'kept', locks: true },
      'undo shop.reserve': { answer: 'nothing-to-compensate' },
      'mail.send': refusal,
    },
  });
  // It may have left locks, whatever the person did.
  await vi.waitUntil(async () => (await begun.outcome()) === 'held', { timeout: 20_000, interval: 100 });
  await begun.handle.resolve({ step: 'shop.reserve', reason: 'undone by hand', by: 'ann' });
  await begun.report();
  id = begun.id;
  events = await begun.history();
});

const scheduled = () => events.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
const namesOf = (event: HistoryEvent) => valueOf(event.userMetadata?.summary);

describe('each question to a participant', () => {
  it('goes to the queue of its name, under the name of the operation', () => {
    expect(scheduled().map(({ taskQueue, activityType }) => `${taskQueue?.name} ${activityType?.name}`)).toEqual([
      'shop reserve',
      'shop reserve.query',
      'bank debit',
      'mail send',
      'bank debit.compensate',
      'shop reserve.compensate',
      'shop releaseLocks',
    ]);
  });

  it('holds the transaction, the branch, the input, and the hash under which the client remembers the whole', () => {
    const request = createHash('sha256').update(canonicalJson(INPUT)).digest('hex');
    const asked = scheduled().map(({ input }) => (input?.payloads ?? []).map(valueOf));
    const about = (branch: string) => [{ transaction: id, branch, input: { asked: branch }, request }];
    expect(asked).toEqual([
      about('shop.reserve'),
      about('shop.reserve'),
      about('bank.debit'),
      about('mail.send'),
      about('bank.debit'),
      about('shop.reserve'),
      [{ transaction: id }],
    ]);
  });

  it('has one line for the Web UI, and so has every timer', () => {
    const activities = events.filter((event) => event.activityTaskScheduledEventAttributes).map(namesOf);
    expect(activities).toEqual(['at shop', 'at shop', 'Take the deposit', 'at mail', 'at bank', 'at shop', 'at shop']);
    expect(events.filter((event) => event.timerStartedEventAttributes).map(namesOf)).toEqual(['saga timeout']);
  });

  it('notices a killed worker within seconds', () => {
    for (const { heartbeatTimeout, startToCloseTimeout } of scheduled()) {
      expect(Number(heartbeatTimeout?.seconds)).toBe(5);
      expect(Number(startToCloseTimeout?.seconds)).toBe(10);
    }
  });

  it('has no limit of attempts, and a limit of time after which something else is done', () => {
    const efforts = scheduled().map(({ retryPolicy, scheduleToCloseTimeout }) => [
      retryPolicy?.maximumAttempts ?? 0,
      Number(scheduleToCloseTimeout?.seconds ?? 0),
    ]);
    const [step, asking, undoing] = [120, 60, 60];
    expect(efforts.slice(0, 6)).toEqual([step, asking, step, step, undoing, undoing].map((seconds) => [0, seconds]));
  });
});

describe('the workflow', () => {
  it('has no limit of time that could close it before everything is settled', () => {
    const started = events[0]?.workflowExecutionStartedEventAttributes;
    const limits = [started?.workflowRunTimeout, started?.workflowExecutionTimeout].map((limit) =>
      Number(limit?.seconds ?? 0),
    );
    // The test server writes ten years for none.
    for (const seconds of limits) expect([0, 10 * 365 * 24 * 60 * 60]).toContain(seconds);
  });

  it('that is cancelled writes its search attributes once for each change', async () => {
    const begun = await fixture.begin({ moves: [step('shop.reserve'), step('bank.debit'), pause('1 day')] });
    await expect.poll(async () => (await begun.handle.reports<'saga'>())[0]?.steps[1]?.fate.kind).toBe('done');
    await begun.handle.cancel();
    await begun.report();
    const written = (await begun.history())
      .flatMap((event) => event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields ?? [])
      .map((fields) => valueOf((fields as Readonly<Record<string, Payload>>)['TxnStatus']));
    expect(written).toEqual(['compensating', 'compensated']);
  });

  it('that commits writes no search attributes, whatever its steps are', async () => {
    const begun = await fixture.begin({
      moves: [step('shop.reserve'), pivot('bank.debit'), pause('1 day'), retriable('mail.send')],
    });
    await begun.report();
    const upserts = (await begun.history()).filter((event) => event.upsertWorkflowSearchAttributesEventAttributes);
    expect(upserts).toEqual([]);
  });
});
