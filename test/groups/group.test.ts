/** What becomes of the members of a group, on real PostgreSQL. */
import { describe, expect, it } from 'vitest';
import { TransactionCompensated } from '../../src/client';
import { FailureType } from '../../src/protocol';
import type { GroupOutcome } from '../../src/protocol';
import { kinds, retried, useGroups } from './fixture';
import type { Deed } from './workflows';

const groups = useGroups();

const BOTH: readonly Deed[] = [{ at: 'left' }, { at: 'right' }];
const left = (does: string, ms?: number): Deed => ({ at: 'left', does, ...(ms === undefined ? {} : { ms }) });
const right = (does: string, ms?: number): Deed => ({ at: 'right', does, ...(ms === undefined ? {} : { ms }) });

/** The first one leaves. On a busy machine others are late too, and leave with it: then it is tried again. */
async function expectOthersToStay(attempt: () => Promise<readonly GroupOutcome[]>): Promise<void> {
  const others = await retried(
    async () => {
      const [first, ...rest] = kinds(await attempt());
      expect(first).toBe('on-its-own');
      return rest;
    },
    (all) => all.every((kind) => kind === 'ended'),
  );
  expect(new Set(others)).toEqual(new Set(['ended']));
}

describe('a group that goes well', () => {
  it.each([
    { type: 'inSteps', activities: 2 },
    // Prepare at both, decide at the left one, commit at the right one.
    { type: 'atOnce', activities: 4 },
  ])('asks each participant once for all of it: $type', async ({ type, activities }) => {
    const run = async () => {
      const members = groups().members(25, BOTH);
      const group = await groups().begin(type, members, 'runPatientGroup');
      const { outcomes } = await group.result();
      expect(outcomes).toEqual(members.map(({ id }) => ({ kind: 'ended', id, result: [id, id] })));
      for (const { id } of members) expect(await groups().marks(id)).toEqual(['left.act done', 'right.act done']);
      const { events } = await group.fetchHistory();
      return { members, scheduled: (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes) };
    };
    // An activity may end without those that keep the others waiting, and they are asked again.
    const { members, scheduled } = await retried(run, (one) => one.scheduled.length === activities);
    expect(scheduled).toHaveLength(activities);
    // Each of them is in the event groups of all branches that it asks for.
    const asked = scheduled.map(({ eventGroupMarkers }) => (eventGroupMarkers ?? []).map(({ label }) => label?.id));
    for (const at of ['left', 'right'])
      expect(asked.filter((labels) => labels[0]?.endsWith(`/${at}.act`))).toEqual(
        Array.from({ length: activities / 2 }, () => members.map(({ id }) => `${id}/${at}.act`)),
      );
    expect(await groups().prepared()).toBe(0);
  });

  it('tells how each of them stands', async () => {
    const members = groups().members(3, BOTH);
    const group = await groups().begin('inSteps', members, 'runPatientGroup');
    await group.result();
    const reports = await group.query('report');
    expect(reports).toMatchObject(members.map(({ id }) => ({ id, outcome: 'committed' })));
  });
});

describe('a member that withdraws', () => {
  it('has its transaction aborted, which nothing cuts off', async () => {
    const members = groups().members(3, BOTH);
    const outcomes = await groups().run('withdrawing', members, 'runPatientGroup');
    expect(outcomes).toEqual(members.map(({ id }) => ({ kind: 'ended', id, result: FailureType.TransactionAborted })));
    for (const { id } of members) expect(await groups().marks(id)).toEqual([]);
    expect(await groups().prepared()).toBe(0);
  });
});

describe('a member that ends before its transaction', () => {
  it('leaves, and ends when that has: committed, or undone where it fails', async () => {
    const [well, badly] = [
      { id: groups().newId(), deeds: BOTH },
      { id: groups().newId(), deeds: [left('end badly'), right('wait for nothing')] },
    ];
    expect(kinds(await groups().run('endsFirst', [well, badly]))).toEqual(['on-its-own', 'on-its-own']);
    const resultOf = ({ id }: typeof well): Promise<unknown> => groups().transactions.handle(id).result();
    expect(await resultOf(well)).toBe('early');
    expect(await groups().marks(well.id)).toEqual(['left.act done', 'right.act done']);
    await expect(resultOf(badly)).rejects.toMatchObject({ cause: { type: 'Elsewhere' } });
    expect(await groups().marks(badly.id)).toEqual([]);
  });
});

