/** Participants in the process of the coordinator: what a transaction is spared there, and that it loses nothing by it. */
import { WithStartWorkflowOperation } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServiceProcess } from '../../src/dev';
import { TransactionAborted, TransactionCompensated } from '../../src/client';
import type { CrashpointName } from '../../src/protocol';
import { isTurnOf, some } from '../depth';
import { until } from '../end-to-end/fixture';
import { startAgain } from '../protocols/company';
import { quiet } from '../saga-more/environment';
import { openCompiledHouse, Town, WORKFLOWS } from './fixture';
import type { Book } from './fixture';
import type { House, HouseOptions } from './house';

let town: Town;

const openHouse = (colocated: HouseOptions['colocated']): Promise<House> =>
  openCompiledHouse({ temporal: town.temporal, databases: town.databases, colocated });

beforeAll(async () => {
  quiet();
  town = await Town.open();
}, 60_000);

afterAll(() => town?.close());

const MADE: Record<string, Book> = {
  'north-bank': { net: -100, entries: 1, waiting: 0 },
  'south-bank': { net: 100, entries: 1, waiting: 0 },
};
const NOTHING: Book = { net: 0, entries: 0, waiting: 0 };

/** What was asked of the coordinator's own process. */
const askedNear = async (id: string): Promise<number[]> =>
  ((await town.historyOf(id)).events ?? []).flatMap(({ eventId, markerRecordedEventAttributes }) =>
    markerRecordedEventAttributes ? [Number(eventId)] : [],
  );

