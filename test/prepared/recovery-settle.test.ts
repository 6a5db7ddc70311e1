/** How recovery ends a branch: by its gid alone, and by the register only. */
import { keyOf } from 'temporal-txn/participant';
import type { OverdueBranch } from 'temporal-txn/participant';
import { armCrashpoints } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { onCrashpoint } from '../../src/protocol';
import { gate } from '../branch-log/fixture';
import { newId, settle, useBanks, watch } from './fixture';

const banks = useBanks();

describe('settling', () => {
  it.each([
    ['commit', 70],
    ['abort', 100],
  ] as const)('follows a decision to %s', async (decision, balance) => {
    const { account, gid, request } = await banks.south.prepareBranch();
    expect(await settle(banks.south, gid, decision)).toEqual({ kind: 'applied' });
    expect(await settle(banks.south, gid, decision)).toEqual({ kind: 'applied' });
    expect(await banks.south.balance(account)).toBe(balance);
    // A coordinator that comes later finds it done.
    const late = await banks.south.ask(`debit.${decision}`, request);
    expect(late).toEqual({ kind: 'applied' });
  });

  it('finishes an orphan, of which nothing but the gid is known', async () => {
    const { account, gid } = await banks.south.prepareBranch();
    await banks.south.rows('delete from txn.preparation where gid = $1', [gid]);
    const [orphan] = (await watch(banks.south)).overdue;
    expect(orphan).toMatchObject({ gid, register: 'north', prepared: true });
    expect(orphan?.transaction).toBeUndefined();
    expect(await settle(banks.south, gid, 'commit')).toEqual({ kind: 'applied' });
    expect(await banks.south.balance(account)).toBe(70);
    expect(await settle(banks.south, gid, 'commit')).toMatchObject({ kind: 'lost' });
  });

  it.each([
    ['commit', 'abort'],
    ['abort', 'commit'],
  ] as const)(
    'knows a branch that has ended with %s by its row when the record is forgotten',
    async (decision, other) => {
      const { south } = banks;
      const { gid, request } = await south.prepareBranch();
      const { transaction, branch } = (await watch(south)).overdue.find((one) => one.gid === gid) ?? {};
      expect(transaction).toBe(request.transaction);
      expect(await settle(south, gid, decision, { transaction, branch })).toEqual({ kind: 'applied' });
      await watch(south);
      expect(await south.rows('select 1 from txn.preparation where gid = $1', [gid])).toEqual([]);
      // An attempt whose answer was lost: what it has done must not be told as lost.
      expect(await settle(south, gid, decision, { transaction, branch })).toEqual({ kind: 'applied' });
      expect(await settle(south, gid, other, { transaction, branch })).toMatchObject({
        kind: 'heuristic',
        took: decision,
      });
      for (const ids of [{}, { transaction, branch: 'other' }, { transaction: newId(), branch }])
        expect(await settle(south, gid, decision, ids)).toMatchObject({ kind: 'lost' });
    },
  );

  it('does not trust a record that belongs to another transaction', async () => {
    const { gid, account } = await banks.south.prepareBranch();
    const victim = newId();
    await banks.south.rows('update txn.preparation set transaction_id = $2 where gid = $1', [gid, victim]);
    expect(await settle(banks.south, gid, 'abort')).toEqual({ kind: 'applied' });
    expect(await banks.south.rows('select 1 from txn.branch where transaction_id = $1', [victim])).toEqual([]);
    expect(await banks.south.balance(account)).toBe(100);
    await banks.south.rows('delete from txn.preparation where gid = $1', [gid]);
  });

  it.each(['', 'payroll-7', "txn1_'; drop table account; --", 'txn1_x'])(
    'refuses %j, which is no gid of ours',
    async (gid) => {
      await expect(settle(banks.south, gid, 'abort')).rejects.toThrow('Nothing was changed');
    },
  );
});

describe('a branch that was asked to prepare and is not there', () => {
  it('is fenced off when its transaction is aborted, and a late attempt does nothing', async () => {
    const { north, south } = banks;
    const account = await south.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    const disarm = armCrashpoints([{ at: 'two-phase.before-prepare', action: { kind: 'fail' } }]);
    onTestFinished(disarm);
    await expect(south.ask('debit.prepare', request)).rejects.toThrow();
    disarm();
    const [missing] = (await watch(south)).overdue;
    expect(missing).toMatchObject({ transaction: request.transaction, branch: 'debit', prepared: false, owned: true });
    const { key, gid } = missing as OverdueBranch;
    expect(await north.ask('recovery.decide', { key, transaction: request.transaction })).toMatchObject({
      decision: 'abort',
      reason: { code: 'recovered' },
    });
    expect(await settle(south, gid, 'abort')).toEqual({ kind: 'applied' });
    expect(await south.ask('debit.prepare', { ...request, attempt: 2 })).toMatchObject({ reason: { code: 'fenced' } });
    expect(await south.prepared()).toEqual([]);
    expect((await watch(south)).overdue).toEqual([]);
  });

  it('is waited for when an attempt of it is still open (P8)', async () => {
    const { south } = banks;
    const account = await south.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    const slow = gate();
    onCrashpoint((passed) => (passed === 'two-phase.before-prepare' ? slow.pass() : undefined));
    onTestFinished(() => onCrashpoint(undefined));
    const zombie = south.ask('debit.prepare', request);
    await expect.poll(async () => (await watch(south)).overdue).toHaveLength(1);
    const gid = (await watch(south)).overdue[0]?.gid ?? '';
    await expect(settle(south, gid, 'abort')).rejects.toMatchObject({ type: 'InProgress', nonRetryable: false });
    slow.open();
    expect(await zombie).toMatchObject({ vote: 'commit' });
    expect(await settle(south, gid, 'abort')).toEqual({ kind: 'applied' });
    expect(await south.prepared()).toEqual([]);
    expect(await south.balance(account)).toBe(100);
  });

  it('is lost when its transaction is committed, and stays on the list', async () => {
    const { south } = banks;
    const { gid, request } = await south.prepareBranch();
    await south.byHand(`rollback prepared '${gid}'`);
    expect(await settle(south, gid, 'commit')).toMatchObject({ kind: 'lost' });
    expect((await watch(south)).overdue).toMatchObject([{ gid, transaction: request.transaction, prepared: false }]);
    expect(await settle(south, gid, 'abort')).toEqual({ kind: 'applied' });
    expect((await watch(south)).overdue).toEqual([]); // The tombstone is its end.
  });
});

