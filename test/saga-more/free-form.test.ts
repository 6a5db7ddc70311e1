/** Steps that are no operation of a participant: timers, other activities, child workflows. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionCompensated, TransactionMixed } from '../../src/client';
import type { SettledSagaReport } from '../../src/client';
import type { TransactionTestEnvironment } from '../../src/testing';
import { startEnvironment } from './environment';
import { Notes } from './notes';
import { ScriptedWorld } from './scripted';
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

const start = (type: keyof typeof workflows, id: string, input: unknown) => env.transactions.start(type, { id, input });
const run = async (type: keyof typeof workflows, id: string, input: unknown): Promise<unknown> =>
  (await start(type, id, input)).result();

/** Makes the step after the free-form one say no. */
const refuseFirst = (transaction: string): void => world.script(transaction, 'svc.first', { execute: () => 'refuse' });

describe('a free-form step', () => {
  it('may take days, and is told its transaction, branch and input', async () => {
    expect(await run('freeFormWithTimers', 'timed', 'n1')).toBe('kept timed/timed/n1');
    expect(notes.has('timed/timed/n1')).toBe(true);
  });

  it('shows in the report while it runs', async () => {
    const handle = await start('freeFormWithTimers', 'timed-report', 'n2');
    await env.sleep('1 day');
    expect(await handle.reports<'saga'>()).toMatchObject([
      { outcome: 'running', steps: [{ branch: 'timed', operation: 'timed', fate: { kind: 'running' } }] },
    ]);
    await handle.result();
  });

  it('is undone with its input and its result', async () => {
    refuseFirst('timed-undone');
    await expect(run('freeFormWithTimers', 'timed-undone', 'n3')).rejects.toThrow(TransactionCompensated);
    expect(notes.has('timed-undone/timed/n3')).toBe(false);
    expect(notes.has('removed kept timed-undone/timed/n3')).toBe(true);
  });

  it('is undone with them as they were, whatever its body has made of them', async () => {
    refuseFirst('changed-undone');
    await expect(run('changesWhatItHas', 'changed-undone', 'n5')).rejects.toThrow(TransactionCompensated);
    expect(notes.has('n5')).toBe(false);
    expect(notes.has('removed kept n5')).toBe(true);
  });

  it('is undone without a result when nobody knows whether it happened', async () => {
    notes.faults('put timed-lost/timed/n4', ['lose-answer']);
    await expect(run('freeFormWithTimers', 'timed-lost', 'n4')).rejects.toThrow(TransactionCompensated);
    expect(notes.has('timed-lost/timed/n4')).toBe(false);
    expect(notes.has('removed nothing known')).toBe(true);
  });

  it('may be a child workflow', async () => {
    expect(await run('freeFormChild', 'child', 'c1')).toBe('kept c1');
    expect(notes.has('c1')).toBe(true);
  });

  it('may be undone by a child workflow', async () => {
    refuseFirst('child-undone');
    await expect(run('freeFormChild', 'child-undone', 'c2')).rejects.toThrow(TransactionCompensated);
    expect(notes.has('c2')).toBe(false);
  });

  it('is undone like any other when its child workflow failed', async () => {
    notes.faults('put c3', ['lose-answer']);
    await expect(run('freeFormChild', 'child-lost', 'c3')).rejects.toThrow(TransactionCompensated);
    expect(notes.has('c3')).toBe(false);
  });
});

describe('a child workflow that is a saga of its own', () => {
  it('has its own transaction id', async () => {
    expect(await run('sagaInChild', 'parent', 'x')).toBe('x: parent.child:svc.first, parent.child:svc.second');
    expect([world.inEffect('parent.child'), world.inEffect('parent')]).toEqual([
      ['svc.first', 'svc.second'],
      ['svc.third'],
    ]);
  });

  it('leaves nothing to undo when it has undone itself', async () => {
    world.script('parent-no.child', 'svc.second', { execute: () => 'refuse' });
    const error: unknown = await run('sagaInChild', 'parent-no', 'x').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TransactionCompensated);
    expect((error as TransactionCompensated).report?.steps).toMatchObject([
      { branch: 'whole', fate: { kind: 'not-done' }, compensation: { kind: 'not-needed' } },
    ]);
    expect(world.story('parent-no.child')).toEqual(['+svc.first', '-svc.first']);
    expect(notes.has('parent-no: child undone')).toBe(false);
  });

  it('is undone by the compensation of its step once it was done', async () => {
    world.script('parent-late', 'svc.third', { execute: () => 'refuse' });
    await expect(run('sagaInChild', 'parent-late', 'x')).rejects.toThrow(TransactionCompensated);
    expect(notes.has('parent-late: child undone')).toBe(true);
  });
});

