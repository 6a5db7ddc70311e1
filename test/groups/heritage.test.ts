/**
 * A workflow that goes on with a transaction, and does not itself know all that was asked for in its name: it was resumed, or reset, or has an
 * id that Temporal has forgotten. None of them leaves half of it behind, or takes back what a caller was told is committed.
 */
import { WorkflowNotFoundError } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { TransactionClient, TransactionCompensated } from 'temporal-txn/client';
import { describe, expect, it } from 'vitest';
import { requestOf } from '../../src/client/request';
import { HERITAGE_MEMO, REQUEST_MEMO } from '../../src/observability';
import type { Heritage, SagaReport } from '../../src/protocol';
import { ParticipantCircuits } from '../../src/worker';
import { bundleWorkflows } from '../bundle';
import { until } from '../end-to-end/fixture';
import { resetTo, tasksIn } from '../real-server';
import { compiledWorkflows } from '../saga-more/environment';
import { kinds, useGroups } from './fixture';
import type { Member } from './fixture';

const groups = useGroups();

const DONE = ['left.act done', 'right.act done'];
const LAST = { at: 'right', does: 'take long', ms: 2_000 } as const;
const member = (...deeds: Member['deeds']): Member => ({ id: groups().newId('heir'), deeds });
const ask = ({ id, deeds }: Member) => ({ id, input: deeds });
const workflowOf = ({ id }: Member) => groups().server.client.workflow.getHandle(id);
const reportOf = async ({ id }: Member): Promise<SagaReport | undefined> =>
  (await groups().transactions.handle(id).reports<'saga'>())[0];
const stepsOf = async (one: Member): Promise<string> => JSON.stringify((await reportOf(one))?.steps);

const has = ({ id }: Member, marks: readonly string[]): Promise<void> =>
  until(`it has ${marks.join(', ')}`, async () => {
    const all = await groups().marks(id);
    return marks.every((mark) => all.includes(mark));
  });

/** Begins one that has done its first two steps, and is at the last one. */
async function beginThree(type: string, last: Member['deeds'][number] = LAST): Promise<Member> {
  const one = member({ at: 'left' }, { at: 'right' }, last);
  await groups().transactions.start(type, ask(one));
  await has(one, DONE);
  return one;
}

/** Begins a workflow that has only to undo what a group had asked for, and comes no further while the left one is away. */
async function startUndoing(one: Member): Promise<void> {
  const step = { branch: 'left.act', role: 'compensatable', participant: 'left', operation: 'act' } as const;
  const heritage: Heritage = { asked: [{ ...step, input: { at: 'left', text: '' } }], undo: true };
  const { id, input } = ask(one);
  await groups().server.client.workflow.start('inSteps', {
    workflowId: id,
    taskQueue: 'transactions',
    args: [input],
    memo: { [HERITAGE_MEMO]: heritage, [REQUEST_MEMO]: requestOf(id, input).hash },
  });
  await until('it undoes', async () => (await stepsOf(one)).includes('running'));
}

async function withoutLeft(work: () => Promise<unknown>): Promise<void> {
  await groups().stopWorker('left');
  try {
    await work();
  } finally {
    await groups().startWorker('left');
  }
}

const raiseFlag = (id: string) => groups().pools.left.query('insert into record values ($1, 1)', [id]);

/** All that was done, and nothing that was not, is undone. */
async function expectUndone({ id }: Member): Promise<void> {
  const all = await groups().marks(id);
  const of = (kind: string) => all.filter((mark) => mark.endsWith(` ${kind}`)).map((mark) => mark.split(' ')[0]);
  expect(of('undone').sort()).toEqual(of('done').sort());
}

async function forget(one: Member): Promise<void> {
  await groups().server.client.workflowService.deleteWorkflowExecution({
    namespace: groups().server.namespace,
    workflowExecution: { workflowId: one.id },
  });
  const isGone = () =>
    workflowOf(one)
      .describe()
      .then(
        () => false,
        (error: unknown) => error instanceof WorkflowNotFoundError,
      );
  // The dev server takes its time to delete.
  await until('it is forgotten', isGone, 100_000);
}

