/** What callers of a grouping client see: what they see of one that does not group. */
import { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { describe, expect, it, vi } from 'vitest';
import {
  ClientClosed,
  InvalidPatience,
  QueueFull,
  TransactionClient,
  TransactionCompensated,
  TransactionGoesOn,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionNotFound,
  TransactionTimeout,
} from '../../src/client';
import type { WaitOptions } from '../../src/client';
import { tellingUnreadable } from '../../src/client/unreadable';
import { HERITAGE_MEMO } from '../../src/observability';
import { until } from '../end-to-end/fixture';
import { useGroups } from './fixture';
import type { Member } from './fixture';
import type { Deed } from './workflows';

const groups = useGroups();
const BOTH: readonly Deed[] = [{ at: 'left' }, { at: 'right' }];

/** Goes alone from the start: its input has no room in a group. */
const TOO_LARGE_FOR_GROUPS: Deed = { at: 'left', does: 'x'.repeat(510_000) };

const execute = (client: TransactionClient, { id, deeds }: Member, type = 'inSteps', more: object = {}) =>
  client.execute<readonly Deed[], readonly string[]>(type, { id, input: deeds, ...more });

const errorOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'no error',
    (error: unknown) => error,
  );

const hasWorkflow = (id: string): Promise<boolean> =>
  groups()
    .transactions.handle(id)
    .status()
    .then(
      () => true,
      () => false,
    );

/** The workflows that Temporal lists, by type. */
async function workflowsOf(type: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { workflowId } of groups().server.client.workflow.list({ query: `WorkflowType = '${type}'` }))
    found.push(workflowId);
  return found;
}
const groupsRunning = async (): Promise<string[]> => {
  const found: string[] = [];
  const query = "WorkflowType = 'runGroup' and ExecutionStatus = 'Running'";
  for await (const { workflowId } of groups().server.client.workflow.list({ query })) found.push(workflowId);
  return found;
};

/** Has a group keep the place of a client that has one, at a participant that is away. @returns what ends it */
async function occupy(client: TransactionClient): Promise<() => Promise<void>> {
  await groups().stopWorker('left');
  const underWay = groups()
    .members(2, [{ at: 'left' }])
    .map((member) => execute(client, member));
  await until('the group runs', async () => (await groupsRunning()).length === 1);
  return async () => {
    await groups().startWorker('left');
    await Promise.all(underWay);
  };
}

