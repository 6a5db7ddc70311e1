/** Who goes on with what a group has begun answers for everything that the group has asked for, answered or not. */
import { WorkflowNotFoundError } from '@temporalio/client';
import { TransactionCompensated } from 'temporal-txn/client';
import { describe, expect, it } from 'vitest';
import type { GroupAnswer, GroupRequest } from '../../src/protocol';
import { until } from '../end-to-end/fixture';
import { resetTo, tasksIn } from '../real-server';
import { kinds, useGroups } from './fixture';
import type { Member } from './fixture';

const groups = useGroups();

const SLOW = { at: 'right', does: 'take long', ms: 4_500 } as const;
const member = (deeds: Member['deeds']): Member => ({ id: groups().newId('left-over'), deeds });
const done = async ({ id }: Member, ...marks: readonly string[]): Promise<void> =>
  until(`it has ${marks.join(', ')}`, async () => {
    const all = await groups().marks(id);
    return marks.every((mark) => all.includes(mark));
  });

/** A group that has asked for a slow step, whose participant is mostly still at it. */
async function beginWithSlow(deeds: Member['deeds']) {
  const slow = member(deeds);
  const [other] = groups().members(1, [{ at: 'left' }, { at: 'right' }]) as [Member];
  const group = await groups().begin('inSteps', [slow, other], 'runPatientGroup');
  // The activity that asks for both has ended without the slow one, so no end of the group reaches it.
  await done(other, 'right.act done');
  await until('the slow step is under way, or has ended already', async () => {
    const { rowCount } = await groups().pools.right.query(
      `select from pg_stat_activity where datname = current_database() and state = 'active' and wait_event = 'PgSleep'`,
    );
    return rowCount === 1 || (await groups().marks(slow.id)).includes('right.act done');
  });
  return { slow, group };
}

/**
 * Has a group leave behind a slow step that its participant is still at. The left one is away from then on, so whoever goes on comes
 * no further than the first step.
 * @param deeds what it is to do, the slow step second
 * @param meanwhile done before the group leaves it
 */
async function handOverSlow({
  deeds = [{ at: 'left' }, SLOW],
  meanwhile = async () => undefined,
}: {
  readonly deeds?: Member['deeds'];
  readonly meanwhile?: (slow: Member) => Promise<unknown>;
} = {}): Promise<Awaited<ReturnType<typeof beginWithSlow>>> {
  // On a busy machine the step may end before, and with it the group.
  for (let tries = 1; ; tries++) {
    const { slow, group } = await beginWithSlow(deeds);
    await groups().stopWorker('left');
    await meanwhile(slow);
    await group.cancel().catch((error: unknown) => {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    });
    if (kinds((await group.result()).outcomes)[0] === 'on-its-own') return { slow, group };
    expect(tries, 'groups that ended before').toBeLessThan(5);
    await groups().startWorker('left');
  }
}

/** Whatever is still under way at a participant has ended by then. */
async function expectUndone({ id }: Member): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SLOW.ms));
  const all = await groups().marks(id);
  expect(
    all
      .filter((mark) => mark.endsWith('done') && !mark.endsWith('undone'))
      .map((mark) => `${mark.split(' ')[0]} undone`)
      .sort(),
  ).toEqual(all.filter((mark) => mark.endsWith('undone')).sort());
}