describe('a saga that is resumed', () => {
  it('is undone whole when it turns back before it comes to what the terminated run had done', async () => {
    const one = await beginThree('inSteps', { at: 'right', does: 'fail' });
    await workflowOf(one).terminate();
    await withoutLeft(async () => (await groups().transactions.resume('inSteps', ask(one))).cancel());
    await expect(groups().transactions.handle(one.id).result()).rejects.toBeInstanceOf(TransactionCompensated);
    expect(await groups().marks(one.id)).toEqual(
      expect.arrayContaining(['left.act undone', 'right.act done', 'right.act undone']),
    );
    await expectUndone(one);
  });

  it('is undone, and not held, where a run before the terminated one had failed without doing anything', async () => {
    const one = member({ at: 'left' }, { at: 'right', does: 'fail' });
    const { id, input } = ask(one);
    const start = (workflow: string) =>
      groups().server.client.workflow.start(workflow, {
        workflowId: id,
        taskQueue: 'transactions',
        args: [input],
        memo: { [REQUEST_MEMO]: requestOf(id, input).hash },
        workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
      });
    await expect((await start('beforeAll')).result()).rejects.toThrow();
    await start('inSteps');
    await has(one, ['left.act done']);
    await workflowOf(one).terminate();
    const resumed = await groups().transactions.resume('inSteps', ask(one));
    await resumed.cancel();
    await expect(resumed.result()).rejects.toBeInstanceOf(TransactionCompensated);
    await expectUndone(one);
  });

  it('goes forward when the terminated run had passed the pivot', async () => {
    const one = await beginThree('withPivot');
    await workflowOf(one).terminate();
    await withoutLeft(async () => (await groups().transactions.resume('withPivot', ask(one))).cancel());
    await groups().transactions.handle(one.id).result();
    expect(await groups().marks(one.id)).toEqual([...DONE, 'right.act-2 done']);
  });

  it('goes forward when the terminated run had committed, and was at something else', async () => {
    const one = member({ at: 'left' }, { at: 'right' });
    await groups().transactions.start('restsAfterwards', ask(one));
    await until('it has committed', async () => (await reportOf(one))?.outcome === 'committed');
    await workflowOf(one).terminate();
    await withoutLeft(async () => (await groups().transactions.resume('restsAfterwards', ask(one))).cancel());
    await groups()
      .transactions.handle(one.id)
      .result()
      .catch(() => undefined);
    expect((await reportOf(one))?.outcome).toBe('committed');
    expect(await groups().marks(one.id)).toEqual(DONE);
  });

  it('is undone whole when it is its second saga that turns back', async () => {
    const one = member({ at: 'left' }, { at: 'right' }, { at: 'right', does: 'fail' });
    await groups().transactions.start('oneByOne', ask(one));
    const second = { ...one, id: `${one.id}/2` };
    await has(second, DONE);
    await workflowOf(one).terminate();
    await withoutLeft(async () => (await groups().transactions.resume('oneByOne', ask(one))).cancel());
    await expect(groups().transactions.handle(one.id).result()).rejects.toBeInstanceOf(TransactionCompensated);
    await expectUndone(second);
    expect(await groups().marks(second.id)).toEqual(expect.arrayContaining(['left.act undone', 'right.act undone']));
  });

  it('goes forward, and is not held, when a step after the pivot is asked for otherwise', async () => {
    const flag = groups().newId('flag');
    const one = member({ at: 'left', does: flag }, { at: 'right' });
    await groups().transactions.start('mendsItsLast', ask(one));
    await until('the last step fails', async () => (await groups().troublesOf(one.id)).length > 0);
    await workflowOf(one).terminate();
    await raiseFlag(flag);
    await (await groups().transactions.resume('mendsItsLast', ask(one))).result();
    expect(await groups().marks(one.id)).toEqual(['left.act done', 'right.act done', 'right.act-2 done']);
  });

  it('goes on turning back, without doing anything first', async () => {
    const one = await beginThree('inSteps', { at: 'right', does: 'fail' });
    await groups().stopWorker('right');
    await workflowOf(one).cancel();
    await until('it turns back', async () => (await reportOf(one))?.outcome === 'compensating');
    await workflowOf(one).terminate();
    const resumed = await groups().transactions.resume('inSteps', ask(one));
    await groups().startWorker('right');
    await expect(resumed.result()).rejects.toBeInstanceOf(TransactionCompensated);
    await expectUndone(one);
    const { events } = await workflowOf(one).fetchHistory();
    const asked = events?.flatMap(({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name ?? []);
    expect(asked).not.toContain('act');
  });

  it('goes forward where no worker could tell what the terminated run had asked for, unless that had only to undo it', async () => {
    const one = await beginThree('inSteps');
    const undone = member({ at: 'left' }, { at: 'right' });
    await groups().stopWorker('left');
    await startUndoing(undone);
    await workflowOf(one).terminate();
    await workflowOf(undone).terminate();
    await groups().stopWorkflowWorkers();
    const [resumed, goesOn] = await Promise.all(
      [one, undone].map((each) => groups().transactions.resume('inSteps', ask(each))),
    );
    await groups().startWorkflowWorkers();
    await until('it has begun', async () => (await stepsOf(one)).includes('running'));
    await resumed!.cancel();
    await groups().startWorker('left');
    await resumed!.result();
    expect(await groups().marks(one.id)).toEqual([...DONE, 'right.act-2 done']);
    await expect(goesOn!.result()).rejects.toBeInstanceOf(TransactionCompensated);
    expect(await groups().marks(undone.id)).toEqual([]);
  });
});

describe('a saga that Temporal has forgotten, asked for again', () => {
  it('is not taken back', { timeout: 150_000 }, async () => {
    const flag = groups().newId('flag');
    const [waits, reads] = [
      member({ at: 'left' }, { at: 'right' }),
      member({ at: 'left', does: flag }, { at: 'right' }),
    ];
    await groups().transactions.execute('inSteps', ask(waits));
    await groups().transactions.execute('looksLater', ask(reads));
    await Promise.all([forget(waits), forget(reads)]);
    await raiseFlag(flag);
    await groups().stopWorker('right');
    const again = await groups().transactions.start('inSteps', ask(waits));
    await groups().transactions.start('looksLater', ask(reads));
    await until('the first step is known', async () => (await stepsOf(waits)).includes('applied-before'));
    // It comes too late, and who is away is waited for.
    await again.cancel();
    await groups().startWorker('right');
    await again.result();
    // Its code turns back because of what it reads.
    await until('it is held', async () => (await reportOf(reads))?.outcome === 'held');
    expect(await stepsOf(reads)).toContain('which Temporal does not know any more, and may have been committed');
    await workflowOf(reads).terminate();
    for (const { id } of [waits, reads]) expect(await groups().marks(id)).toEqual(DONE);
  });
});

describe('a saga under an id that another workflow has given its own', () => {
  const begin = (id: string, deeds: Member['deeds']) =>
    groups().server.client.workflow.start('underId', {
      // Any text is the id of a workflow.
      workflowId: `${groups().newId("whoever's")} \\`,
      taskQueue: 'transactions',
      args: [{ id, deeds }],
    });
  const undoing = async (workflow: Awaited<ReturnType<typeof begin>>, step: string) => {
    const [report] = await workflow.query<readonly SagaReport[]>('report');
    return report?.steps.find(({ branch }) => branch === step)?.compensation;
  };
  const REFUSED = [{ at: 'left' }, { at: 'right' }, { at: 'left', does: 'refuse' }] as const;

  it('takes nothing back that was committed: a person is asked', async () => {
    const id = groups().newId('shared');
    await (await begin(id, [{ at: 'left' }])).result();
    const again = await begin(id, REFUSED);
    await until('it is held', async () => (await undoing(again, 'left.act'))?.kind === 'held');
    expect(await undoing(again, 'left.act')).toMatchObject({
      cause: expect.stringMatching(/by run .* of workflow whoever's-\d+ \\, which is COMPLETED/),
    });
    expect(await undoing(again, 'right.act')).toEqual({ kind: 'compensated' });
    expect(await groups().marks(id)).toEqual(['left.act done', 'right.act done', 'right.act undone']);
    await again.terminate();
  });

  it('is undone whole where the other one was terminated in the midst of it', async () => {
    const id = groups().newId('shared');
    const first = await begin(id, [{ at: 'left' }, LAST]);
    await has({ id, deeds: [] }, ['left.act done']);
    const second = await begin(id, [{ at: 'left' }, { at: 'left', does: 'refuse' }]);
    await until('undoing waits', async () =>
      (await groups().troublesOf(second.workflowId)).some((why) => why.includes('still running')),
    );
    await first.terminate();
    await expect(second.result()).rejects.toMatchObject({ cause: { type: 'TransactionCompensated' } });
    expect(await groups().marks(id)).toContain('left.act undone');
  });
});

describe('a workflow that runs again', () => {
  it('does not pass over what each of its runs is to do: where it continues as new, the task fails', async () => {
    const one = member({ at: 'left' });
    await groups().transactions.start('inEachRun', ask(one));
    const failure = async (): Promise<string | null | undefined> =>
      (await workflowOf(one).fetchHistory()).events?.find((event) => event.workflowTaskFailedEventAttributes)
        ?.workflowTaskFailedEventAttributes?.failure?.message;
    await until('its second run fails', async () => (await failure()) !== undefined);
    expect(await failure()).toContain(`what ${one.id} was to do was done by a run that this one continues`);
    expect(await groups().marks(one.id)).toEqual(['left.act done']);
    await workflowOf(one).terminate();
  });

  it('finds done what its first attempt has done, where it is tried again', async () => {
    const one = member({ at: 'left' }, { at: 'right' });
    await groups().server.client.workflow.execute('failsAfterwards', {
      workflowId: one.id,
      taskQueue: 'transactions',
      args: [one.deeds],
      retry: { maximumAttempts: 2, initialInterval: 1 },
    });
    expect(await groups().marks(one.id)).toEqual(DONE);
  });
});

describe('a saga that is reset', () => {
  it('goes forward: what it had asked for after that moment it does not know', async () => {
    const one = await beginThree('inSteps');
    const [task] = tasksIn((await workflowOf(one).fetchHistory()).events ?? []);
    await withoutLeft(async () => {
      await resetTo(groups().server, one.id, task!, false);
      await workflowOf(one).cancel();
      await until('it has heard of it', async () => {
        const { events } = await workflowOf(one).fetchHistory();
        const at = events?.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes) ?? -1;
        return at >= 0 && tasksIn(events?.slice(at) ?? []).length > 0;
      });
    });
    await groups().transactions.handle(one.id).result();
    expect(await groups().marks(one.id)).toEqual([...DONE, 'right.act-2 done']);
  });

  it('is held after its end, where its code turns back because of what it reads', async () => {
    const flag = groups().newId('flag');
    const one = member({ at: 'left', does: flag }, { at: 'right' });
    await groups().transactions.execute('looksLater', ask(one));
    await raiseFlag(flag);
    const [task] = tasksIn((await workflowOf(one).fetchHistory()).events ?? []);
    await resetTo(groups().server, one.id, task!, false);
    await until('it is held', async () => (await reportOf(one))?.outcome === 'held');
    expect(await stepsOf(one)).toContain('is COMPLETED, and may have told its caller');
    expect(await groups().marks(one.id)).toEqual(DONE);
    await workflowOf(one).terminate();
  });
});

describe('a transaction that may fail fast, and is reset', () => {
  it.each(['hurriesInSteps', 'hurriesAtOnce'])('goes on with what its first run has begun: %s', async (type) => {
    const { server } = groups();
    const circuits = new ParticipantCircuits({ trip: { consecutive: 1 } });
    const worker = await Worker.create({
      connection: server.native,
      namespace: server.namespace,
      taskQueue: 'hurried',
      workflowBundle: await bundleWorkflows(compiledWorkflows('groups')),
      activities: circuits.activities,
      sinks: circuits.sinks,
    });
    const one = member({ at: 'left' }, LAST);
    const { id, input } = ask(one);
    await worker.runUntil(async () => {
      await new TransactionClient({ client: server.client, taskQueue: 'hurried' }).start(type, { id, input });
      const events = async () => (await workflowOf(one).fetchHistory()).events ?? [];
      await until('it has begun', async () =>
        (await events()).some((event) => event.activityTaskScheduledEventAttributes),
      );
      circuits.heard('right', 'silence');
      const [task] = tasksIn(await events());
      await resetTo(server, id, task!, false);
      await groups().transactions.handle(id).result();
    });
    expect(await groups().marks(id)).toEqual(DONE);
  });
});

describe('a saga that was terminated, resumed, and reset after its end', () => {
  it('is held where its code turns back because of what it reads, also what the terminated run did', async () => {
    const flag = groups().newId('flag');
    const one = member({ at: 'left', does: flag }, LAST);
    await groups().transactions.start('looksLater', ask(one));
    await until('it has asked for both steps', async () => {
      const { events } = await workflowOf(one).fetchHistory();
      return events?.filter((event) => event.activityTaskScheduledEventAttributes).length === 3;
    });
    await workflowOf(one).terminate();
    await (await groups().transactions.resume('looksLater', ask(one))).result();
    await raiseFlag(flag);
    const [task] = tasksIn((await workflowOf(one).fetchHistory()).events ?? []);
    await resetTo(groups().server, one.id, task!, false);
    await until('it is held', async () => (await reportOf(one))?.outcome === 'held');
    // What the resumed run did: that is the later one.
    await groups().transactions.handle(one.id).skipStep({ step: 'right.act', reason: 'It stays.', by: 'a test' });
    const first = async () => (await reportOf(one))?.steps.find(({ branch }) => branch === 'left.act')?.compensation;
    await until('what the terminated one did is held too', async () => (await first())?.kind === 'held');
    expect(await first()).toMatchObject({
      cause: expect.stringContaining('is COMPLETED, and may have told its caller'),
    });
    expect(await groups().marks(one.id)).toEqual(DONE);
    await workflowOf(one).terminate();
  });
});

describe('a group that is reset after its end', () => {
  it('has nothing taken back of what it had told its callers', async () => {
    const flag = groups().newId('flag');
    const [one, other] = [
      member({ at: 'left', does: flag }, { at: 'right' }),
      member({ at: 'left', does: 'no flag' }, { at: 'right' }),
    ];
    const group = await groups().begin('looksLater', [one, other]);
    expect(kinds((await group.result()).outcomes)).toEqual(['ended', 'ended']);
    await raiseFlag(flag);
    const [task] = tasksIn((await group.fetchHistory()).events ?? []);
    await resetTo(groups().server, group.workflowId, task!, false);
    await until('it is held', async () => (await reportOf(one).catch(() => undefined))?.outcome === 'held');
    expect(await stepsOf(one)).toContain('was committed by group:');
    await groups().transactions.handle(other.id).result();
    for (const { id } of [one, other]) expect(await groups().marks(id)).toEqual(DONE);
    await workflowOf(one).terminate();
  });
});

describe('a saga that its group hands over', () => {
  it('is undone whole where the same step is asked for otherwise, because of what it reads', async () => {
    const flag = groups().newId('flag');
    const one = member({ at: 'left', does: flag }, { at: 'right', does: 'fail until it travels alone' });
    const group = await groups().begin('takesWhatItReads', [one], 'runPatientGroup');
    await has(one, ['left.act done']);
    await raiseFlag(flag);
    await group.cancel();
    expect(kinds((await group.result()).outcomes)).toEqual(['on-its-own']);
    await expect(groups().transactions.handle(one.id).result()).rejects.toBeInstanceOf(TransactionCompensated);
    expect(await groups().marks(one.id)).toContain('left.act undone');
    await expectUndone(one);
  });
});