describe('a member that is refused', () => {
  it('ends in its group where nothing is to be undone', async () => {
    const members = groups().members(5, BOTH);
    members[2] = { id: groups().newId(), deeds: [left('refuse')] };
    const outcomes = await groups().run('inSteps', members, 'runPatientGroup');
    expect(kinds(outcomes)).toEqual(['ended', 'ended', 'failed', 'ended', 'ended']);
    expect(outcomes[2]).toMatchObject({
      failure: { type: FailureType.TransactionCompensated, details: [{ cause: { refusal: { code: 'unwanted' } } }] },
    });
    expect(await groups().marks(members[2].id)).toEqual([]);
  });

  it('is undone by a workflow of its own, and nobody waits for it', async () => {
    const members = groups().members(5, BOTH);
    members[2] = { id: groups().newId(), deeds: [left('work'), right('refuse')] };
    const outcomes = await groups().run('inSteps', members, 'runPatientGroup');
    expect(kinds(outcomes)).toEqual(['ended', 'ended', 'on-its-own', 'ended', 'ended']);
    const own = groups().transactions.handle(members[2].id);
    const error: unknown = await own.result().catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(TransactionCompensated);
    expect(error).toMatchObject({ report: { cause: { refusal: { code: 'unwanted' } } } });
    expect(await groups().marks(members[2].id)).toEqual(['left.act done', 'left.act undone']);
  });

  it('aborts by itself in two-phase commit', async () => {
    const members = groups().members(5, BOTH);
    members[2] = { id: groups().newId(), deeds: [left('work'), right('refuse')] };
    const outcomes = await groups().run('atOnce', members, 'runPatientGroup');
    expect(kinds(outcomes)).toEqual(['ended', 'ended', 'failed', 'ended', 'ended']);
    expect(outcomes[2]).toMatchObject({ failure: { type: FailureType.TransactionAborted } });
    expect(await groups().marks(members[2].id)).toEqual([]);
    expect(await groups().prepared()).toBe(0);
  });
});

describe('a member that keeps others waiting', () => {
  it('goes on as a workflow of its own when it waits for a lock', () =>
    expectOthersToStay(async () => {
      const slow = { id: groups().newId(), deeds: [left('wait for the test'), right('work')] };
      const release = await groups().holdUp(slow.id);
      const outcomes = await groups().run('inSteps', [slow, ...groups().members(5, BOTH)], 'runImpatientGroup');
      expect(await groups().marks(slow.id)).toEqual([]);
      await release();
      await groups().transactions.handle(slow.id).result();
      expect(await groups().marks(slow.id)).toEqual(['left.act done', 'right.act done']);
      return outcomes;
    }));

  it('is asked again when it fails, and stays where that helps soon', async () => {
    const once = { id: groups().newId(), deeds: [left('fail once'), right('work')] };
    const outcomes = await groups().run(
      'inSteps',
      [once, ...groups().members(1, [...BOTH, ...BOTH])],
      'runPatientGroup',
    );
    expect(kinds(outcomes)).toEqual(['ended', 'ended']);
    expect(await groups().marks(once.id)).toEqual(['left.act done', 'right.act done']);
  });

  it('leaves when it keeps failing, and is retried alone', () =>
    expectOthersToStay(async () => {
      const failing = { id: groups().newId(), deeds: [left('fail until it travels alone'), right('work')] };
      const outcomes = await groups().run('inSteps', [failing, ...groups().members(3, BOTH)], 'runImpatientGroup');
      expect(await groups().transactions.handle(failing.id).result()).toEqual([failing.id, failing.id]);
      expect(await groups().marks(failing.id)).toEqual(['left.act done', 'right.act done']);
      return outcomes;
    }));

  it('leaves when it is asked again and again and does not answer, though nobody waits for it', async () => {
    const stuck = { id: groups().newId(), deeds: [left('fail once, then wait for the test'), right('work')] };
    const release = await groups().holdUp(stuck.id);
    const outcomes = await groups().run('inSteps', [stuck], 'runImpatientGroup');
    expect(outcomes).toMatchObject([{ kind: 'on-its-own', why: 'it did not end soon' }]);
    await release();
    await groups().transactions.handle(stuck.id).result();
    expect(await groups().marks(stuck.id)).toEqual(['left.act done', 'right.act done']);
  });

  it('leaves when it only dawdles', () =>
    expectOthersToStay(async () => {
      const dawdler = { id: groups().newId(), deeds: [left('dawdle')] };
      const outcomes = await groups().run('dawdling', [dawdler, ...groups().members(2, BOTH)], 'runImpatientGroup');
      expect(await groups().transactions.handle(dawdler.id).result()).toBe(dawdler.id);
      return outcomes;
    }));

  it('leaves even when nobody has ended: a participant is away', async () => {
    await groups().stopWorker('right');
    const members = groups().members(3, BOTH);
    const outcomes = await groups().run('inSteps', members, 'runImpatientGroup');
    expect(kinds(outcomes)).toEqual(['on-its-own', 'on-its-own', 'on-its-own']);
    await groups().startWorker('right');
    for (const { id } of members) {
      await groups().transactions.handle(id).result();
      expect(await groups().marks(id)).toEqual(['left.act done', 'right.act done']);
    }
  });
});

