/** A saga that is written in a way that could lose track of an effect: an error in a test, and made the best of in production. */
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workflowBundleOptions } from '../../src/worker';
import type { SagaOptions } from '../../src/workflow';
import { bundleWorkflows } from '../bundle';
import type { Move } from './workflows';
import { pivot, retriable, SagaFixture, sagaFixture, settledReport, step, together, WORKFLOWS } from './fixture';

const AFTER_PIVOT = [pivot('bank.debit'), step('mail.send')];
const SECOND_PIVOT = [pivot('bank.debit'), pivot('bank.credit')];
const BEFORE_PIVOT = [step('shop.reserve'), retriable('mail.send'), pivot('bank.debit')];
const SAME_ID = [step('bank.debit', { id: 'move' }), step('bank.credit', { id: 'move' })];

/** Waits until a workflow task has failed; what it failed with. */
async function definitionError(
  fixture: SagaFixture,
  moves: readonly Move[],
  options: SagaOptions = {},
): Promise<string> {
  const told = await fixture.begin({ moves, options });
  const failure = async (): Promise<string | null | undefined> =>
    (await fixture.history(told)).find((event) => event.workflowTaskFailedEventAttributes)
      ?.workflowTaskFailedEventAttributes?.failure?.message;
  await expect.poll(failure, { timeout: 10_000 }).toBeTypeOf('string');
  const message = await failure();
  expect(await told.handle.status()).toBe('RUNNING');
  expect(told.effects().filter((line) => line.startsWith('undo '))).toEqual([]);
  await fixture.abandon(told);
  return message ?? '';
}

describe('in a test', () => {
  const fixture = sagaFixture();

  it.each([
    ['a compensatable step after the pivot', AFTER_PIVOT, 'mail.send is a compensatable step after the pivot'],
    ['a second pivot', SECOND_PIVOT, 'bank.credit is a second pivot'],
    ['two pivots side by side', [together(...SECOND_PIVOT)], 'bank.credit is a second pivot'],
    ['a retriable step before the pivot', BEFORE_PIVOT, 'mail.send is a retriable step before the pivot'],
    [
      'no time for a step',
      [step('bank.debit', { timeout: 0 })],
      'timeout of bank.debit is 0. Use a duration above zero',
    ],
    [
      'a unit that nobody knows',
      [step('bank.debit', { attemptTimeout: '5 lightyears' as never })],
      'attemptTimeout of bank.debit is "5 lightyears". Use',
    ],
    ['ages for a step', [step('bank.debit', { timeout: 1e12 })], 'of 30 days at most'],
    [
      'a retry policy that is none',
      [step('bank.debit', { retry: { maximumAttempts: -1 } })],
      'retry of bank.debit is no policy: ',
    ],
    [
      'retries without a pause',
      [step('bank.debit', { retry: { initialInterval: 0 } })],
      'retry of bank.debit is no policy: ',
    ],
    ['two steps with one id', SAME_ID, 'Two steps have the id move'],
  ])('%s fails the workflow task, and with it nothing is lost', async (_, moves, message) => {
    expect(await definitionError(fixture, moves)).toContain(message);
  });

  it.each<[string, SagaOptions, string]>([
    ['no time at all', { timeout: 0 }, 'timeout of the saga is 0. Use a duration above zero and of 30 days at most'],
    [
      'a time in a unit that nobody knows',
      { timeout: '5 lightyears' as never },
      'timeout of the saga is "5 lightyears"',
    ],
    ['31 days', { timeout: '31 days' }, 'timeout of the saga is "31 days". Use'],
    ['less than no patience', { holdAfter: -1 }, 'holdAfter of the saga is -1. Use'],
    ['ages of patience', { holdAfter: 1e12 }, 'holdAfter of the saga is 1000000000000. Use'],
  ])('%s fails the workflow task before anybody is asked', async (_, options, message) => {
    expect(await definitionError(fixture, [step('bank.debit')], options)).toContain(`Nothing was started: ${message}`);
  });

  it('what a version before took is not refused to a saga that runs already', async () => {
    const options = { timeout: '30 days', holdAfter: '30 days' } as const;
    const told = await fixture.begin({ moves: [step('bank.debit')], options });
    expect(await settledReport(told)).toMatchObject({ outcome: 'committed' });
    const history = await fixture.environment.temporal.client.workflow.getHandle(told.id).fetchHistory();
    const [given] = history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const longer = Buffer.from(given?.data ?? [])
      .toString()
      .replaceAll('30 days', '45 days');
    Object.assign(given ?? {}, { data: Buffer.from(longer) });
    expect(longer).toContain('"timeout":"45 days"');
    await Worker.runReplayHistory({ workflowBundle: await bundleWorkflows(WORKFLOWS) }, history, told.id);
  });
});

describe('in production', () => {
  const fixture = new SagaFixture();
  const made = { workflowsPath: WORKFLOWS, ...workflowBundleOptions() };
  beforeAll(async () => fixture.start(await bundleWorkflowCode(made)));
  afterAll(() => fixture.stop());

  it('nothing is begun where the bundle lacks what keeps a workflow from ending first', async () => {
    const told = await fixture.begin({ moves: [step('bank.debit')] });
    await settledReport(told);
    const history = await fixture.environment.temporal.client.workflow.getHandle(told.id).fetchHistory();
    const workflowBundle = await bundleWorkflowCode({ ...made, workflowInterceptorModules: [] });
    await expect(Worker.runReplayHistory({ workflowBundle }, history, told.id)).rejects.toThrow(
      'Nothing was started: this bundle of workflows lacks what keeps a workflow from ending before its transactions have.',
    );
  });

  it.each([
    ['a compensatable step', AFTER_PIVOT, 'mail.send'],
    ['a second pivot', SECOND_PIVOT, 'bank.credit'],
  ])('%s after the pivot is retried until it succeeds, because there is no way back', async (_, moves, misplaced) => {
    const told = await fixture.begin({ moves, behaviours: { [misplaced]: ['fail for good', 'work'] } });
    await expect.poll(async () => (await told.handle.reports())[0]?.outcome).toBe('held');
    await told.handle.retryStep({ step: misplaced, reason: 'mended', by: 'ann' });
    expect(await settledReport(told)).toMatchObject({
      outcome: 'committed',
      steps: [{ role: 'pivot' }, { branch: misplaced, role: 'retriable' }],
    });
  });

  it('a retriable step before the pivot is an error all the same: nothing has been decided yet', async () => {
    expect(await definitionError(fixture, BEFORE_PIVOT)).toContain('mail.send is a retriable step before the pivot');
  });
});