describe('a no of a free-form step', () => {
  const refuse = (transaction: string, branch: string): void =>
    world.script(transaction, branch, { execute: () => 'refuse' });
  const compose = async (id: string, of: string, as: 'step' | 'pivot'): Promise<SettledSagaReport<unknown>> =>
    (await run('composed', id, { of, as })) as SettledSagaReport<unknown>;

  it.each<[string, (id: string) => void]>([
    ['an activity', (id) => notes.faults(`put ${id}: one`, ['refuse'])],
    ['a saga', (id) => refuse(`${id}/1/1`, 'svc.second')],
    ['a child with a saga', (id) => refuse(`${id}.child`, 'svc.second')],
  ])('is believed where it is that of all that was begun: %s', async (of, refusing) => {
    for (const as of ['step', 'pivot'] as const) {
      const id = `one-${as}-${of.replaceAll(' ', '-')}`;
      refusing(id);
      expect(await compose(id, of, as)).toMatchObject({
        outcome: 'compensated',
        steps: [{ fate: { kind: 'not-done' }, compensation: { kind: 'not-needed' } }],
      });
      expect(notes.has(`${id}: parts undone`)).toBe(false);
    }
  });

  it.each<[string, (id: string) => void]>([
    ['two activities', (id) => notes.faults(`put ${id}: two`, ['refuse'])],
    ['an activity and a saga', (id) => refuse(`${id}/1/1`, 'svc.first')],
    ['two sagas', (id) => refuse(`${id}/1/2`, 'svc.first')],
    ['a child with two sagas', (id) => refuse(`${id}.child/2`, 'svc.first')],
    ['a saga, and a no of its own', () => undefined],
  ])('does not keep the step from being undone where more was begun: %s', async (of, refusing) => {
    const id = `more-${of.replace(/\W+/g, '-')}`;
    refusing(id);
    expect(await compose(id, of, 'step')).toMatchObject({
      outcome: 'compensated',
      steps: [{ fate: { kind: 'unknown' }, compensation: { kind: 'compensated' } }],
    });
    expect(notes.has(`${id}: parts undone`)).toBe(true);
  });
});

describe('the compensation of a free-form step', () => {
  it('is tried again after pauses that grow', async () => {
    refuseFirst('pauses');
    notes.faults('remove p1', ['fail', 'fail', 'fail']);
    await expect(run('freeFormNote', 'pauses', 'p1')).rejects.toThrow(TransactionCompensated);
    expect(notes.pauses('remove p1')).toEqual([1, 2, 4]);
    expect(notes.has('p1')).toBe(false);
  });

  it('is held when it keeps failing, goes on being tried, and ends by itself', async () => {
    refuseFirst('held');
    notes.faults(
      'remove h1',
      Array.from({ length: 30 }, () => 'fail'),
    );
    const handle = await start('freeFormNote', 'held', 'h1');
    await env.sleep('90 seconds');
    expect(await handle.reports<'saga'>()).toMatchObject([
      { outcome: 'held', steps: [{ compensation: { kind: 'held', cause: 'remove h1: fail' } }, {}] },
    ]);
    expect(notes.has('h1')).toBe(true);
    await expect(handle.result()).rejects.toThrow(TransactionCompensated);
    expect(notes.has('h1')).toBe(false);
  });

  it('waits for a person at once when trying again cannot help', async () => {
    refuseFirst('broken');
    notes.faults('remove b1', ['break']);
    const handle = await start('freeFormNote', 'broken', 'b1');
    await env.sleep('1 day');
    expect(notes.pauses('remove b1')).toEqual([]);
    await handle.retryStep({ step: 'note', reason: 'mended', by: 'kim' });
    await expect(handle.result()).rejects.toThrow(TransactionCompensated);
    expect(notes.has('b1')).toBe(false);
  });

  it('may be given up: the effect stays and the outcome says so', async () => {
    refuseFirst('given-up');
    notes.faults('remove g1', ['break']);
    const handle = await start('freeFormNote', 'given-up', 'g1');
    await env.sleep('1 minute');
    await handle.skipStep({ step: 'note', reason: 'worth nothing', by: 'kim' });
    await expect(handle.result()).rejects.toThrow(TransactionMixed);
    expect(notes.has('g1')).toBe(true);
  });
});

describe('a free-form step that can be asked', () => {
  it('goes on with the answer when it had happened', async () => {
    notes.faults('put q1', ['lose-answer']);
    expect(await run('freeFormQuery', 'asked-yes', 'q1')).toBe('found q1');
    expect(await env.transactions.handle('asked-yes').reports<'saga'>()).toMatchObject([
      { outcome: 'committed', steps: [{ fate: { kind: 'done', answer: 'applied-before' } }] },
    ]);
  });

  it('has failed when it had not', async () => {
    notes.faults('put q2', ['fail']);
    expect(await run('freeFormQuery', 'asked-no', 'q2')).toBe('not there (not a refusal)');
    expect(await env.transactions.handle('asked-no').reports<'saga'>()).toMatchObject([
      { steps: [{ fate: { kind: 'not-done', refusal: { code: 'never-applied' } } }] },
    ]);
    expect(notes.has('q2')).toBe(false);
  });
});