describe('a saga that its group hands over', () => {
  it('is undone whole, where it turns back before it comes to what the group has asked for', async () => {
    const { slow } = await handOverSlow();
    const own = groups().transactions.handle(slow.id);
    await own.cancel();
    await groups().startWorker('left');
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    await expectUndone(slow);
  });

  it('is undone whole, where it goes another way because of what it reads', async () => {
    const flag = groups().newId('flag');
    const reader = member([
      { at: 'left', does: flag },
      { at: 'right', does: 'fail until it travels alone' },
    ]);
    const group = await groups().begin('looksFirst', [reader], 'runPatientGroup');
    await done(reader, 'left.act done');
    await groups().pools.left.query('insert into record values ($1, 1)', [flag]);
    await group.cancel();
    expect(kinds((await group.result()).outcomes)).toEqual(['on-its-own']);
    await expect(groups().transactions.handle(reader.id).result()).rejects.toThrow('The flag is up.');
    await expectUndone(reader);
    expect(await groups().marks(reader.id)).toContain('left.act undone');
  });

  it('goes forward, where the group may have passed the pivot', async () => {
    const decided = member([{ at: 'left' }, { at: 'right' }, { at: 'right', does: 'fail until it travels alone' }]);
    const group = await groups().begin('withPivot', [decided], 'runPatientGroup');
    await done(decided, 'left.act done', 'right.act done');
    await groups().stopWorker('left');
    await group.cancel();
    expect(kinds((await group.result()).outcomes)).toEqual(['on-its-own']);
    const own = groups().transactions.handle(decided.id);
    await own.cancel();
    await groups().startWorker('left');
    await own.result();
    expect(await groups().marks(decided.id)).toEqual(['left.act done', 'right.act done', 'right.act-2 done']);
  });
});

describe('a saga that goes on already when its group leaves it', () => {
  it('is told what the group has asked for, and undoes that too', async () => {
    const { slow: twice } = await handOverSlow({
      meanwhile: ({ id, deeds }) => groups().transactions.start('inSteps', { id, input: deeds }),
    });
    const own = groups().transactions.handle(twice.id);
    await own.cancel();
    await groups().startWorker('left');
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    await expectUndone(twice);
  });

  it('has it undone in its name, where it has ended by then', async () => {
    const twice = member([{ at: 'left' }, { at: 'right', does: 'fail until it travels alone' }]);
    const own = await groups().transactions.start('beforeAll', { id: twice.id, input: twice.deeds });
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    const [outcome] = await groups().run('inSteps', [twice], 'runImpatientGroup');
    expect(outcome).toMatchObject({ kind: 'on-its-own', started: true });
    await expect(groups().transactions.handle(twice.id).result()).rejects.toBeInstanceOf(TransactionCompensated);
    expect(await groups().marks(twice.id)).toEqual(['left.act done', 'left.act undone']);
  });
});

describe('a group that is reset', () => {
  it('asks for nothing more, beside the workflow that goes on with what it had handed over', async () => {
    const { slow, group } = await handOverSlow({ deeds: [{ at: 'left' }, SLOW, { at: 'right' }] });
    await done(slow, 'right.act done');
    const events = (await group.fetchHistory()).events ?? [];
    const cancelled = events.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
    const task = tasksIn(events).findLast((eventId) => eventId <= cancelled) ?? 0;
    await resetTo(groups().server, group.workflowId, task, false);
    const again = groups().server.client.workflow.getHandle<(request: GroupRequest) => Promise<GroupAnswer>>(
      group.workflowId,
    );
    const { outcomes } = await again.result();
    expect(outcomes[0]).toMatchObject({
      kind: 'on-its-own',
      why: expect.stringContaining('was reset'),
      started: false,
    });
    const own = groups().transactions.handle(slow.id);
    await own.cancel();
    await groups().startWorker('left');
    await expect(own.result()).rejects.toBeInstanceOf(TransactionCompensated);
    await expectUndone(slow);
  });
});

describe('a workflow with two transactions side by side', () => {
  it('leaves the group, which ends although the one that is awaited last is refused first', async () => {
    const members = groups().members(3, [{ at: 'left', does: 'refuse' }, { at: 'right' }]);
    const outcomes = await groups().run('sideBySide', members, 'runImpatientGroup');
    expect(kinds(outcomes)).toEqual(members.map(() => 'on-its-own'));
    // Alone they have to mend their code.
    for (const { id } of members) await groups().server.client.workflow.getHandle(id).terminate();
  });
});
