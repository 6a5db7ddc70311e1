/** The same id twice, in groups and alone, at the same time and later: one effect, and the same answer to everybody. */
import { WorkflowNotFoundError } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { TransactionCompensated, TransactionInputMismatch, TransactionMixed } from '../../src/client';
import { until } from '../end-to-end/fixture';
import { kinds, useGroups } from './fixture';
import type { Member } from './fixture';
import type { Deed } from './workflows';

const groups = useGroups();
const BOTH: readonly Deed[] = [{ at: 'left' }, { at: 'right' }];
const TYPES = ['inSteps', 'atOnce'];
const DONE = ['left.act done', 'right.act done'];

const newMember = (deeds: readonly Deed[] = BOTH): Member => groups().members(1, deeds)[0]!;
const executeAlone = (type: string, { id, deeds }: Member): Promise<unknown> =>
  groups().transactions.execute<readonly Deed[], unknown>(type, { id, input: deeds });

const startAlone = (type: string, { id, deeds }: Member) =>
  groups().transactions.start<readonly Deed[], unknown>(type, { id, input: deeds });

/** Executes one in a group: others travel with it, so that it does not go alone. */
async function executeInGroup(type: string, member: Member): Promise<unknown> {
  const client = groups().clientOf({ inFlight: 1 });
  const [result] = await Promise.all(
    [member, ...groups().members(2, BOTH)].map(({ id, deeds }) => client.execute(type, { id, input: deeds })),
  );
  return result;
}

describe.each(TYPES)('%s', (type) => {
  it.each([
    ['in two groups', executeInGroup, executeInGroup],
    ['in a group and alone', executeInGroup, executeAlone],
    ['alone and in a group', executeAlone, executeInGroup],
  ])('takes effect once: %s, one after the other', async (_, first, second) => {
    const member = newMember();
    expect(await first(type, member)).toEqual([member.id, member.id]);
    expect(await second(type, member)).toEqual([member.id, member.id]);
    expect(await groups().marks(member.id)).toEqual(DONE);
    expect(await second(type, member)).toEqual([member.id, member.id]);
    expect(await groups().marks(member.id)).toEqual(DONE);
  });

  it('takes effect once in three groups and alone at the same time', async () => {
    const members = Array.from({ length: 4 }, () => newMember());
    const results = await Promise.all(
      members.flatMap((member) => [
        executeInGroup(type, member),
        executeInGroup(type, member),
        executeAlone(type, member),
        executeInGroup(type, member),
      ]),
    );
    expect(results).toEqual(members.flatMap(({ id }) => Array.from({ length: 4 }, () => [id, id])));
    for (const { id } of members) expect(await groups().marks(id)).toEqual(DONE);
    expect(await groups().prepared()).toBe(0);
  });

  it('is refused with another input', async () => {
    const member = newMember();
    await executeInGroup(type, member);
    const other = { id: member.id, deeds: [...BOTH, ...BOTH] };
    await expect(executeInGroup(type, other)).rejects.toBeInstanceOf(TransactionInputMismatch);
    expect(await groups().marks(member.id)).toEqual(DONE);
  });
});

describe('a copy in a group', () => {
  it.each(TYPES)('leaves where somebody else may be at work: %s', async (type) => {
    const member = newMember();
    await executeAlone(type, member);
    const [outcome] = await groups().run(type, [member]);
    // By two-phase commit both are decided by the same register, and a copy may stay.
    if (type === 'atOnce') expect(outcome).toMatchObject({ kind: 'ended' });
    else
      expect(outcome).toMatchObject({ kind: 'on-its-own', started: false, why: `left.act was done by ${member.id}` });
  });
});

describe('a saga that was undone', () => {
  it('gives the same report to whoever asks again, in a group or alone', async () => {
    const member = newMember([{ at: 'left' }, { at: 'right', does: 'refuse' }]);
    for (const execute of [executeInGroup, executeInGroup, executeAlone]) {
      const error: unknown = await execute('inSteps', member).catch((failure: unknown) => failure);
      expect(error).toBeInstanceOf(TransactionCompensated);
      expect(error).toMatchObject({ report: { cause: { refusal: { code: 'unwanted' } } } });
    }
    expect(await groups().marks(member.id)).toEqual(['left.act done', 'left.act undone']);
  });
});