describe('the register, asked by recovery', () => {
  it('says nothing of what nobody has decided, and decides by what it is asked first (C0b)', async () => {
    const { north } = banks;
    const { request, account } = await north.prepareBranch();
    const key = keyOf(request.transaction);
    expect(await north.ask('recovery.read', { key })).toBe('none');
    expect(await north.ask('recovery.decide', { key })).toMatchObject({ decision: 'abort', by: 'test' });
    expect(await north.ask('recovery.read', { key })).toBe('abort');
    // The coordinator lives, and was slow.
    expect(await north.ask('debit.decide', { ...request, propose: 'commit' })).toMatchObject({
      decision: 'abort',
      reason: { code: 'recovered' },
      ack: { kind: 'applied' },
    });
    expect(await north.balance(account)).toBe(100);
  });

  it('keeps a commit, whatever recovery proposes', async () => {
    const { north, south } = banks;
    const transaction = newId();
    const one = await north.prepareBranch({ transaction, branch: 'one' });
    const two = await south.prepareBranch({ transaction, branch: 'two' });
    await north.ask('debit.decide', { ...one.request, propose: 'commit' });
    expect(await north.ask('recovery.decide', { key: keyOf(transaction), transaction })).toMatchObject({
      decision: 'commit',
      by: 'coordinator',
    });
    expect(await settle(south, two.gid, 'commit')).toEqual({ kind: 'applied' });
    expect([await north.balance(one.account), await south.balance(two.account)]).toEqual([70, 70]);
  });

  it('says nothing of another input under the same id but that it can never commit (P11)', async () => {
    const { north, south } = banks;
    const transaction = newId();
    const first = await north.prepareBranch({ transaction, branch: 'one', request: 'first' });
    await north.ask('debit.decide', { ...first.request, propose: 'commit' });
    // Years later, when nobody remembers the first: another transfer, that comes to the same id.
    const again = await south.prepareBranch({ transaction, branch: 'two', request: 'second' });
    const [found] = (await watch(south)).overdue;
    expect(found).toMatchObject({ gid: again.gid, request: 'second' });
    const { key, request } = found as OverdueBranch;
    expect(await north.ask('recovery.read', { key, request })).toBe('abort');
    expect(await north.ask('recovery.read', { key, request: 'first' })).toBe('commit');
    expect(await north.ask('recovery.decide', { transaction, request, propose: 'commit' })).toMatchObject({
      decision: 'abort',
      reason: { code: 'input-mismatch' },
    });
    expect(await settle(south, again.gid, 'abort')).toEqual({ kind: 'applied' });
    expect([await north.balance(first.account), await south.balance(again.account)]).toEqual([70, 100]);
    // Where the register is, it is not even begun.
    const account = await north.account();
    const late = { transaction, branch: 'three', request: 'second', input: { account, amount: 30 } };
    expect(await north.ask('debit.prepare', late)).toMatchObject({ vote: 'abort', reason: { code: 'input-mismatch' } });
    expect(await north.prepared()).toEqual([]);
  });

  it.each(['', 'x', `${'0'.repeat(31)}'`, 'A'.repeat(32), undefined, null, 7])('refuses the key %j', async (key) => {
    for (const question of ['recovery.read', 'recovery.decide'])
      await expect(banks.north.ask(question, { key })).rejects.toMatchObject({
        type: 'BadRequest',
        nonRetryable: true,
      });
    expect(await banks.north.rows(`select 1 from txn.decision where transaction_key !~ '^[0-9a-f]{32}$'`)).toEqual([]);
  });

  it('goes by the id of the transaction where it is known, and not by a key that does not fit it', async () => {
    const transaction = newId();
    const other = keyOf(newId());
    await banks.north.ask('recovery.decide', { key: other, transaction });
    expect(await banks.north.ask('recovery.read', { key: other })).toBe('none');
    expect(await banks.north.ask('recovery.read', { key: keyOf(transaction) })).toBe('abort');
  });
});

it('a branch that was refused because it stands with another input is not reported as lost', async () => {
  const { north, south } = banks;
  const transaction = newId();
  const one = await north.prepareBranch({ transaction, branch: 'one' });
  const two = await south.prepareBranch({ transaction, branch: 'two' });
  const other = { ...two.request, input: { account: two.account, amount: 31 } };
  expect(await south.ask('debit.prepare', other)).toMatchObject({ vote: 'abort', reason: { code: 'input-mismatch' } });
  await north.ask('debit.decide', { ...one.request, propose: 'commit' });
  const { overdue } = await watch(south);
  for (const { gid } of overdue)
    expect(await settle(south, gid, 'commit')).toMatchObject({ kind: gid === two.gid ? 'applied' : 'foreign' });
  expect((await watch(south)).overdue).toEqual([]);
  expect(await south.balance(two.account)).toBe(70);
});