describe('in one process', () => {
  let house: House;

  beforeAll(async () => {
    house = await openHouse(['north-bank', 'south-bank']);
  }, 60_000);

  afterAll(() => house?.stop());

  it.each(WORKFLOWS)('%s is one task and two actions', async (workflow) => {
    const { id, input } = town.newTransfer();
    expect(await town.transactions.execute(workflow, { id, input })).toBe(900);
    expect(await town.books(id)).toEqual(MADE);
    expect(await town.costOf(id)).toMatchObject({ workflowTasks: 1, activities: 0, timers: 0, signals: 0, actions: 2 });
  });

  it.each(WORKFLOWS)('%s in a group is one task and two actions, however many travel', async (workflow) => {
    // A busy machine leaves one waiting now and then, which is then asked again: in another group.
    for (let tried = 1; ; tried++) {
      const { ids, answers, groups } = await town.makeTogether(workflow);
      expect(answers).toEqual(ids.map(() => 900));
      for (const id of ids) expect(await town.books(id)).toEqual(MADE);
      expect(groups).toHaveLength(1);
      const cost = await town.costOf(groups[0] ?? '');
      expect(cost.activities).toBe(0);
      if (cost.workflowTasks > 1 && tried < 5) continue;
      expect(cost).toMatchObject({ workflowTasks: 1, timers: 0, actions: 2 });
      return;
    }
  });

  it('one that is refused in a group leaves the others alone', async () => {
    const [refused, ...others] = Array.from({ length: 8 }, (_, i) =>
      town.newTransfer(i === 0 ? { from: 'nobody' } : {}),
    );
    const hears = expect(town.grouped.execute('transferBySaga', refused!)).rejects.toBeInstanceOf(
      TransactionCompensated,
    );
    const { ids, answers } = await town.makeTogether('transferBySaga', others);
    expect(answers).toEqual(ids.map(() => 900));
    await hears;
    expect(await town.books(refused!.id)).toEqual({ 'north-bank': NOTHING, 'south-bank': NOTHING });
  });

  it.each(WORKFLOWS)('%s hears a refusal, and is undone', async (workflow) => {
    const { id, input } = town.newTransfer({ to: 'nobody' });
    const refused = workflow === 'transferBySaga' ? TransactionCompensated : TransactionAborted;
    await expect(town.transactions.execute(workflow, { id, input })).rejects.toBeInstanceOf(refused);
    const { 'north-bank': north, 'south-bank': south } = await town.books(id);
    expect(north).toMatchObject({ net: 0, waiting: 0 });
    expect(south).toEqual(NOTHING);
    // A refusal is an answer: nobody is asked for it a second time.
    const { events = [] } = await town.historyOf(id);
    const asked = events?.map(
      ({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes?.activityType?.name,
    );
    expect(asked).not.toContain('credit');
    expect(asked).not.toContain('credit.prepare');
    expect(asked).not.toContain('receive.try');
  });

  it.each(WORKFLOWS)('%s gives the same answer to who asks again', async (workflow) => {
    const { id, input } = town.newTransfer();
    const answers = [
      await town.transactions.execute(workflow, { id, input }),
      await town.transactions.execute(workflow, { id, input }),
    ];
    expect(answers).toEqual([900, 900]);
    expect(await town.books(id)).toEqual(MADE);
  });

  it('has time for an attempt at what has to succeed, however soon a person is to be told', async () => {
    const [done, undone] = [town.newTransfer(), town.newTransfer({ to: 'nobody' })];
    expect(await town.transactions.execute('transferImpatientlyPastThePivot', { ...done, timeoutMs: 20_000 })).toBe(
      900,
    );
    expect(await town.books(done.id)).toEqual(MADE);
    const turnedBack = town.transactions.execute('transferImpatiently', { ...undone, timeoutMs: 20_000 });
    await expect(turnedBack).rejects.toBeInstanceOf(TransactionCompensated);
    expect((await town.books(undone.id))['north-bank']).toMatchObject({ net: 0, waiting: 0 });
  }, 60_000);

  it('goes on by activities, with their retries, while a database is away', async () => {
    const { id, input } = town.newTransfer();
    await town.stack.postgres.b.kill();
    const made = town.transactions.execute('transferBySaga', { id, input });
    await until('the credit is asked for by an activity', async () => {
      const { events = [] } = await town.historyOf(id).catch(() => ({ events: [] }));
      return (
        events?.some((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'credit') ?? false
      );
    });
    await town.stack.postgres.b.restart();
    expect(await made).toBe(900);
    expect(await town.books(id)).toEqual(MADE);
  }, 60_000);

  it('asks by activities for transfers that updates ask for, many at once, and answers all of them', async () => {
    // No more than the server takes at a time: what SDK core does with more is shown in known-trouble.test.ts.
    const transfers = Array.from({ length: 8 }, () => town.newTransfer());
    const teller = await town.client.workflow.start('teller', {
      workflowId: town.newTransfer().id,
      taskQueue: 'transactions',
      args: [transfers.length],
    });
    const balances = await Promise.all(
      transfers.map(({ id, input }) => teller.executeUpdate('pay', { args: [id, input] })),
    );
    await teller.result();
    expect(balances).toEqual(transfers.map(() => 900));
    expect(await askedNear(teller.workflowId)).toEqual([]);
    for (const { id } of transfers) expect(await town.books(id)).toEqual(MADE);
  }, 60_000);

  it('asks by activities from the moment at which somebody waits for the decision', async () => {
    const { id, input } = town.newTransfer();
    const startWorkflowOperation = new WithStartWorkflowOperation('transferByTwoPhaseCommit', {
      workflowId: id,
      taskQueue: 'transactions',
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
    });
    const decision = town.client.workflow.executeUpdateWithStart('decision', { startWorkflowOperation });
    expect(await decision).toMatchObject({ decision: 'commit' });
    expect(await town.transactions.handle(id).result()).toBe(900);
    expect(await askedNear(id)).toEqual([]);
    expect(await town.books(id)).toEqual(MADE);
  });

  it('asks by activities once a person has ruled', async () => {
    const { id, input } = town.newTransfer();
    const handle = await town.transactions.start('transferOnceRuled', { id, input });
    const ruling = { step: 'doubtful', reason: 'seen', by: 'me', as: 'done' };
    await until('it is held', () =>
      town.client.workflow
        .getHandle(id)
        .executeUpdate('resolve', { args: [ruling] })
        .then(
          () => true,
          () => false,
        ),
    );
    expect(await handle.result()).toBe(900);
    expect(await askedNear(id)).toEqual([]);
    expect(await town.books(id)).toEqual(MADE);
  });

  it('starts what is started there with the answer to the start', async () => {
    const { id, input } = town.newTransfer();
    expect(await house.coordinator.transactions().execute('transferBySaga', { id, input })).toBe(900);
    const { events } = await town.historyOf(id);
    expect(events?.[0]?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted).toBe(true);
  });

  it('starts a group of what is started there in the same way', async () => {
    const grouped = house.coordinator.transactions({ grouping: true });
    const { ids, answers, groups } = await town.makeTogether('transferBySaga', undefined, grouped);
    expect(answers).toEqual(ids.map(() => 900));
    const { events } = await town.historyOf(groups[0] ?? '');
    expect(events?.[0]?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted).toBe(true);
  });
});

describe('a coordinator that has only some of them', () => {
  it.each([[['north-bank']], [[]]] as const)(
    '%j asks the others as ever',
    async (colocated) => {
      const house = await openHouse(colocated);
      try {
        for (const workflow of WORKFLOWS) {
          const { id, input } = town.newTransfer();
          expect(await town.transactions.execute(workflow, { id, input })).toBe(900);
          expect(await town.books(id)).toEqual(MADE);
          const { ids, answers } = await town.makeTogether(workflow);
          expect(answers).toEqual(ids.map(() => 900));
          for (const id of ids) expect(await town.books(id)).toEqual(MADE);
        }
      } finally {
        await house.stop();
      }
    },
    60_000,
  );
});

describe('a house that is killed', () => {
  let house: ServiceProcess;

  beforeAll(async () => {
    house = await town.startHouse();
  }, 60_000);

  afterAll(async () => {
    await house?.stop();
  });

  const IN_GROUPS: readonly (readonly [(typeof WORKFLOWS)[number], CrashpointName])[] = [
    ['transferBySaga', 'branch.committed-before-report'],
    ['transferBySaga', 'many.done-before-report'],
    ['transferByTwoPhaseCommit', 'two-phase.prepared-before-vote'],
    ['transferByTwoPhaseCommit', 'two-phase.committed-before-ack'],
    ['transferByTryConfirmCancel', 'many.done-before-report'],
  ];

  it.skipIf(!isTurnOf('kills of a house', 'in groups')).each(some(IN_GROUPS, 1, 'kills of a house with a group'))(
    'with a group of %s at %s makes each transfer all the same, once',
    async (workflow, at) => {
      await startAgain(house, [{ at, action: { kind: 'kill' } }]);
      const made = town.makeTogether(workflow);
      await house.died();
      await house.start();
      const { ids, answers } = await made;
      expect(answers).toEqual(ids.map(() => 900));
      for (const id of ids) expect(await town.books(id)).toEqual(MADE);
    },
    90_000,
  );

  const KILLS: readonly (readonly [(typeof WORKFLOWS)[number], CrashpointName])[] = [
    ['transferBySaga', 'branch.before-commit'],
    ['transferBySaga', 'branch.committed-before-report'],
    ['transferByTwoPhaseCommit', 'two-phase.prepared-before-vote'],
    ['transferByTwoPhaseCommit', 'two-phase.decided-before-finish'],
    ['transferByTwoPhaseCommit', 'two-phase.finished-before-report'],
    ['transferByTwoPhaseCommit', 'two-phase.committed-before-ack'],
    ['transferByTryConfirmCancel', 'try.committed-before-vote'],
    ['transferByTryConfirmCancel', 'confirm.committed-before-report'],
  ];

  it.skipIf(!isTurnOf('kills of a house', 'alone')).each(some(KILLS, 1, 'kills of a house'))(
    'in %s at %s makes the transfer all the same, once',
    async (workflow, at) => {
      await startAgain(house, [{ at, action: { kind: 'kill' } }]);
      const { id, input } = town.newTransfer();
      const made = town.transactions.execute(workflow, { id, input });
      await house.died();
      await house.start();
      expect(await made).toBe(900);
      expect(await town.books(id)).toEqual(MADE);
    },
    90_000,
  );
});