describe('a saga that a group has committed', () => {
  it('is not taken back by a workflow of the same id: that one is held', async () => {
    const flag = groups().newId('flag');
    const member = newMember([{ at: 'left', does: flag }, { at: 'right' }]);
    expect(kinds(await groups().run('looksLater', [member]))).toEqual(['ended']);
    await groups().pools.left.query('insert into record values ($1, 1)', [flag]);
    const own = await startAlone('looksLater', member);
    await until('it is held', async () => (await own.reports<'saga'>())[0]?.outcome === 'held');
    expect(JSON.stringify(await own.reports())).toContain('was committed by group:');
    expect(await groups().marks(member.id)).toEqual(DONE);
    await own.skipStep({ step: 'left.act', reason: 'It was committed.', by: 'a test' });
    await expect(own.result()).rejects.toBeInstanceOf(TransactionMixed);
    expect(await groups().marks(member.id)).toEqual(DONE);
  });

  it('is not taken back by a cancellation of a workflow of the same id, which goes forward', async () => {
    const member = newMember();
    expect(kinds(await groups().run('inSteps', [member]))).toEqual(['ended']);
    // The second step cannot answer, so it is not known to the second one, which then is turned back.
    await groups().stopWorker('right');
    const own = await startAlone('inSteps', member);
    await until('the first step is known', async () => JSON.stringify(await own.reports()).includes('applied-before'));
    await own.cancel();
    await groups().startWorker('right');
    expect(await own.result()).toEqual([member.id, member.id]);
    expect(await groups().marks(member.id)).toEqual(DONE);
  });

  it('is undone by whom the group has handed it over to', async () => {
    const member = newMember([{ at: 'left' }, { at: 'right', does: 'fail' }]);
    const [outcome] = await groups().run('inSteps', [member], 'runImpatientGroup');
    expect(outcome).toMatchObject({ kind: 'on-its-own', started: true });
    const own = groups().transactions.handle(member.id);
    await own.cancel();
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    expect(await groups().marks(member.id)).toEqual(['left.act done', 'left.act undone']);
  });

  it(
    'is undone by whom it was handed over to, resumed after that was terminated, and nobody knows the group any more',
    { timeout: 300_000 },
    async () => {
      const member = newMember([{ at: 'left' }, { at: 'right', does: 'fail' }]);
      const { client } = groups().server;
      const group = await groups().begin('inSteps', [member], 'runImpatientGroup');
      expect(kinds((await group.result()).outcomes)).toEqual(['on-its-own']);
      const { workflowId } = group;
      // The second attempt at a part of it.
      const asked = { workflowId, namespace: groups().server.namespace, transaction: `${member.id}/1+2` };
      expect(await groups().askCoordinator(asked)).toEqual({ state: 'running', told: `running, as ${member.id}` });
      await client.workflow.getHandle(member.id).terminate();
      expect(await groups().askCoordinator(asked)).toMatchObject({ state: 'gone' });
      await client.workflowService.deleteWorkflowExecution({
        namespace: groups().server.namespace,
        workflowExecution: { workflowId },
      });
      const isForgotten = () =>
        group.describe().then(
          () => false,
          (error: unknown) => error instanceof WorkflowNotFoundError,
        );
      // The dev server takes its time to delete: it tries that again at ever longer pauses.
      await until('the group is forgotten', isForgotten, 200_000);
      const own = await groups().transactions.resume<readonly Deed[], unknown>('inSteps', {
        id: member.id,
        input: member.deeds,
      });
      await until('it goes on', async () => JSON.stringify(await own.reports()).includes('applied-before'));
      await own.cancel();
      await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
      expect(await groups().marks(member.id)).toContain('left.act undone');
    },
  );

  it('waits with undoing until a group that is at work has ended', async () => {
    const { member, group } = await beginWithoutRight();
    const { id } = member;
    await groups().pools.left.query('insert into record values ($1, 1)', [member.deeds[0]?.does]);
    const own = await startAlone('looksLater', member);
    await until('undoing waits', async () =>
      (await groups().troublesOf(id)).some((why) => why.includes('still running')),
    );
    expect(await groups().marks(id)).toEqual(['left.act done']);
    await group.cancel();
    expect(await group.result()).toMatchObject({ outcomes: [{ kind: 'on-its-own', started: false }] });
    // The group has asked there too.
    await groups().startWorker('right');
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    expect(await groups().marks(id)).toEqual(['left.act done', 'left.act undone']);
  });

  it('is cancelled once a group that is at work has said what there is to undo', async () => {
    const { member, group } = await beginWithoutRight();
    const own = await startAlone('looksLater', member);
    await until('the first step is known', async () => JSON.stringify(await own.reports()).includes('applied-before'));
    await own.cancel();
    await group.cancel();
    expect(await group.result()).toMatchObject({ outcomes: [{ kind: 'on-its-own', started: false }] });
    await groups().startWorker('right');
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    // The right one may have been asked by the group a moment before.
    const marks = await groups().marks(member.id);
    expect(marks).toContain('left.act undone');
    expect(marks.includes('right.act done')).toBe(marks.includes('right.act undone'));
  });
});

/** A group that has asked a participant for its second step which is away. */
async function beginWithoutRight() {
  const member = newMember([{ at: 'left', does: groups().newId('flag') }, { at: 'right' }]);
  await groups().stopWorker('right');
  const group = await groups().begin('looksLater', [member], 'runPatientGroup');
  await until('the group has asked for the second step', async () => {
    const { events } = await group.fetchHistory();
    return events?.filter((event) => event.activityTaskScheduledEventAttributes).length === 3;
  });
  return { member, group };
}