describe('a client that groups', () => {
  it('lets a lone transaction go at once, as the workflow that it is', async () => {
    const [member] = groups().members(1, BOTH);
    expect(await execute(groups().clientOf(), member!)).toEqual([member!.id, member!.id]);
    expect(await groups().transactions.handle(member!.id).status()).toBe('COMPLETED');
  });

  it('lets travel together what comes at the same time, each type by itself', async () => {
    const client = groups().clientOf({ maxSize: 8, inFlight: 2 });
    const sagas = groups().members(20, BOTH);
    const commits = groups().members(4, BOTH);
    const results = await Promise.all([
      ...sagas.map((member) => execute(client, member)),
      ...commits.map((member) => execute(client, member, 'atOnce')),
    ]);
    expect(results).toEqual([...sagas, ...commits].map(({ id }) => [id, id]));
    await until('all are listed', async () => (await workflowsOf('runGroup')).length >= 4);
    const listed = await workflowsOf('runGroup');
    expect(listed.filter((id) => id.startsWith('group:inSteps:')).length).toBe(3);
    expect(listed.filter((id) => id.startsWith('group:atOnce:')).length).toBe(1);
  });

  it('gives each caller an error of its own', async () => {
    const client = groups().clientOf();
    const members = groups().members(4, BOTH);
    members[1] = { id: groups().newId(), deeds: [{ at: 'left', does: 'refuse' }] };
    members[2] = { id: groups().newId(), deeds: [{ at: 'left' }, { at: 'right', does: 'refuse' }] };
    const ends = await Promise.allSettled(members.map((member) => execute(client, member)));
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    for (const i of [1, 2]) {
      const { reason } = ends[i] as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(TransactionCompensated);
      expect(reason).toMatchObject({ id: members[i]?.id, report: { id: members[i]?.id, outcome: 'compensated' } });
    }
  });

  it('gives one transaction to all who ask for it at the same time', async () => {
    const client = groups().clientOf();
    const members = groups().members(2, BOTH);
    const [first, second, other] = await Promise.allSettled([
      execute(client, members[0]!),
      execute(client, members[0]!),
      execute(client, { id: members[0]!.id, deeds: [{ at: 'left' }] }),
      execute(client, members[1]!),
    ]);
    expect(first).toEqual(second);
    expect(other).toMatchObject({ reason: expect.any(TransactionInputMismatch) });
    expect(await groups().marks(members[0]!.id)).toEqual(['left.act done', 'right.act done']);
  });

  it('refuses what its queue has no room for, and starts nothing of it', async () => {
    const client = groups().clientOf({ queueLimit: 10, inFlight: 1 });
    const members = groups().members(7, BOTH);
    const ends = await Promise.allSettled(members.map((member) => execute(client, member)));
    const refused = ends.flatMap((end, i) => (end.status === 'rejected' ? [{ i, reason: end.reason as unknown }] : []));
    expect(refused.map(({ i }) => i)).toEqual([5, 6]);
    for (const { i, reason } of refused) {
      expect(reason).toBeInstanceOf(QueueFull);
      expect(await groups().marks(members[i]!.id)).toEqual([]);
    }
    expect(await execute(client, members[6]!)).toEqual([members[6]!.id, members[6]!.id]);
  });

  it('lets a quiet workflow type pass one that is flooded', async () => {
    const client = groups().clientOf({ queueLimit: 20, inFlight: 1, maxSize: 4 });
    await groups().stopWorker('left');
    const flood = groups().members(11, [{ at: 'left' }]);
    let ended = 0;
    const flooded = flood.map((member) => errorOf(execute(client, member).finally(() => ended++)));
    // Its lane is full: one group is under way, others wait, and there is no more room.
    expect(await flooded[10]).toBeInstanceOf(QueueFull);
    const quiet = groups().members(2, [{ at: 'right' }]);
    const results = await Promise.all(quiet.map((member) => execute(client, member, 'atOnce')));
    expect(results).toEqual(quiet.map(({ id }) => [id]));
    expect(ended).toBe(1);
    await groups().startWorker('left');
    // Closing lets go of what has had a workflow of its own for a second.
    await client.drain();
    await client.close();
    expect(ended).toBe(flood.length);
    for (const { id } of flood.slice(0, 10)) expect(await groups().marks(id)).toEqual(['left.act done']);
  });

  it('finishes what it has when it is closed, and takes nothing more', async () => {
    const client = groups().clientOf();
    const running = groups()
      .members(10, BOTH)
      .map((member) => execute(client, member));
    let ended = 0;
    for (const one of running) void one.then(() => ended++);
    await client.close();
    expect(ended).toBe(10);
    const [late] = groups().members(1, BOTH);
    await expect(execute(client, late!)).rejects.toBeInstanceOf(ClientClosed);
    expect(await groups().marks(late!.id)).toEqual([]);
  });

  it("counts what has a workflow of its own as its tenant's, and has room for the others", async () => {
    const client = groups().clientOf({ queueLimit: 8 });
    await groups().stopWorker('left');
    const large = groups().members(4, [TOO_LARGE_FOR_GROUPS]);
    const ends = Promise.allSettled(large.map((member) => execute(client, member, 'inSteps', { tenant: 'a' })));
    for (const { id } of large) await until(`${id} is under way`, () => hasWorkflow(id));
    const [refused, ...others] = groups().members(4, [{ at: 'right' }]);
    const error = await errorOf(execute(client, refused!, 'inSteps', { tenant: 'a' }));
    expect(error).toMatchObject({ name: 'QueueFull', tenant: 'a', limit: 4 });
    const tenants = ['b', 'c', ''];
    const results = others.map((member, i) => execute(client, member, 'inSteps', { tenant: tenants[i] }));
    expect(await Promise.all(results)).toEqual(others.map(({ id }) => [id]));
    await groups().startWorker('left');
    for (const end of await ends) expect(end).toMatchObject({ status: 'fulfilled' });
    expect(await execute(client, refused!, 'inSteps', { tenant: 'a' })).toEqual([refused!.id]);
  });

  it('lets go of what has a workflow of its own when it is closed, and tells that it goes on', async () => {
    const client = groups().clientOf();
    await groups().stopWorker('left');
    const held = { id: groups().newId('held'), deeds: [{ at: 'left' }] } as const;
    const large = { id: groups().newId('large'), deeds: [TOO_LARGE_FOR_GROUPS] };
    const others = groups().members(2, [{ at: 'right' }]);
    const [lone, tooLarge] = [errorOf(execute(client, held)), errorOf(execute(client, large))];
    const finished = others.map((member) => execute(client, member));
    await client.close();
    for (const [error, { id }] of [[await lone, held] as const, [await tooLarge, large] as const]) {
      expect(error).toBeInstanceOf(TransactionGoesOn);
      expect(error).toMatchObject({ id, where: 'workflow' });
      expect(error).toMatchObject({ message: expect.stringMatching(/^It is not known how transaction .* it goes on/) });
    }
    expect(await Promise.all(finished)).toEqual(others.map(({ id }) => [id]));
    await groups().startWorker('left');
    expect(await groups().transactions.handle(held.id).result()).toEqual([held.id]);
    expect(await groups().transactions.handle(large.id).result()).toEqual([large.id]);
  });

  it.each<[string, () => WaitOptions]>([
    ['its time is up', () => ({ timeoutMs: 200 })],
    ['it is told to', () => ({ signal: AbortSignal.timeout(200) })],
    ['it had been told to', () => ({ signal: AbortSignal.abort() })],
  ])('closes when %s, and starts nothing of what still waits', async (_, wait) => {
    const client = groups().clientOf({ inFlight: 1 });
    await groups().stopWorker('left');
    const travelling = groups().members(2, [{ at: 'left' }]);
    const ends = travelling.map((member) => errorOf(execute(client, member)));
    await until('the group runs', async () => (await groupsRunning()).length === 1);
    const [late] = groups().members(1, BOTH);
    const notStarted = errorOf(execute(client, late!));
    await client.close(wait());
    expect(await notStarted).toBeInstanceOf(ClientClosed);
    expect(await notStarted).toMatchObject({
      id: late!.id,
      message: expect.stringMatching(/^Nothing was started: this client was closed before /),
    });
    for (const [i, end] of ends.entries())
      expect(await end).toMatchObject({ name: 'TransactionGoesOn', id: travelling[i]?.id, where: 'group' });
    await groups().startWorker('left');
    const again = await Promise.all(travelling.map((member) => execute(groups().clientOf(), member)));
    expect(again).toEqual(travelling.map(({ id }) => [id]));
    for (const { id } of travelling) expect(await groups().marks(id)).toEqual(['left.act done']);
    expect(await groups().marks(late!.id)).toEqual([]);
  });

  it('asks Temporal nothing more once it is closed', async () => {
    const asking = vi.spyOn(groups().server.client, 'withAbortSignal');
    try {
      const client = groups().clientOf();
      await groups().stopWorker('left');
      const [own, starting, ...travelling] = groups().members(4, [{ at: 'left' }]);
      const ends = [errorOf(execute(client, own!))];
      await until('the first one is under way', () => hasWorkflow(own!.id));
      ends.push(...travelling.map((member) => errorOf(execute(client, member))));
      await until('the group runs', async () => (await groupsRunning()).length === 1);
      ends.push(errorOf(execute(client, { id: starting!.id, deeds: [TOO_LARGE_FOR_GROUPS] })));
      await client.close({ timeoutMs: 0 });
      const places = await Promise.all(ends);
      expect(places).toMatchObject(['workflow', 'group', 'group', 'group'].map((where) => ({ where })));
      // That was on its way to Temporal.
      await until('the last one is under way', () => hasWorkflow(starting!.id));
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(asking.mock.calls.length).toBeGreaterThan(1);
      for (const [signal] of asking.mock.calls) expect(signal.aborted).toBe(true);
      await groups().startWorker('left');
      for (const { id } of [own!, starting!]) expect(await groups().transactions.handle(id).result()).toEqual([id]);
      await Promise.all(travelling.map((member) => execute(groups().clientOf(), member)));
    } finally {
      asking.mockRestore();
    }
  });

  it('refuses to be closed with a patience that is none', async () => {
    await expect(groups().clientOf().close({ timeoutMs: -1 })).rejects.toBeInstanceOf(InvalidPatience);
  });

  it('is drained when all has ended that came before, whatever comes meanwhile', async () => {
    const client = groups().clientOf();
    const [first, second] = groups().members(2, [{ at: 'left', does: 'wait for the test' }]);
    const goOn = [await groups().holdUp(first!.id), await groups().holdUp(second!.id)];
    const ends = [execute(client, first!)];
    await until('the first one is under way', () => hasWorkflow(first!.id));
    let isDrained = false;
    void client.drain().then(() => (isDrained = true));
    ends.push(execute(client, second!));
    try {
      expect(isDrained).toBe(false);
      await goOn[0]?.();
      await until('it is drained', async () => isDrained);
      expect(await groups().marks(first!.id)).toEqual(['left.act done']);
      expect(await groups().marks(second!.id)).toEqual([]);
    } finally {
      await goOn[1]?.();
    }
    expect(await Promise.all(ends)).toEqual([[first!.id], [second!.id]]);
  });

  it('starts nothing for whoever lost patience before it had its place', async () => {
    const client = groups().clientOf({ inFlight: 1 });
    const release = await occupy(client);
    const [late] = groups().members(1, BOTH);
    const error: unknown = await execute(client, late!, 'inSteps', { timeoutMs: 50 }).catch((e: unknown) => e);
    await release();
    expect(error).toBeInstanceOf(TransactionTimeout);
    expect(error).toMatchObject({ where: 'queue' });
    await client.close();
    expect(await groups().marks(late!.id)).toEqual([]);
  });

  it('lets one be executed again at the moment when it was given up', async () => {
    // With the two that are under way there is room for one more.
    const client = groups().clientOf({ inFlight: 1, queueLimit: 5 });
    const release = await occupy(client);
    const [late, other] = groups().members(2, BOTH);
    const giveUp = new AbortController();
    const first = errorOf(execute(client, late!, 'inSteps', { signal: giveUp.signal }));
    giveUp.abort(new Error('given up'));
    const again = execute(client, late!);
    const refused = errorOf(execute(client, other!));
    const results = Promise.allSettled([again]);
    await release();
    expect(await first).toMatchObject({ message: 'given up' });
    expect(await results).toEqual([{ status: 'fulfilled', value: [late!.id, late!.id] }]);
    expect(await refused).toBeInstanceOf(QueueFull);
    expect(await groups().marks(late!.id)).toEqual(['left.act done', 'right.act done']);
    expect(await groups().marks(other!.id)).toEqual([]);
  });

  it('tells one of several callers of an id that it may start, and the last one that it does not', async () => {
    const client = groups().clientOf({ inFlight: 1 });
    const release = await occupy(client);
    const [late, both] = groups().members(2, BOTH);
    const giveUp = AbortSignal.timeout(50);
    const ends = [
      errorOf(execute(client, late!, 'inSteps', { timeoutMs: 50 })),
      errorOf(execute(client, late!, 'inSteps', { timeoutMs: 100 })),
      errorOf(execute(client, both!, 'inSteps', { signal: giveUp })),
      errorOf(execute(client, both!, 'inSteps', { signal: giveUp })),
    ];
    try {
      expect(await ends[0]).toMatchObject({ name: 'TransactionTimeout', where: 'queue of another caller' });
      expect(await ends[0]).toMatchObject({ message: expect.stringMatching(/^Nothing was started yet: /) });
      expect(await ends[1]).toMatchObject({ name: 'TransactionTimeout', where: 'queue' });
      for (const end of ends.slice(2)) expect(await end).toMatchObject({ name: 'TimeoutError' });
    } finally {
      await release();
    }
    await client.close();
    for (const { id } of [late!, both!]) expect(await groups().marks(id)).toEqual([]);
  });

  it('says of one whose time is up in a workflow of its own that it can be awaited there', async () => {
    const client = groups().clientOf();
    const [slow] = groups().members(1, [{ at: 'left', does: 'wait for the test' }]);
    const release = await groups().holdUp(slow!.id);
    const error = await errorOf(execute(client, slow!, 'inSteps', { timeoutMs: 5_000 }));
    await release();
    expect(error).toMatchObject({ name: 'TransactionTimeout', where: 'workflow' });
    expect(await client.handle(slow!.id).result()).toEqual([slow!.id]);
  });

  it('starts nothing for whoever had given up before', async () => {
    const client = groups().clientOf();
    const members = groups().members(2, BOTH);
    const signal = AbortSignal.abort(new Error('given up'));
    const ends = await Promise.allSettled(members.map((member) => execute(client, member, 'inSteps', { signal })));
    for (const end of ends) expect(end).toMatchObject({ reason: { message: 'given up' } });
    await client.close();
    for (const { id } of members) expect(await groups().marks(id)).toEqual([]);
  });

  it('says of one whose time is up in its group that it goes on', async () => {
    const client = groups().clientOf({ inFlight: 1 });
    await groups().stopWorker('left');
    const slow = groups().members(2, [{ at: 'left' }]);
    const ends = await Promise.allSettled(slow.map((one) => execute(client, one, 'inSteps', { timeoutMs: 200 })));
    await groups().startWorker('left');
    for (const end of ends) expect(end).toMatchObject({ reason: { name: 'TransactionTimeout', where: 'group' } });
    await client.close();
    expect(await execute(groups().transactions, slow[0]!)).toEqual([slow[0]!.id]);
    expect(await groups().marks(slow[0]!.id)).toEqual(['left.act done']);
  });

  it('goes alone where the workers let nothing of that type travel, and asks again a minute later only', async () => {
    const client = groups().clientOf();
    const batch = () => groups().members(2, BOTH);
    const executeAll = (members: readonly Member[]) =>
      Promise.all(members.map((member) => execute(client, member, 'travelsAlone')));
    const asked = async () =>
      (await workflowsOf('runGroup')).filter((id) => id.startsWith('group:travelsAlone:')).length;
    for (const members of [batch(), batch()])
      expect(await executeAll(members)).toEqual(members.map(({ id }) => [id, id]));
    const now = performance.now.bind(performance);
    const later = vi.spyOn(performance, 'now').mockImplementation(() => now() + 61_000);
    try {
      await executeAll(batch());
    } finally {
      later.mockRestore();
    }
    await until('both questions are listed', async () => (await asked()) >= 2);
    expect(await asked()).toBe(2);
  });

  it('names to each caller its own transaction when the answer of its group cannot be read', async () => {
    const { connection, options } = groups().server.client;
    const locked: PayloadCodec = {
      encode: async (payloads) => payloads,
      decode: async () => Promise.reject(new Error('The key is lost.')),
    };
    const dataConverter = tellingUnreadable({ payloadCodecs: [locked] });
    const stranger = new Client({ connection, namespace: options.namespace, dataConverter });
    const client = new TransactionClient({ client: stranger, grouping: true });
    const members = groups().members(2, BOTH);
    const errors = await Promise.all(members.map((member) => errorOf(execute(client, member))));
    for (const [i, error] of errors.entries()) {
      expect(error).toMatchObject({ name: 'AnswerUnreadable', id: members[i]?.id });
      expect(error).toMatchObject({ message: expect.stringContaining(` transaction ${members[i]?.id}: `) });
      expect(error).toMatchObject({ cause: { message: 'The key is lost.' } });
    }
  });

  it('does not claim that nothing was changed where a transaction has ended in its group', async () => {
    const client = groups().clientOf();
    const members = groups().members(2, BOTH);
    await Promise.all(members.map((member) => execute(client, member)));
    const [{ id } = { id: '' }] = members;
    for (const ask of [() => client.handle(id).result(), () => client.handle(id).status()]) {
      const error = await errorOf(ask());
      expect(error).toBeInstanceOf(TransactionNotFound);
      expect(error).toMatchObject({ id, message: expect.stringMatching(/^It is not known whether transaction /) });
      expect(error).toMatchObject({ message: expect.stringMatching(/ in a group.* temporal-txn show /) });
    }
    // What it says to do answers what it came to.
    for (const way of [client, groups().transactions]) expect(await execute(way, members[0]!)).toEqual([id, id]);
    expect(await groups().marks(id)).toEqual(['left.act done', 'right.act done']);
  });

  it('gives its summary to one that leaves its group', async () => {
    const client = groups().clientOf();
    const leaving = groups().members(2, [{ at: 'left' }, { at: 'right', does: 'refuse' }]);
    const summary = 'Two nights in the mountains';
    await Promise.allSettled(leaving.map((member) => execute(client, member, 'inSteps', { summary })));
    for (const { id } of leaving) {
      const description = await groups().server.client.workflow.getHandle(id).describe();
      expect(description.memo).toHaveProperty(HERITAGE_MEMO);
      expect(await description.staticSummary()).toBe(summary);
    }
  });

  it('tells what to do when somebody terminates a group, and that does it', async () => {
    await groups().stopWorker('right');
    const client = groups().clientOf();
    const members = groups().members(2, BOTH);
    const ends = Promise.allSettled(members.map((member) => execute(client, member)));
    await until('the first step is done', async () => (await groups().marks(members[1]!.id)).length === 1);
    await until('the group is listed', async () => (await groupsRunning()).length === 1);
    for (const id of await groupsRunning()) await groups().server.client.workflow.getHandle(id).terminate();
    for (const end of await ends) expect(end).toMatchObject({ reason: expect.any(TransactionInterrupted) });
    await groups().startWorker('right');
    const again = await Promise.all(members.map((member) => execute(client, member)));
    expect(again).toEqual(members.map(({ id }) => [id, id]));
    for (const { id } of members) expect(await groups().marks(id)).toEqual(['left.act done', 'right.act done']);
  });
});
