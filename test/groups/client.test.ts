/** What callers of a grouping client see: what they see of one that does not group. */
import { describe, expect, it } from 'vitest';
import {
  ClientClosed,
  QueueFull,
  TransactionCompensated,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionTimeout,
} from '../../src/client';
import type { TransactionClient } from '../../src/client';
import { until } from '../end-to-end/fixture';
import { useGroups } from './fixture';
import type { Member } from './fixture';
import type { Deed } from './workflows';

const groups = useGroups();
const BOTH: readonly Deed[] = [{ at: 'left' }, { at: 'right' }];

const execute = (client: TransactionClient, { id, deeds }: Member, type = 'inSteps', more: object = {}) =>
  client.execute<readonly Deed[], readonly string[]>(type, { id, input: deeds, ...more });

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
    const client = groups().clientOf({ queueLimit: 5, inFlight: 1 });
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

  it('starts nothing for whoever lost patience before it had its place', async () => {
    const client = groups().clientOf({ inFlight: 1 });
    const slow = groups().members(2, [{ at: 'left', does: 'take long', ms: 1_500 }]);
    const underWay = slow.map((member) => execute(client, member));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const [late] = groups().members(1, BOTH);
    const error: unknown = await execute(client, late!, 'inSteps', { timeoutMs: 50 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TransactionTimeout);
    expect(error).toMatchObject({ where: 'queue' });
    await Promise.all(underWay);
    await client.close();
    expect(await groups().marks(late!.id)).toEqual([]);
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
    const slow = groups().members(2, [{ at: 'left', does: 'take long', ms: 500 }]);
    const ends = await Promise.allSettled(slow.map((one) => execute(client, one, 'inSteps', { timeoutMs: 200 })));
    for (const end of ends) expect(end).toMatchObject({ reason: { name: 'TransactionTimeout', where: 'group' } });
    await client.close();
    expect(await execute(groups().transactions, slow[0]!)).toEqual([slow[0]!.id]);
    expect(await groups().marks(slow[0]!.id)).toEqual(['left.act done']);
  });

  it('goes alone where the workers let nothing of that type travel', async () => {
    const client = groups().clientOf();
    const ends = await Promise.allSettled(
      groups()
        .members(2, BOTH)
        .map((member) => execute(client, member, 'travelsAlone')),
    );
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
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