describe('a member whose code is not made for groups', () => {
  it.each(['buggy', 'shrugging', 'hasty', 'misplaced'])('does not stop the others with a bug: %s', async (type) => {
    const buggy = { id: groups().newId(), deeds: [left('meet the bug')] };
    const outcomes = await groups().run(type, [buggy, ...groups().members(3, BOTH)], 'runPatientGroup');
    expect(kinds(outcomes)).toEqual(['on-its-own', 'ended', 'ended', 'ended']);
    await groups().server.client.workflow.getHandle(buggy.id).terminate();
  });

  it('does not keep the others waiting with many steps, each of which is quick', async () => {
    const long = {
      id: groups().newId(),
      deeds: Array.from({ length: 20 }, () => ({ at: 'left', does: 'take long', ms: 200 }) as const),
    };
    const outcomes = await groups().run('inSteps', [long, ...groups().members(2, BOTH)], 'runImpatientGroup');
    expect(kinds(outcomes)).toEqual(['on-its-own', 'ended', 'ended']);
    // A step that is tried again because the machine is busy tells so first.
    expect(outcomes[0]).toMatchObject({
      why: expect.stringMatching(/^the others have ended long before$|^it did not end soon$/),
    });
    await groups().transactions.handle(long.id).result();
    expect(await groups().marks(long.id)).toHaveLength(20);
  });

  it.each(['return a bigint', 'return a circle', 'fail with a bigint', 'fail with a circle'])(
    'does not stop the others when JSON cannot write how it ends: %s',
    async (does) => {
      const strange = { id: groups().newId(), deeds: [left(does)] };
      const outcomes = await groups().run('strange', [strange, ...groups().members(3, BOTH)], 'runPatientGroup');
      expect(kinds(outcomes)).toEqual(['on-its-own', 'ended', 'ended', 'ended']);
      expect(outcomes[0]).toMatchObject({
        started: true,
        why: expect.stringMatching(/^what it ends with cannot be written: /),
      });
      expect(await groups().marks(strange.id)).toEqual(['left.act done']);
      await groups().server.client.workflow.getHandle(strange.id).terminate();
    },
  );

  it('has a workflow of its own tell what would be something else inside of JSON', async () => {
    const [returns, fails] = ['return bytes', 'fail with bytes'].map((does) => ({
      id: groups().newId(),
      deeds: [left(does)],
    }));
    const members = [returns!, fails!, ...groups().members(2, BOTH)];
    const outcomes = await groups().run('strange', members, 'runPatientGroup');
    expect(kinds(outcomes)).toEqual(['on-its-own', 'on-its-own', 'ended', 'ended']);
    const bytes = Uint8Array.of(1, 2, 3);
    expect(await groups().transactions.handle(returns!.id).result()).toEqual(bytes);
    await expect(groups().transactions.handle(fails!.id).result()).rejects.toMatchObject({
      cause: { type: 'Strange', details: [bytes] },
    });
  });

  it('leaves before a transaction that is called otherwise than it is', async () => {
    const [member] = groups().members(1, [{ at: 'left', ms: 1 }, { at: 'right' }]);
    const outcomes = await groups().run('named', [member!]);
    expect(outcomes).toMatchObject([
      { kind: 'on-its-own', started: true, why: 'it calls a transaction named-by-itself-1' },
    ]);
    await groups().transactions.handle(member!.id).result();
    expect(await groups().marks('named-by-itself-1')).toEqual(['left.act done', 'right.act done']);
  });

  it('leaves before a step that no branch log keeps from happening twice', async () => {
    const [member] = groups().members(1, BOTH);
    const outcomes = await groups().run('free', [member!]);
    expect(outcomes).toMatchObject([{ kind: 'on-its-own', started: true }]);
    expect(await groups().transactions.handle(member!.id).result()).toBe(member!.id);
    expect(await groups().marks(member!.id)).toEqual(['left.act done']);
  });
});

