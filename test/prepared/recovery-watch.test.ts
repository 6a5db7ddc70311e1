/** What recovery sees: branches that are in doubt for too long, and whether their coordinator is at work. */
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { keyOf, participantActivities } from 'temporal-txn/participant';
import type { Survey } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import { bank } from './bank';
import { newId, settle, SHORT, useBanks, watch } from './fixture';

const banks = useBanks();

describe('a watch', () => {
  it('ends with what is new, and not with what is waited for anyway', async () => {
    const { south } = banks;
    const old = await south.prepareBranch();
    const since = Date.now();
    const asked = watch(south, { forMs: 1_200, everyMs: 50, known: [old.gid] });
    const found = (survey: Survey): string[] => survey.overdue.map(({ gid }) => gid);
    expect(found(await asked)).toEqual([old.gid]);
    expect(Date.now() - since).toBeGreaterThan(1_000);

    const again = watch(south, { forMs: 20_000, everyMs: 50, known: [old.gid] });
    const fresh = await south.prepareBranch();
    expect(found(await again).sort()).toEqual([old.gid, fresh.gid].sort());
    for (const { gid } of [old, fresh]) await settle(south, gid, 'abort');
  });

  it('ends when its worker stops, whatever time it had', async () => {
    const activities = participantActivities(bank, { pool: banks.south.pool, timeouts: SHORT, stopping: () => true });
    const environment = new MockActivityEnvironment(
      { taskQueue: 'south', startToCloseTimeoutMs: 60_000 },
      { logger: new DefaultLogger('ERROR') },
    );
    const found = environment.run(activities['recovery.watch'] as (request: object) => Promise<unknown>, {
      graceMs: 0,
      known: [],
      forMs: 60_000,
      everyMs: 30_000,
    });
    expect(await found).toMatchObject({ overdue: [] });
  });

  it('sees everything of this participant and namespace, and only counts what is of others', async () => {
    const { south } = banks;
    const ours = await south.prepareBranch();
    const theirs = await south.prepareBranch();
    const foreign = [
      theirs.gid.replace(/^txn1_.{8}/, 'txn1_00000000'),
      theirs.gid.replace(/south$/, 'west'),
      'payroll-7',
    ];
    await settle(south, theirs.gid, 'abort');
    for (const gid of foreign) {
      const client = await south.pool.connect();
      await client.query('begin');
      await client.query(`prepare transaction '${gid}'`);
      client.release();
    }
    const { overdue, inDoubt, foreign: seen, slots, oldestAgeMs } = await watch(south);
    expect(overdue.map(({ gid }) => gid)).toEqual([ours.gid]);
    expect(inDoubt).toBe(1);
    expect(seen.map(({ gid }) => gid).sort()).toEqual([...foreign].sort());
    expect(slots.used).toBe(4);
    expect(oldestAgeMs).toBeGreaterThan(0);
    // And it will not finish them, however it is asked.
    for (const gid of foreign.slice(1)) {
      const asked = await settle(south, gid, 'commit').catch((error: unknown) => error);
      expect(asked).toMatchObject({
        type: 'BadRequest',
        nonRetryable: true,
        message: expect.stringContaining(gid === 'payroll-7' ? 'Nothing was changed' : 'south was asked') as string,
      });
    }
    for (const gid of foreign) await south.byHand(`rollback prepared '${gid}'`);
    await settle(south, ours.gid, 'abort');
  });

  it('leaves young ones alone, but counts them, and then finds all that their gid says', async () => {
    const { south } = banks;
    const { gid, request } = await south.prepareBranch();
    expect(await watch(south, { graceMs: 60_000 })).toMatchObject({ overdue: [], inDoubt: 1 });
    expect(await watch(south)).toMatchObject({
      overdue: [
        { gid, key: keyOf(request.transaction), register: 'north', prepared: true, transaction: request.transaction },
      ],
      inDoubt: 1,
      slots: { used: 1, limit: 64 },
    });
    await settle(south, gid, 'abort');
  });

  it('knows in which Temporal a branch was asked for: prepared, or of which nothing is left', async () => {
    const { south } = banks;
    const known = participantActivities(bank, { pool: south.pool, timeouts: SHORT, namespaceId: () => 'an-id' });
    const prepare = known['debit.prepare'] as (request: object) => Promise<unknown>; // Cast: as Temporal calls it.
    const input = { account: await south.account(), amount: 30 };
    const asked = { transaction: newId(), branch: 'debit', token: 'x', votes: 'answer', register: 'north', input };
    await new MockActivityEnvironment(
      { taskQueue: 'south', startToCloseTimeoutMs: 9_000 },
      { logger: new DefaultLogger('ERROR') },
    ).run(prepare, asked);
    const { overdue } = await watch(south);
    expect(overdue).toMatchObject([{ transaction: asked.transaction, prepared: true, namespaceId: 'an-id' }]);
    const gid = overdue[0]?.gid ?? '';
    await south.byHand(`rollback prepared '${gid}'`);
    expect((await watch(south)).overdue).toMatchObject([{ gid, prepared: false, namespaceId: 'an-id' }]);
    await settle(south, gid, 'abort');
  });

  it('does not forget a preparation while its branch may be in doubt', async () => {
    const { south } = banks;
    const { gid } = await south.prepareBranch();
    await watch(south);
    expect(await south.rows('select gid from txn.preparation')).toEqual([{ gid }]);
    expect(await settle(south, gid, 'commit')).toEqual({ kind: 'applied' });
    // Whoever has settled it may ask again.
    expect(await settle(south, gid, 'commit')).toEqual({ kind: 'applied' });
    await watch(south, { graceMs: 60_000 });
    expect(await south.rows('select gid from txn.preparation')).toEqual([{ gid }]);
    await watch(south);
    expect(await south.rows('select gid from txn.preparation')).toEqual([]);
  });
});

