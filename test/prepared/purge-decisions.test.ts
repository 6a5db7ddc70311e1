/** Which decisions may be forgotten: none that somebody may still have to follow. */
import { decide, keyOf, purgeDecisions, readDecision, settledIn } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/protocol';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import type { RegisteredBranch } from '../../src/protocol';
import { newId, settle, useBanks, watch } from './fixture';

const banks = useBanks();
/** Another server: what is prepared there, the register's own one does not list. */
const abroad = useBanks();

const propose = (id: string, decision: Decision, branches: readonly RegisteredBranch[] = []) =>
  decide(banks.north.pool, {
    key: keyOf(id),
    transaction: parseTransactionId(id),
    propose: decision,
    by: 'coordinator',
    branches,
  });

const debitAt = (participant: string, vote: RegisteredBranch['vote'] = 'commit'): RegisteredBranch => ({
  branch: parseBranchId('debit'),
  participant,
  vote,
});

describe('the purge of decisions', () => {
  const age = async (transaction: string): Promise<void> => {
    const { north } = banks;
    await north.pool.query('alter table txn.decision disable trigger user');
    await north.pool.query(
      "update txn.decision set decided_at = now() - interval '100 days' where transaction_id = $1",
      [transaction],
    );
    await north.pool.query('alter table txn.decision enable trigger user');
  };

  it.each(['commit', 'abort'] as const)('removes an old %s only when every branch has ended', async (decision) => {
    const { north } = banks;
    const [ended, open, young] = [newId(), newId(), newId()];
    for (const id of [ended, open, young]) await propose(id, decision);
    for (const id of [ended, open]) await age(id);
    const asked: string[] = [];
    const removed = await purgeDecisions(north.pool, {
      olderThanDays: 90,
      batch: 1,
      isSettled: async ({ transaction }) => {
        asked.push(String(transaction));
        return transaction === ended;
      },
    });
    expect(removed).toBe(1);
    expect(asked).toEqual(expect.arrayContaining([ended, open]));
    expect(asked).not.toContain(young);
    expect(await readDecision(north.pool, open)).toBeDefined();
    expect(await readDecision(north.pool, young)).toBeDefined();
    expect(await readDecision(north.pool, ended)).toBeUndefined();
  });

  it('leaves an abort to a pre-committed branch at another server, whose recovery would propose commit', async () => {
    const { north } = banks;
    const { south } = abroad;
    const { account, request, gid } = await south.prepareBranch();
    const { transaction } = request;
    expect(await south.ask('debit.preCommit', request)).toBe('done');
    await propose(transaction, 'abort', [debitAt('south')]);
    await age(transaction);
    const isSettled = settledIn({ south: south.pool });
    await purgeDecisions(north.pool, { olderThanDays: 90, isSettled });
    expect((await watch(south)).overdue).toMatchObject([{ gid, transaction, preCommitted: true }]);
    expect(await north.ask('recovery.decide', { transaction, propose: 'commit' })).toMatchObject({
      decision: 'abort',
      by: 'coordinator',
    });
    expect(await settle(south, gid, 'abort')).toEqual({ kind: 'applied' });
    expect(await south.balance(account)).toBe(100);
    await purgeDecisions(north.pool, { olderThanDays: 90, isSettled });
    expect(await readDecision(north.pool, transaction)).toBeUndefined();
  });

  it('keeps what something prepared on the server still needs', async () => {
    const { north } = banks;
    const account = await north.account();
    const request = { transaction: newId(), input: { account, amount: 1 } };
    await north.ask('debit.prepare', request);
    await propose(request.transaction, 'abort');
    await age(request.transaction);
    await purgeDecisions(north.pool, { olderThanDays: 90, isSettled: async () => true });
    expect(await readDecision(north.pool, request.transaction)).toBeDefined();
    await north.ask('debit.abort', request);
  });

  it('keeps what names no branches, what has one at a participant that is gone, and stops at one that it is not told of', async () => {
    const { north } = banks;
    const [nameless, elsewhere, readOnly, done] = [newId(), newId(), newId(), newId()];
    await propose(nameless, 'commit');
    await propose(elsewhere, 'commit', [debitAt('west')]);
    await propose(readOnly, 'commit', [debitAt('west', 'read-only')]);
    await propose(done, 'commit', [debitAt('north')]);
    const settled = async (id: string, pools = {}) =>
      settledIn({ north: north.pool, ...pools })((await readDecision(north.pool, id))!);
    expect(await settled(nameless)).toBe(false);
    expect(await settled(readOnly)).toBe(true);
    expect(await settled(done)).toBe(false);
    expect(await settled(elsewhere, { west: null })).toBe(false);
    await expect(settled(elsewhere)).rejects.toThrow(/are kept: .* has a branch at "west"/);
  });

  it('removes an abort of what was never done, such as a check that refused, and no commit of it', async () => {
    const { north } = banks;
    const [aborted, committed] = [newId(), newId()];
    await propose(aborted, 'abort', [debitAt('north', 'abort')]);
    await propose(committed, 'commit', [debitAt('north')]);
    for (const id of [aborted, committed]) await age(id);
    await purgeDecisions(north.pool, { olderThanDays: 90, isSettled: settledIn({ north: north.pool }) });
    expect(await readDecision(north.pool, aborted)).toBeUndefined();
    expect(await readDecision(north.pool, committed)).toBeDefined();
  });

  it('removes what it has found settled before it was stopped', async () => {
    const { north } = banks;
    const ids = [newId(), newId()];
    for (const id of ids) {
      await propose(id, 'abort', [debitAt('north', 'abort')]);
      await age(id);
    }
    const old = async (): Promise<number> =>
      (await north.rows("select from txn.decision where decided_at < now() - interval '90 days'")).length;
    const before = await old();
    let asked = 0;
    const isSettled = async (): Promise<boolean> => {
      if (++asked === 2) throw new Error('enough');
      return true;
    };
    await expect(purgeDecisions(north.pool, { olderThanDays: 90, isSettled })).rejects.toThrow('enough');
    expect(await old()).toBe(before - 1);
  });

  it.each([
    ['olderThanDays', { olderThanDays: 0 }],
    ['batch', { olderThanDays: 90, batch: 0.5 }],
  ])('refuses a wrong %s', async (name, options) => {
    const purge = purgeDecisions(banks.north.pool, { isSettled: async () => true, ...options });
    await expect(purge).rejects.toThrow(`Nothing was removed: ${name}`);
  });
});