describe('a group', () => {
  it('hands everybody over when it is cancelled', async () => {
    await groups().stopWorker('right');
    const members = groups().members(2, BOTH);
    const group = await groups().begin('inSteps', members, 'runPatientGroup');
    await group.cancel();
    const { outcomes } = await group.result();
    await groups().startWorker('right');
    expect(outcomes).toMatchObject(members.map(() => ({ kind: 'on-its-own', why: 'the group was cancelled' })));
    for (const { id } of members) await groups().transactions.handle(id).result();
  });

  it('refuses what does not travel here', async () => {
    const failed = groups().run('unheardOf', groups().members(2, BOTH));
    await expect(failed).rejects.toMatchObject({ cause: { type: FailureType.BadRequest } });
    await expect(groups().run('inSteps', [{ id: 'not an id', deeds: BOTH }])).rejects.toMatchObject({
      cause: { type: FailureType.BadRequest },
    });
    const [member] = groups().members(1, BOTH);
    await expect(groups().run('inSteps', [member!, member!])).rejects.toMatchObject({
      cause: { type: FailureType.BadRequest },
    });
  });

  it('sends no more at a time than Temporal takes', async () => {
    const letters = 20_000;
    const members = groups().members(18, [
      { at: 'left', letters },
      { at: 'right', letters },
    ]);
    const group = await groups().begin('inSteps', members, 'runPatientGroup');
    const { outcomes } = await group.result();
    expect(new Set(kinds(outcomes))).toEqual(new Set(['ended']));
    const { events } = await group.fetchHistory();
    const sizes = (events ?? []).flatMap(
      ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.input?.payloads?.[0]?.data?.length ?? [],
    );
    expect(Math.max(...sizes)).toBeLessThan(510_000);
    expect(sizes.length).toBeGreaterThan(3);
  });

  it('has what its answer has no room for told by workflows of their own', async () => {
    const members = groups().members(5, [left('return much', 150_000)]);
    const outcomes = await groups().run('inSteps', members, 'runPatientGroup');
    expect(kinds(outcomes).filter((kind) => kind === 'ended')).toHaveLength(3);
    for (const { id } of members.slice(3)) {
      expect(await groups().transactions.handle<string[]>(id).result()).toEqual(['x'.repeat(150_000)]);
      expect(await groups().marks(id)).toEqual(['left.act done']);
    }
  });

  it('ends even where hardly anything has room in its answer beside those that have left', async () => {
    const members = groups().members(3, [left('return much', 249_900)]);
    members.push({ id: groups().newId(), deeds: [left('meet the bug')] });
    const outcomes = await groups().run('buggy', members, 'runPatientGroup');
    expect(kinds(outcomes).sort()).toEqual(['ended', 'on-its-own', 'on-its-own', 'on-its-own']);
    await groups().server.client.workflow.getHandle(members[3]!.id).terminate();
  });
});