describe('the coordinator', () => {
  const ask = async (
    describeIt: (id: string) => Promise<unknown>,
    request: object,
    namespaceId?: string,
  ): Promise<unknown> => {
    const client = {
      options: { namespace: 'default' },
      withAbortSignal: (_: AbortSignal, call: () => unknown) => call(),
      workflow: { getHandle: (id: string) => ({ describe: () => describeIt(id) }) },
    } as unknown as Client; // Cast: all that the question needs of one.
    const activities = participantActivities(bank, {
      pool: banks.south.pool,
      timeouts: SHORT,
      namespaceId: () => namespaceId,
    });
    const environment = new MockActivityEnvironment(
      { taskQueue: 'south', startToCloseTimeoutMs: 9_000 },
      { client, logger: new DefaultLogger('ERROR') },
    );
    return environment.run(activities['recovery.coordinator'] as (request: object) => Promise<unknown>, request);
  };
  const of = { namespace: 'default', workflowId: 'w' };

  it.each([
    ['RUNNING', 'running'],
    ['COMPLETED', 'gone'],
    ['TERMINATED', 'gone'],
    ['FAILED', 'gone'],
    ['CONTINUED_AS_NEW', 'gone'],
  ])('that is %s is %s', async (name, said) => {
    expect(await ask(async () => ({ status: { name } }), of)).toBe(said);
  });

  it('that is not found is gone: which decides nothing, the register does', async () => {
    const gone = async (): Promise<never> => {
      throw new WorkflowNotFoundError('gone', 'w', undefined);
    };
    expect(await ask(gone, of)).toBe('gone');
  });

  it.each([
    ['w', 'x', 'gone'],
    ['group:t:1', 'y', 'gone'],
    ['group:t:1', 'x', 'running'],
    ['group:t:1', 'x/2', 'running'],
    ['group:t:1', 'x/1/1', 'running'],
    ['group:t:1', 'x/2/1+3', 'running'],
    ['group:t:1', 'x/2+3/none', 'gone'],
    ['group:t:1', undefined, 'gone'],
  ])('of what %s has begun of %s is %s, while only workflow x runs', async (workflowId, transaction, said) => {
    const describeIt = async (id: string): Promise<unknown> => {
      if (id !== 'x') throw new WorkflowNotFoundError('gone', id, undefined);
      return { status: { name: 'RUNNING' } };
    };
    expect(await ask(describeIt, { ...of, workflowId, transaction })).toBe(said);
  });

  it('is unknown in another namespace, or without a name (O6)', async () => {
    const never = async (): Promise<never> => expect.fail('Nobody is asked.');
    expect(await ask(never, { ...of, namespace: 'another' })).toBe('unknown');
    expect(await ask(never, { namespace: 'default' })).toBe('unknown');
    expect(await ask(never, {})).toBe('unknown');
  });

  it('is unknown to another Temporal that has a namespace of the same name, and which therefore finds nobody (O6)', async () => {
    const gone = async (): Promise<never> => {
      throw new WorkflowNotFoundError('gone', 'w', undefined);
    };
    expect(await ask(gone, { ...of, namespaceId: 'theirs' }, 'ours')).toBe('unknown');
    expect(await ask(gone, { ...of, namespaceId: 'ours' }, 'ours')).toBe('gone');
    // Where one of the two is not known, the names alone count.
    expect(await ask(gone, { ...of, namespaceId: 'theirs' })).toBe('gone');
    expect(await ask(gone, of, 'ours')).toBe('gone');
  });

  it('is not said to be gone while Temporal is away', async () => {
    const away = async (): Promise<never> => {
      throw new Error('14 UNAVAILABLE');
    };
    await expect(ask(away, of)).rejects.toMatchObject({ nonRetryable: false });
  });
});
