/** How a branch prepares and votes, when nobody is in its way. */
import { armCrashpoints } from 'temporal-txn/testing';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { newId, useBanks } from './fixture';

const banks = useBanks();

describe('a branch that prepares', () => {
  it('votes commit and keeps its effect back until it is decided', async () => {
    const { north } = banks;
    const account = await north.account();
    const transaction = newId();
    const request = { transaction, input: { account, amount: 30 } };
    expect(await north.ask('debit.prepare', request)).toMatchObject({ vote: 'commit', result: { balance: 70 } });
    expect(await north.balance(account)).toBe(100);
    expect(await north.ask('debit.decide', { ...request, propose: 'commit' })).toMatchObject({ decision: 'commit' });
    expect(await north.balance(account)).toBe(70);
    expect(await north.prepared()).toEqual([]);
  });

  it('finds what an earlier attempt prepared, votes again, and tells the result once it is committed', async () => {
    const { north } = banks;
    const account = await north.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    const disarm = armCrashpoints([{ at: 'two-phase.prepared-before-vote', action: { kind: 'fail' } }]);
    await expect(north.ask('debit.prepare', request)).rejects.toThrow();
    disarm();
    const gids = await north.prepared();
    expect(gids).toHaveLength(1);
    expect(await north.ask('debit.prepare', { ...request, attempt: 2 })).toEqual({
      vote: 'commit',
      xid: expect.any(String),
    });
    expect(await north.prepared()).toEqual(gids);
    const decided = await north.ask('debit.decide', { ...request, propose: 'commit', wantsResult: true });
    expect(decided).toMatchObject({ ack: { kind: 'applied', result: { balance: 70 } } });
    expect(await north.balance(account)).toBe(70);
  });

  it('records who asked before anything is prepared', async () => {
    const { south } = banks;
    const account = await south.account();
    const transaction = newId();
    await south.ask('debit.prepare', { transaction, input: { account, amount: 1 } });
    const [gid] = await south.prepared();
    expect(await south.rows('select * from txn.preparation where gid = $1', [gid])).toMatchObject([
      { transaction_id: transaction, branch_id: 'debit', operation: 'debit', register: 'north', workflow_id: 'test' },
    ]);
    await south.ask('debit.abort', { transaction, input: { account, amount: 1 } });
  });
});

describe('who asked', () => {
  const recorded = async (gid: unknown): Promise<unknown> =>
    (await banks.south.rows('select workflow_id from txn.preparation where gid = $1', [gid]))[0]?.['workflow_id'];

  it('is on disk as soon as a branch has voted, at the first attempt and at a later one', async () => {
    const { south, server } = banks;
    // Otherwise it would be there soon anyway.
    const admin = new Client({ connectionString: server.adminUrl });
    await admin.connect();
    await admin.query(`alter system set wal_writer_delay = '10s'`);
    await admin.query('select pg_reload_conf()');
    await admin.end();
    const request = { transaction: newId(), input: { account: await south.account(), amount: 1 } };
    await south.ask('debit.prepare', request);
    await server.kill();
    await server.restart();
    const [gid] = await south.prepared();
    expect(await recorded(gid)).toBe('test');

    await south.rows(`update txn.preparation set workflow_id = 'an-older-one' where gid = $1`, [gid]);
    expect(await south.ask('debit.prepare', { ...request, attempt: 2 })).toMatchObject({ vote: 'commit' });
    await server.kill();
    await server.restart();
    expect(await recorded(gid)).toBe('test');

    // A first attempt of another coordinator finds it prepared.
    await south.rows(`update txn.preparation set workflow_id = 'an-older-one' where gid = $1`, [gid]);
    expect(await south.ask('debit.prepare', request)).toMatchObject({ vote: 'commit' });
    await server.kill();
    await server.restart();
    expect(await recorded(gid)).toBe('test');
    await south.ask('debit.abort', request);
  });
});

