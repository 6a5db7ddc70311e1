/** Which decisions may be forgotten: none that somebody may still have to follow. */
import { decide, keyOf, purgeDecisions, readDecision } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/protocol';
import { parseTransactionId } from '../../src/protocol';
import { newId, useBanks } from './fixture';

const banks = useBanks();

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

  it('removes old aborts, and old commits only when every branch has ended', async () => {
    const { north } = banks;
    const [aborted, committed, open, young] = [newId(), newId(), newId(), newId()];
    await propose(aborted, 'abort');
    for (const id of [committed, open, young]) await propose(id, 'commit');
    for (const id of [aborted, committed, open]) await age(id);
    const asked: string[] = [];
    const removed = await purgeDecisions(north.pool, {
      olderThanDays: 90,
      batch: 1,
      isSettled: async ({ transaction }) => {
        asked.push(String(transaction));
        return transaction === committed;
      },
    });
    expect(removed).toBe(2);
    expect(asked.sort()).toEqual([committed, open].sort());
    expect(await readDecision(north.pool, open)).toBeDefined();
    expect(await readDecision(north.pool, young)).toBeDefined();
    expect(await readDecision(north.pool, committed)).toBeUndefined();
  });

  it('keeps what something prepared on the server still needs', async () => {
    const { north } = banks;
    const account = await north.account();
    const request = { transaction: newId(), input: { account, amount: 1 } };
    await north.ask('debit.prepare', request);
    await propose(request.transaction, 'abort');
    await age(request.transaction);
    expect(await purgeDecisions(north.pool, { olderThanDays: 90, isSettled: async () => true })).toBe(1); // `open`, above.
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
