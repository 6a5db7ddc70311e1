/** Several transactions in one workflow: inside, after and beside one another. */
import { setTimeout } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RulingRefused, TransactionCompensated } from '../../src/client';
import type { SettledSagaReport } from '../../src/client';
import type { TransactionTestEnvironment } from '../../src/testing';
import { bundleWorkflows } from '../bundle';
import { compiledWorkflows, startEnvironment } from './environment';
import { Notes } from './notes';
import { failing, ScriptedWorld } from './scripted';
import type * as workflows from './workflows';

const world = new ScriptedWorld();
const notes = new Notes();
let env: TransactionTestEnvironment;

beforeAll(async () => {
  env = await startEnvironment('saga-more', {
    svc: world.participant(['first', 'second', 'third']),
    notes: notes.activities,
  });
});
afterAll(() => env?.stop());

const run = <R>(type: keyof typeof workflows, id: string, input: unknown = null): Promise<R> =>
  env.transactions.execute<unknown, R>(type, { id, input });

async function compensatedBy(running: Promise<unknown>): Promise<TransactionCompensated> {
  const error = await running.then(
    (value) => expect.fail(`It committed with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TransactionCompensated);
  return error as TransactionCompensated;
}

describe('a saga inside a step of another', () => {
  it('commits under an id below that of the outer one', async () => {
    expect(await run('sagaInsideSaga', 'nest-ok')).toBe('nest-ok/1/1:svc.second');
    expect(world.story('nest-ok')).toEqual(['+svc.first', '+svc.third']);
    expect(world.story('nest-ok/1/1')).toEqual(['+svc.first', '+svc.second']);
  });

  it('counts as a step that did nothing once it has undone itself', async () => {
    world.script('nest-inner/1/1', 'svc.second', { execute: () => 'refuse' });
    const { report } = await compensatedBy(run('sagaInsideSaga', 'nest-inner'));
    expect(world.story('nest-inner/1/1')).toEqual(['+svc.first', '-svc.first']);
    expect(world.story('nest-inner')).toEqual(['+svc.first', '-svc.first']);
    expect(notes.has('nest-inner: inner undone')).toBe(false);
    expect(report?.steps).toMatchObject([
      { branch: 'svc.first', compensation: { kind: 'compensated' } },
      {
        branch: 'inner',
        fate: { kind: 'not-done', refusal: { code: 'compensated' } },
        compensation: { kind: 'not-needed' },
      },
    ]);
  });

  it('is undone by its own compensation when it was done and a later step of the outer one fails', async () => {
    world.script('nest-outer', 'svc.third', { execute: () => 'refuse' });
    await compensatedBy(run('sagaInsideSaga', 'nest-outer'));
    expect(notes.has('nest-outer: inner undone')).toBe(true);
    expect(world.story('nest-outer/1/1')).toEqual(['+svc.first', '+svc.second']);
    expect(world.inEffect('nest-outer')).toEqual([]);
  });

  it('may fail without the outer one failing, when the body has another way', async () => {
    world.script('nest-plan-b/1/1', 'svc.first', { execute: () => 'refuse' });
    expect(await run('innerFailureHandled', 'nest-plan-b')).toBe('nest-plan-b:svc.third');
    expect(world.inEffect('nest-plan-b/1/1')).toEqual([]);
  });
});

describe('transactions at any depth and one after another', () => {
  it('never share an id: whatever each of them does takes effect', async () => {
    const ids = await run<string[]>('forest', 'forest');
    expect(ids).toEqual(
      ['', '/1/1', '/1/1/1', '/1/1/2', '/1/2', '/1/2/1', '/1/2/2']
        .concat(['/2', '/2/1', '/2/1/1', '/2/1/2', '/2/2', '/2/2/1', '/2/2/2'])
        .map((place) => `forest${place}`),
    );
    expect(ids.map((id) => world.story(id))).toEqual(ids.map(() => ['+svc.first']));
  });
});

describe('sagas one after another in a workflow', () => {
  it('have ids and branches of their own', async () => {
    const reports = await run<SettledSagaReport<string>[]>('oneAfterAnother', 'serial');
    expect(reports.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['serial', 'committed'],
      ['serial/2', 'committed'],
    ]);
    expect([world.inEffect('serial'), world.inEffect('serial/2')]).toEqual([['svc.first'], ['svc.first']]);
  });

  it('do not undo each other', async () => {
    world.script('serial-2nd/2', 'svc.first', { execute: () => 'refuse' });
    const reports = await run<SettledSagaReport<string>[]>('oneAfterAnother', 'serial-2nd');
    expect(reports.map(({ outcome }) => outcome)).toEqual(['committed', 'compensated']);
    expect(world.inEffect('serial-2nd')).toEqual(['svc.first']);
  });

  it('take the ids that they are given', async () => {
    expect(await run('namedTransactions', 'named', ['invoice-7', 'invoice-8'])).toEqual([
      'invoice-7:svc.first',
      'invoice-8:svc.first',
    ]);
    expect(world.story('named')).toEqual([]);
  });

  it('show every report, the first one first', async () => {
    await run('oneAfterAnother', 'reports');
    const reports = await env.transactions.handle('reports').reports<'saga'>();
    expect(reports.map(({ id, outcome, steps }) => [id, outcome, steps.map(({ branch }) => branch)])).toEqual([
      ['reports', 'committed', ['svc.first']],
      ['reports/2', 'committed', ['svc.first']],
    ]);
  });
});

describe('sagas side by side in a workflow', () => {
  it('are told apart by their ids, and one is undone alone', async () => {
    world.script('beside/2', 'svc.second', { execute: () => 'refuse' });
    const reports = await run<SettledSagaReport<string>[]>('sideBySide', 'beside');
    expect(reports.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['beside', 'committed'],
      ['beside/2', 'compensated'],
    ]);
    expect([world.inEffect('beside'), world.inEffect('beside/2')]).toEqual([['svc.first', 'svc.second'], []]);
  });

  it('need the transaction in a ruling where both hold a step of that name', async () => {
    for (const id of ['left', 'right']) {
      world.script(id, 'svc.first', { compensate: () => 'break' });
      world.script(id, 'svc.second', { execute: () => 'refuse' });
    }
    const handle = await env.transactions.start('bothHeld', { id: 'both-held', input: null });
    await env.sleep('2 minutes');
    expect((await handle.reports<'saga'>()).map(({ id, outcome }) => [id, outcome])).toEqual([
      ['left', 'held'],
      ['right', 'held'],
    ]);

    const ruling = { step: 'svc.first', reason: 'undone by hand', by: 'kim' };
    await expect(handle.resolve(ruling)).rejects.toThrow(RulingRefused);
    await expect(handle.resolve(ruling)).rejects.toThrow(/Add "transaction": one of (left, right|right, left)/);
    await expect(handle.resolve({ ...ruling, transaction: 'middle' })).rejects.toThrow(/is not held/);
    await handle.resolve({ ...ruling, transaction: 'right' });
    await handle.resolve(ruling); // Only one is left, so it need not be named any more.

    const reports = (await handle.result()) as SettledSagaReport<string>[];
    expect(reports.map(({ outcome, steps }) => [outcome, steps[0]?.compensation])).toEqual([
      ['compensated', { kind: 'resolved', by: 'kim', reason: 'undone by hand' }],
      ['compensated', { kind: 'resolved', by: 'kim', reason: 'undone by hand' }],
    ]);
  });
});

describe('a saga that is open when whoever has begun it ends', () => {
  it('is turned back before the workflow fails, which fails with its own error', async () => {
    world.script('all', 'svc.first', { execute: () => 'refuse' });
    const { report } = await compensatedBy(run('allOrNothing', 'all'));
    expect(report?.id).toBe('all');
    expect(world.story('all/2')).toEqual(['+svc.first', '-svc.first']);
  });

  it('is turned back, where nobody has waited for it at all', async () => {
    await expect(run('failsBeside', 'fails-beside')).rejects.toMatchObject({
      cause: { type: 'Elsewhere', message: 'It went wrong elsewhere.' },
    });
    expect(world.story('fails-beside')).toEqual(['+svc.first', '-svc.first']);
  });

  it('comes to its end before the workflow completes', async () => {
    expect(await run('raced', 'raced')).toBe('late');
    expect(world.inEffect('raced')).toEqual(['svc.first', 'svc.second']);
  });

  it('comes to its end before the workflow continues as new', async () => {
    expect(await run('continuesBeside', 'continues-beside', 1)).toBe('round 2');
    expect(world.inEffect('beside-as-new')).toEqual(['svc.first', 'svc.second']);
  });

  it('is turned back by a cancellation that comes while it is waited for', async () => {
    const handle = await env.transactions.start('raced', { id: 'raced-cancelled', input: null });
    await env.sleep('1 minute');
    await handle.cancel();
    expect(await handle.result()).toBe('late');
    expect(world.story('raced-cancelled')).toEqual(['+svc.first', '-svc.first']);
  });

  it('keeps the workflow open as long as it is held', async () => {
    world.script('raced-held', 'svc.first', { compensate: () => 'break' });
    world.script('raced-held', 'svc.second', { execute: () => 'refuse' });
    const handle = await env.transactions.start('raced', { id: 'raced-held', input: null });
    await env.sleep('6 days');
    expect((await handle.reports<'saga'>()).map(({ outcome }) => outcome)).toEqual(['held']);
    await handle.resolve({ step: 'svc.first', reason: 'undone by hand', by: 'kim' });
    expect(await handle.result()).toBe('late');
  });

  it('is turned back before the saga around it is undone', async () => {
    world.script('all-inside/1/1', 'svc.first', { execute: () => 'refuse' });
    world.script('all-inside/1/2', 'svc.first', { compensate: failing(2) });
    const { report } = await compensatedBy(run('allOrNothingInside', 'all-inside'));
    expect(report?.id).toBe('all-inside');
    const story = world.journal.filter(({ transaction }) => transaction.startsWith('all-inside'));
    expect(story.map(({ transaction, branch, what }) => `${transaction} ${branch} ${what}`)).toEqual([
      'all-inside svc.third applied',
      'all-inside/1/2 svc.first applied',
      'all-inside/1/2 svc.first undone',
      'all-inside svc.third undone',
    ]);
  });

  it('comes to its end before the saga around it commits', async () => {
    expect(await run('racedInside', 'raced-inside')).toBe('raced-inside:svc.third');
    expect(world.inEffect('raced-inside/1/1')).toEqual(['svc.first', 'svc.second']);
  });
});

describe('a saga inside a step that is tried again', () => {
  const effects = (id: string): string[] =>
    world.journal.flatMap(({ transaction, branch, what }) =>
      transaction.startsWith(`${id}/`) ? [`${transaction.slice(id.length)} ${branch} ${what}`] : [],
    );

  it('pays once, under the id that it has had', async () => {
    notes.faults('put paid', ['fail', 'fail']);
    await run('paysAfterPivot', 'pays-again', 'paid');
    expect(notes.has('paid')).toBe(true);
    expect(effects('pays-again')).toEqual(['/1/1 svc.second applied']);
  });

  it('pays once, where a person has the step tried again', async () => {
    notes.faults('put asked', ['break']);
    const handle = await env.transactions.start('paysAsked', { id: 'pays-asked', input: 'asked' });
    await env.sleep('1 minute');
    await handle.retryStep({ step: 'pay', reason: 'mended', by: 'kim' });
    await handle.result();
    expect(effects('pays-asked')).toEqual(['/1/1 svc.second applied']);
  });

  it('pays back once', async () => {
    world.script('pays-back', 'svc.first', { execute: () => 'refuse' });
    notes.faults('remove back', ['fail', 'fail']);
    await compensatedBy(run('paysBack', 'pays-back', 'back'));
    expect(effects('pays-back')).toEqual(['/1/1 svc.second applied', '/1/2 svc.third applied']);
  });

  it('takes a new id once it has undone itself, which is final', async () => {
    world.script('pays-anew/1/1', 'svc.second', { execute: () => 'refuse' });
    const handle = await env.transactions.start('paysAfterPivot', { id: 'pays-anew', input: 'anew' });
    await env.sleep('1 minute');
    await handle.retryStep({ step: 'pay', reason: 'filled up', by: 'kim' });
    await handle.result();
    expect(effects('pays-anew')).toEqual(['/1/2 svc.second applied']);
  });
});

describe('two sagas of one id in a workflow', () => {
  it('have one effect, and the second one takes nothing back that the first one has committed', async () => {
    world.script('same-id', 'svc.second', { execute: () => 'refuse' });
    const handle = await env.transactions.start('twiceNamed', { id: 'twice-named', input: 'same-id' });
    await env.sleep('1 minute');
    const [{ outcome, steps } = { outcome: undefined, steps: [] }] = await handle.reports<'saga'>();
    expect(outcome).toBe('held');
    expect(steps.map(({ compensation }) => compensation)).toMatchObject([
      { kind: 'held', cause: expect.stringContaining('same-id was committed before in this workflow') },
      { kind: 'compensated' },
      { kind: 'not-needed' },
    ]);
    await handle.skipStep({ step: 'svc.first', reason: 'It was committed.', by: 'kim' });
    const reports = (await handle.result()) as SettledSagaReport<string>[];
    expect(reports.map((report) => report.outcome)).toEqual(['committed', 'mixed']);
    expect(world.story('same-id')).toEqual(['+svc.first', '+svc.third', '-svc.third']);
  });
});

describe('sagas of messages that came before anybody listened', () => {
  const ALL = ['compensated', 'committed', 'committed', 'committed'];

  it('stand beside one another, and share no scope: of signals', async () => {
    const workflow = await env.temporal.client.workflow.start('sagaForEachSignal', {
      workflowId: 'signals',
      taskQueue: 'transactions',
    });
    for (const _ of ALL) await workflow.signal('fill');
    expect(await workflow.result()).toEqual(ALL.map((outcome, i) => `signals${i === 0 ? '' : `/${i + 1}`} ${outcome}`));
  });

  it('stand beside one another, and share no scope: of updates', async () => {
    const taskQueue = 'late';
    const workflow = await env.temporal.client.workflow.start('sagaForEachUpdate', {
      workflowId: 'updates',
      taskQueue,
    });
    const updates = ALL.slice(1).map(() => workflow.executeUpdate('fill'));
    await setTimeout(1_000); // Nobody tells when they have arrived.
    const worker = await Worker.create({
      connection: env.temporal.nativeConnection,
      taskQueue,
      workflowBundle: await bundleWorkflows(compiledWorkflows('saga-more')),
    });
    await worker.runUntil(async () => {
      await Promise.all(updates);
      expect(await workflow.result()).toEqual(
        ALL.map((outcome, i) => `updates${i === 0 ? '' : `/${i + 1}`} ${outcome}`),
      );
    });
  });
});

describe('continuing as new', () => {
  it('is refused inside a saga, whose compensations would be lost: the task fails, the transaction waits', async () => {
    const handle = await env.transactions.start('continuesAsNew', { id: 'as-new', input: null });
    const workflow = env.temporal.client.workflow.getHandle('as-new');
    const message = await taskFailureOf(workflow);
    expect(message).toMatch(/cannot continue as new/);
    expect(await handle.status()).toBe('RUNNING');
    expect(world.inEffect('as-new')).toEqual(['svc.first']);
    await workflow.terminate('end of test');
  });

  it('is welcome between sagas', async () => {
    expect(await run('continuesAsNewBetween', 'as-new-between', 1)).toBe('round-3:svc.first');
    expect(['round-1', 'round-2', 'round-3'].map((id) => world.inEffect(id))).toEqual(
      Array.from({ length: 3 }, () => ['svc.first']),
    );
  });
});

/** Waits for the workflow's first failed task. */
async function taskFailureOf(workflow: { fetchHistory(): Promise<{ events?: readonly HistoryEvent[] | null }> }) {
  for (let look = 0; look < 100; look++) {
    const { events } = await workflow.fetchHistory();
    const failed = events?.find((event) => event.workflowTaskFailedEventAttributes);
    if (failed) return failed.workflowTaskFailedEventAttributes?.failure?.message ?? '';
    await env.sleep('1 second');
  }
  return expect.fail('No workflow task failed.');
}

interface HistoryEvent {
  readonly workflowTaskFailedEventAttributes?: {
    readonly failure?: { readonly message?: string | null } | null;
  } | null;
}
