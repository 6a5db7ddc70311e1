/** The register: one answer for everybody, whatever they asked for, under load, under threat, and with a holder that has stopped. */
import { decide, keyOf, readDecision, readDecisionByKey } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import type { Decision } from '../../src/protocol';
import { parseTransactionId } from '../../src/protocol';
import { behindProxy, newId, useBanks } from './fixture';

const banks = useBanks();

const propose = (transaction: string, decision: Decision, more: object = {}, pool = banks.north.pool) =>
  decide(pool, {
    key: keyOf(transaction),
    transaction: parseTransactionId(transaction),
    propose: decision,
    by: decision,
    ...more,
  });

describe('the register', () => {
  it('gives one answer to 50 who want opposite ones through the activity, and the primary follows it', async () => {
    const { north } = banks;
    const account = await north.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    await north.ask('debit.prepare', request);
    // Busy: another one finishes the branch at this moment, and Temporal would try this one again.
    const asked = Array.from({ length: 50 }, (_, i) =>
      north.insist('debit.decide', { ...request, propose: i % 2 === 0 ? 'commit' : 'abort' }),
    );
    const answers = (await Promise.all(asked)) as { decision: Decision; by: string; ack?: object }[]; // Cast: what it answers.
    const [first] = answers;
    // Who meets one that finishes the branch at this moment is told the decision alone, and asks for that again.
    for (const { decision, by, ack = { kind: 'applied' } } of answers)
      expect({ decision, by, ack }).toEqual({ decision: first?.decision, by: first?.by, ack: { kind: 'applied' } });
    expect(await north.insist(`debit.${first?.decision}`, request)).toEqual({ kind: 'applied' });
    expect(await readDecision(north.pool, request.transaction)).toMatchObject({ decision: first?.decision });
    expect(await north.balance(account)).toBe(first?.decision === 'commit' ? 70 : 100);
    expect(await north.prepared()).toEqual([]);
  });

  it('keeps the reason of the first one', async () => {
    const transaction = newId();
    await propose(transaction, 'abort', { reason: { code: 'contention', message: 'busy' } });
    const late = await propose(transaction, 'abort', { reason: { code: 'cancelled', message: 'late' } });
    expect(late.reason).toEqual({ code: 'contention', message: 'busy' });
  });

  it('is found by the hash that gids have', async () => {
    const transaction = newId();
    await propose(transaction, 'commit');
    expect(await readDecisionByKey(banks.north.pool, keyOf(transaction))).toMatchObject({ transaction });
    expect(await readDecisionByKey(banks.north.pool, keyOf(newId()))).toBeUndefined();
  });

  it('does not give the decision of one operation to another under the same id', async () => {
    const transaction = newId();
    await propose(transaction, 'commit', { request: 'a' });
    await expect(propose(transaction, 'commit', { request: 'b' })).rejects.toThrow('Nothing was changed');
    expect(await propose(transaction, 'abort', { request: 'a' })).toMatchObject({ decision: 'commit' });
    // Recovery knows of no input, and is answered.
    expect(await propose(transaction, 'abort')).toMatchObject({ decision: 'commit' });
  });

  it('is written durably where the role is careless', async () => {
    const { north } = banks;
    await north.pool.query('alter role current_user set synchronous_commit = off');
    const careless = [];
    try {
      // A trigger of the test tells what the writing transaction had set.
      await north.pool.query(`
        create table seen (setting text);
        create function see() returns trigger language plpgsql as $$
          begin insert into seen values (current_setting('synchronous_commit')); return new; end $$;
        create trigger see before insert on txn.decision for each row execute function see()`);
      const pool = quietPool({ connectionString: north.url, max: 1 });
      await propose(newId(), 'commit', {}, pool);
      careless.push(...(await pool.query<{ setting: string }>('select * from seen')).rows);
      await pool.end();
    } finally {
      await north.pool.query('alter role current_user reset synchronous_commit; drop trigger see on txn.decision');
    }
    expect(careless).toEqual([{ setting: 'on' }]);
  });

  it.each([
    ['update', `update txn.decision set outcome = 'abort'`],
    [
      'an upsert',
      `insert into txn.decision select * from txn.decision on conflict (transaction_key) do update set outcome = 'abort'`,
    ],
    ['delete', 'delete from txn.decision'],
    ['truncate', 'truncate txn.decision'],
  ])('keeps what it says from %s', async (_, statement) => {
    const transaction = newId();
    await propose(transaction, 'commit');
    await expect(banks.north.byHand(statement)).rejects.toMatchObject({ code: '55006' });
    expect(await readDecision(banks.north.pool, transaction)).toMatchObject({ decision: 'commit' });
  });

  it.each(['', 'maybe', 'COMMIT', null])('holds no outcome %j', async (outcome) => {
    const write = banks.north.rows(
      `insert into txn.decision (transaction_key, outcome, decided_by) values ($1, $2, 'x')`,
      [keyOf(newId()), outcome],
    );
    await expect(write).rejects.toMatchObject({ code: /^23/ });
  });

  it('is not decided by an attempt that died before it had committed, and is by one whose answer was lost (C2, C3)', async () => {
    for (const [kind, expected] of [
      ['kill-before', 'abort'],
      ['kill-after', 'commit'],
    ] as const) {
      const { proxy, pool } = await behindProxy(banks, banks.north);
      const transaction = newId();
      proxy.inject({ statement: /^commit$/i, fault: { kind } });
      await expect(propose(transaction, 'commit', {}, pool)).rejects.toThrow();
      expect(await propose(transaction, 'abort')).toMatchObject({ decision: expected });
    }
  });

  it('is not changed by a decision that arrives late (C8)', async () => {
    const { proxy, pool } = await behindProxy(banks, banks.north);
    const transaction = newId();
    const held = proxy.inject({ statement: /^\s*insert into txn\.decision/i, fault: { kind: 'delay', ms: 300 } });
    const zombie = propose(transaction, 'commit', {}, pool);
    await held.struck;
    expect(await propose(transaction, 'abort')).toMatchObject({ decision: 'abort' });
    expect(await zombie).toMatchObject({ decision: 'abort', by: 'abort' });
  });

  it('answers again after some seconds when whoever holds its row has stopped (P2)', async () => {
    const { proxy, pool } = await behindProxy(banks, banks.north);
    const transaction = newId();
    const stopped = proxy.inject({
      statement: /from txn\.decision where transaction_key/i,
      fault: { kind: 'delay', ms: 25_000, evenIfGone: false },
    });
    const gone = propose(transaction, 'commit', {}, pool);
    gone.catch(() => undefined);
    await stopped.struck;
    // It has its row inserted and not committed.
    expect(await propose(transaction, 'abort')).toMatchObject({ decision: 'abort' });
    await proxy.cut();
    await expect(gone).rejects.toThrow();
  }, 12_000);
});
