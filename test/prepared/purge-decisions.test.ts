/** Which decisions may be forgotten: none that somebody may still have to follow. */
import { decide, keyOf, purgeDecisions, readDecision } from 'temporal-txn/participant';
import type { Registered } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/protocol';
import { parseTransactionId } from '../../src/protocol';
import { newId, settle, useBanks, watch } from './fixture';

const banks = useBanks();
/** Another server: what is prepared there, the register's own one does not list. */
const abroad = useBanks();

const propose = (id: string, decision: Decision) =>
  decide(banks.north.pool, {
    key: keyOf(id),
    transaction: parseTransactionId(id),
    propose: decision,
    by: 'coordinator',
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
    await propose(transaction, 'abort');
    await age(transaction);
    const isSettled = async (decision: Registered): Promise<boolean> =>
      (await south.rows('select from txn.branch where transaction_id = $1', [decision.transaction])).length > 0;
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

  it.each([
    ['olderThanDays', { olderThanDays: 0 }],
    ['batch', { olderThanDays: 90, batch: 0.5 }],
  ])('refuses a wrong %s', async (name, options) => {
    const purge = purgeDecisions(banks.north.pool, { isSettled: async () => true, ...options });
    await expect(purge).rejects.toThrow(`Nothing was removed: ${name}`);
  });
});