describe('a branch that cannot commit', () => {
  it('votes abort for a business reason, and for good', async () => {
    const { south } = banks;
    const account = await south.account();
    const request = { transaction: newId(), input: { account, amount: 1_000 } };
    const no = { vote: 'abort', reason: { code: 'insufficient-funds', message: `${account} cannot pay 1000` } };
    expect(await south.ask('debit.prepare', request)).toEqual(no);
    await south.pool.query('update account set balance = 5000 where id = $1', [account]);
    expect(await south.ask('debit.prepare', { ...request, attempt: 2 })).toEqual(no);
    expect(await south.prepared()).toEqual([]);
  });

  it('gives way to a prepared neighbour after the lock timeout', async () => {
    const { south } = banks;
    const account = await south.account();
    const neighbour = { transaction: newId(), input: { account, amount: 1 } };
    await south.ask('debit.prepare', neighbour);
    const vote = await south.ask('debit.prepare', { transaction: newId(), input: { account, amount: 2 } });
    expect(vote).toMatchObject({ vote: 'abort', reason: { code: 'contention' } });
    await south.ask('debit.commit', neighbour);
    expect(await south.balance(account)).toBe(99);
  });

  it('does not take another input for a repetition, prepared or committed', async () => {
    const { south } = banks;
    const account = await south.account();
    const transaction = newId();
    const first = { transaction, input: { account, amount: 1 } };
    const other = { transaction, input: { account, amount: 2 } };
    const mismatch = { vote: 'abort', reason: { code: 'input-mismatch' } };
    await south.ask('debit.prepare', first);
    expect(await south.ask('debit.prepare', other)).toMatchObject(mismatch);
    await south.ask('debit.commit', first);
    expect(await south.ask('debit.prepare', other)).toMatchObject(mismatch);
    expect(await south.ask('debit.abort', other)).toMatchObject({ kind: 'foreign' });
    expect(await south.balance(account)).toBe(99);
  });

  it('comes too late when it was aborted before (P8)', async () => {
    const { south } = banks;
    const account = await south.account();
    const request = { transaction: newId(), input: { account, amount: 1 } };
    expect(await south.ask('debit.abort', request)).toEqual({ kind: 'applied' });
    expect(await south.ask('debit.prepare', request)).toMatchObject({ vote: 'abort', reason: { code: 'fenced' } });
  });

  it('stops at once where the register of its own database says abort (C0b)', async () => {
    const { north } = banks;
    const account = await north.account();
    const transaction = newId();
    await north.ask('debit.decide', { transaction, branch: 'other', input: { account, amount: 1 }, propose: 'abort' });
    const vote = await north.ask('debit.prepare', { transaction, input: { account, amount: 1 } });
    expect(vote).toMatchObject({ vote: 'abort', reason: { code: 'decided-before' } });
    expect(await north.balance(account)).toBe(100);
  });
});

describe('a read-only branch', () => {
  it('votes read-only and leaves nothing', async () => {
    const { south } = banks;
    const account = await south.account();
    const transaction = newId();
    expect(await south.ask('balance.prepare', { transaction, input: { account } })).toEqual({
      vote: 'read-only',
      result: { balance: 100 },
    });
    expect(await south.prepared()).toEqual([]);
    expect(await south.rows('select 1 from txn.branch where transaction_id = $1', [transaction])).toEqual([]);
  });

  it.each(['commit', 'abort'] as const)('has nothing to %s, and is not lost, whoever asks', async (decision) => {
    const { south } = banks;
    const request = { transaction: newId(), input: { account: await south.account() } };
    await south.ask('balance.prepare', request);
    expect(await south.ask(`balance.${decision}`, request)).toEqual({ kind: 'applied' });
    expect(await south.ask('balance.decide', { ...request, propose: decision })).toMatchObject({
      decision,
      ack: { kind: 'applied' },
    });
  });

  it('can refuse', async () => {
    const { south } = banks;
    const vote = await south.ask('balance.prepare', { transaction: newId(), input: { account: 'nobody' } });
    expect(vote).toMatchObject({ vote: 'abort', reason: { code: 'unknown-account' } });
  });
});

it('holds a semantic lock exactly as long as it is prepared', async () => {
  const { south } = banks;
  const first = { transaction: newId(), input: { resource: 'order/1' } };
  const second = { transaction: newId(), input: { resource: 'order/1' } };
  expect(await south.ask('lock.prepare', first)).toMatchObject({ vote: 'commit' });
  expect(await south.ask('lock.prepare', second)).toMatchObject({ vote: 'abort', reason: { code: 'contention' } });
  await south.ask('lock.commit', first);
  expect(await south.rows('select * from txn.semantic_lock')).toEqual([]);
  const third = { transaction: newId(), input: { resource: 'order/1' } };
  expect(await south.ask('lock.prepare', third)).toMatchObject({ vote: 'commit' });
  await south.ask('lock.abort', third);
});
