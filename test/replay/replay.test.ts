/** Transactions that began under an earlier build go on under this one: every recorded history replays. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleWorkflows } from '../bundle';
import { compiledWorkflows, quiet } from '../saga-more/environment';
import { CASES } from './cases';
import { GROUP_CASES } from './group-cases';
import { TWO_PHASE_CASES } from './two-phase-cases';

const ALL = [...CASES, ...TWO_PHASE_CASES, ...GROUP_CASES];
/** `former`: what a version before did and this one does otherwise, so that it cannot be recorded anew. */
type Directory = 'histories' | 'former';

const namesIn = (directory: Directory): string[] =>
  readdirSync(join(__dirname, directory))
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
const recorded = namesIn('histories');

// Cast: the recorder wrote it.
const historyOf = (name: string, directory: Directory = 'histories'): History =>
  JSON.parse(readFileSync(join(__dirname, directory, `${name}.json`), 'utf8')) as History;

interface History {
  readonly events: readonly { readonly eventType: string; readonly [attributes: string]: unknown }[];
}

/** Replays histories and tells which failed, and how. */
async function replay(
  workflowBundle: WorkflowBundleWithSourceMap,
  names: readonly string[],
  directory?: Directory,
): Promise<ReadonlyMap<string, Error | undefined>> {
  const histories = names.map((name) => ({ workflowId: name, history: historyOf(name, directory) }));
  const errors = new Map<string, Error | undefined>();
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories))
    errors.set(workflowId, error);
  return errors;
}

beforeAll(() => void quiet());

describe('the recorded histories', () => {
  it('are those of every case', () => {
    expect(recorded).toEqual(ALL.map(({ name }) => name).sort());
  });

  it.each(ALL.map(({ name, workflow }) => [name, workflow]))('of %s end as the name says', (name, workflow) => {
    const { events } = historyOf(name);
    const ended = /-(committed|asked|accepted)$/.test(name)
      ? 'COMPLETED'
      : name.endsWith('-terminated')
        ? 'TERMINATED'
        : 'FAILED';
    expect(events[0]).toMatchObject({ workflowExecutionStartedEventAttributes: { workflowType: { name: workflow } } });
    expect(events.at(-1)?.eventType).toBe(`EVENT_TYPE_WORKFLOW_EXECUTION_${ended}`);
    const happened = (type: string) =>
      events.some(({ eventType }) => eventType === `EVENT_TYPE_WORKFLOW_EXECUTION_${type}`);
    expect(happened('CANCEL_REQUESTED')).toBe(name.endsWith('-cancelled'));
    expect(happened('UPDATE_COMPLETED')).toBe(/-(held|accepted)$/.test(name));
  });

  it.each(GROUP_CASES.map(({ name }) => name))('of %s shows who has left it', (name) => {
    const left = historyOf(name).events.filter(({ eventType }) =>
      eventType.endsWith('CHILD_WORKFLOW_EXECUTION_STARTED'),
    );
    expect(left).toHaveLength(name.includes('-some-') ? 1 : 0);
  });

  it('tell nothing of the machine that recorded them', () => {
    const all = (['histories', 'former'] as const).flatMap((directory) =>
      namesIn(directory).map((name) => ({ name, directory })),
    );
    for (const { name, directory } of all) {
      const { events } = historyOf(name, directory);
      JSON.stringify(events, (field, value: unknown) => {
        if (field === 'identity') expect(value, name).toBe('recorder');
        if (field === 'stackTrace') expect(value, name).toBe('');
        return value;
      });
    }
  });

  it('all replay with the workflows of this build', async () => {
    const errors = await replay(await bundleWorkflows(compiledWorkflows('replay')), recorded);
    expect([...errors].filter(([, error]) => error)).toEqual([]);
    expect([...errors.keys()].sort()).toEqual(recorded);
  }, 180_000);
});

describe('what a version before did otherwise', () => {
  it.each([
    ['saga-cancelled-beside-its-group', 'groups'], // It turned back at once, and its compensations were held.
    ['group-that-waits-for-one-with-many-steps', 'groups'], // Nobody left it.
    ['transferMoneyAtomically-tried-again-though-left-mixed', 'groups'], // It was done a second time.
    ['participateInThreePhaseCommit-asked-again-for-another-register', 'replay'], // It voted, and committed.
    ['recoverParticipant-for-more-than-a-day', 'replay'], // It went on, as the next one did.
    ['relayOutbox-for-more-than-a-day', 'replay'],
    ['workflow-that-returned-beside-its-saga', 'saga-more'], // It was closed with half of it.
    ['workflow-that-failed-beside-its-saga', 'saga-more'],
    ['saga-that-committed-beside-the-one-inside', 'saga-more'],
    ['group-whose-member-ended-beside-its-saga', 'groups'],
    ['step-that-paid-with-each-try', 'saga-more'], // Under a new id each time.
    ['saga-that-undid-another-one-of-its-id', 'saga-more'], // It had committed.
    ['run-that-passed-over-what-another-had-done', 'groups'], // It committed, and had done nothing.
    ['saga-that-took-no-notice-of-a-refusal', 'workflow'], // Nobody had waited for that step.
    ['saga-committed-without-its-pivot', 'workflow'], // A person had given it up.
    ['saga-that-left-what-was-done-by-hand', 'workflow'], // Its participant knew of nothing to undo.
    ['free-step-left-with-the-first-of-two-sagas', 'saga-more'], // The second one was undone.
    ['saga-reset-that-asked-who-is-away', 'groups'], // And would have failed fast.
    ['saga-whose-caller-caught-its-bug', 'workflow'], // And ended as if nothing stood.
    ['saga-that-undid-what-its-participant-had-forgotten', 'workflow'], // It stands somewhere.
  ])('replays as it was: %s', async (name, workflows) => {
    const errors = await replay(await bundleWorkflows(compiledWorkflows(workflows)), [name], 'former');
    expect([...errors]).toEqual([[name, undefined]]);
  });
});

describe('a workflow that was changed without a thought for those that run', () => {
  let bundle: WorkflowBundleWithSourceMap;

  beforeAll(async () => {
    bundle = await bundleWorkflows(compiledWorkflows('replay/changed'));
  });

  it.each([
    ['a timer was put before its first step', 'transferMoney-committed'],
    ['a timer was put before its first step, and it was undone', 'transferMoney-held'],
    ['two steps changed places', 'pivot-committed'],
    ['another branch became the primary', 'transferMoneyAtomically-committed'],
  ])('is caught: %s', async (_, name) => {
    const error = (await replay(bundle, [name])).get(name);
    expect(error?.message).toMatch(/nondeterminism/i);
  });
});
