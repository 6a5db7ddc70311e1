/** A cancellation at every point of a saga's life: all or nothing each time, and no compensation overtakes its action. */
import { resolve } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SettledSagaReport } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import { pause, pivot, retriable, step } from '../saga/fixture';
import type { Move } from '../saga/workflows';
import { bundleWorkflows } from '../bundle';
import { surviveStandingClock } from '../standing-clock';
import { WatchedWorld } from './watched';
import type { Place } from './watched';

const watched = new WatchedWorld();
let environment: TransactionTestEnvironment;
let begun = 0;

const start = async (): Promise<void> => {
  environment = await TransactionTestEnvironment.start({
    workflows: await bundleWorkflows(resolve(__dirname, '../../dist/test/workflow/workflows.js')),
    participants: { svc: watched.participant(['first', 'second', 'third', 'fourth']) },
  });
};
const stop = (): Promise<void> => environment.stop();
beforeAll(start);
afterAll(stop);
surviveStandingClock({ start, stop });

/** Waits until the workflow has been told of the cancellation, and has said what it does about it. */
async function cancelled(workflow: WorkflowHandle): Promise<void> {
  await workflow.cancel();
  await expect
    .poll(async () => {
      const { events = [] } = await workflow.fetchHistory();
      const requested = events?.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes) ?? -1;
      return requested >= 0 && events?.slice(requested).some((event) => event.workflowTaskCompletedEventAttributes);
    })
    .toBe(true);
}

/** Runs the moves and cancels them at a place: at an activity, or in the pause after a step. */
async function cancelAt(place: Place, moves: readonly Move[], refused?: string) {
  const id = `cancelled-${++begun}`;
  if (refused !== undefined) watched.world.script(id, refused, { execute: () => 'refuse' });
  const workflow = environment.temporal.client.workflow.getHandle(id);
  let met = false;
  const meet = async (): Promise<void> => {
    met = true;
    await cancelled(workflow);
  };
  const [, pausing, branch] = /^pause (\d), after (.*)$/.exec(place) ?? [];
  if (pausing === undefined) watched.meet(id, place, meet);
  const handle = await environment.transactions.start('settled', { id, input: { moves, options: {} } });
  if (pausing !== undefined) {
    for (let passed = 1; passed < Number(pausing); passed++) await environment.sleep('61 minutes');
    const isDone = async (): Promise<boolean> =>
      (await handle.reports<'saga'>()).some(({ steps }) =>
        steps.some((each) => each.branch === branch && each.fate.kind === 'done'),
      );
    await expect.poll(isDone).toBe(true);
    await meet();
  }
  const report = (await handle.result()) as SettledSagaReport<unknown>; // Cast: the workflow settles.
  expect(met, `${place} was passed`).toBe(true);
  return { report, story: watched.world.story(id), inEffect: watched.world.inEffect(id) };
}

const HOUR = pause('1 hour');

describe('a saga that is cancelled', () => {
  const moves = [step('svc.first'), HOUR, step('svc.second'), HOUR, pivot('svc.third'), HOUR, retriable('svc.fourth')];

  it.each([
    ['before svc.first', ['+svc.first', '-svc.first']],
    ['after svc.first', ['+svc.first', '-svc.first']],
    ['pause 1, after svc.first', ['+svc.first', '-svc.first']],
    ['before svc.second', ['+svc.first', '+svc.second', '-svc.second', '-svc.first']],
    ['after svc.second', ['+svc.first', '+svc.second', '-svc.second', '-svc.first']],
    ['pause 2, after svc.second', ['+svc.first', '+svc.second', '-svc.second', '-svc.first']],
  ])('%s undoes what it has done', async (place, expected) => {
    const { report, story, inEffect } = await cancelAt(place, moves);
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind: 'cancelled' } });
    expect(story).toEqual(expected);
    expect(inEffect).toEqual([]);
  });

  it.each(['before svc.third', 'after svc.third', 'pause 3, after svc.third', 'before svc.fourth', 'after svc.fourth'])(
    '%s, which is at the pivot or later, commits',
    async (place) => {
      const { report, inEffect } = await cancelAt(place, moves);
      expect(report.outcome).toBe('committed');
      expect(inEffect).toEqual(['svc.first', 'svc.second', 'svc.third', 'svc.fourth']);
    },
  );
});

describe('a saga that is being undone and is cancelled', () => {
  const moves = [step('svc.first'), step('svc.second'), step('svc.third')];
  const STORY = ['+svc.first', '+svc.second', '-svc.second', '-svc.first'];

  it.each([
    ['before svc.third', 'refused'],
    ['after svc.third', 'refused'],
    ['before undo svc.second', 'refused'],
    ['after undo svc.second', 'refused'],
    ['before undo svc.first', 'refused'],
    ['after undo svc.first', 'refused'],
  ])('%s is undone to the end, and keeps its cause', async (place, kind) => {
    const { report, story } = await cancelAt(place, moves, 'svc.third');
    expect(report).toMatchObject({ outcome: 'compensated', cause: { kind } });
    expect(story).toEqual(STORY);
  });
});

describe('in none of these', () => {
  it('a compensation began while its action was running', () => {
    expect(begun).toBe(17);
    expect(watched.overtaken).toEqual([]);
  });
});
