/** How a branch follows a decision: however often it comes, with lost answers, and when what it was prepared with is gone. */
import type { Fault } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Decision } from '../../src/protocol';
import { onCrashpoint } from '../../src/protocol';
import { gate } from '../branch-log/fixture';
import { behindProxy, newId, useBanks } from './fixture';

const banks = useBanks();

const EFFECT: Record<Decision, number> = { commit: 70, abort: 100 };

describe('a decision', () => {
  it.each(['commit', 'abort'] as const)(
    'to %s that comes eight times at once is applied by all, once',
    async (decision) => {
      const { account, request } = await banks.south.prepareBranch();
      const acks = await Promise.all(Array.from({ length: 8 }, () => banks.south.insist(`debit.${decision}`, request)));
      for (const ack of acks) expect(ack).toEqual({ kind: 'applied' });
      expect(await banks.south.ask(`debit.${decision}`, request)).toEqual({ kind: 'applied' });
      expect(await banks.south.balance(account)).toBe(EFFECT[decision]);
      expect(await banks.south.prepared()).toEqual([]);
    },
  );

  it('to commit brings the result to each of those who lack it, however late', async () => {
    const { request } = await banks.south.prepareBranch();
    const wanting = { ...request, wantsResult: true };
    for (let time = 0; time < 3; time++)
      expect(await banks.south.ask('debit.commit', wanting)).toEqual({ kind: 'applied', result: { balance: 70 } });
  });

  it('to abort brings no result', async () => {
    const { request } = await banks.south.prepareBranch();
    expect(await banks.south.ask('debit.abort', { ...request, wantsResult: true })).toEqual({ kind: 'applied' });
  });

  it('to commit does not make a branch of what was given up', async () => {
    const { account, request } = await banks.south.prepareBranch();
    await banks.south.ask('debit.abort', request);
    expect(await banks.south.ask('debit.commit', request)).toMatchObject({
      kind: 'heuristic',
      took: 'abort',
      evidence: expect.stringContaining('given up') as string,
    });
    expect(await banks.south.balance(account)).toBe(100);
  });

  it.each(['commit', 'abort'] as const)('to %s another input leaves the branch that stands alone', async (decision) => {
    const { account, request } = await banks.south.prepareBranch();
    const other = { ...request, input: { account, amount: 31 }, xid: undefined };
    const early = await banks.south.ask(`debit.${decision}`, other).catch((error: unknown) => error);
    expect(early).not.toEqual({ kind: 'applied' });
    expect(await banks.south.prepared()).toHaveLength(1);
    await banks.south.ask('debit.commit', request);
    expect(await banks.south.ask(`debit.${decision}`, other)).toMatchObject({ kind: 'foreign' });
    expect(await banks.south.balance(account)).toBe(70);
  });

  it('to commit is asked for again while the server is down, and finds the branch prepared (I3)', async () => {
    const { server, south } = banks;
    const { account, request } = await south.prepareBranch();
    await server.kill();
    await expect(south.ask('debit.commit', request)).rejects.toMatchObject({ nonRetryable: false });
    await server.restart();
    await expect.poll(() => south.ask('debit.commit', request).catch(() => 'away')).toEqual({ kind: 'applied' });
    expect(await south.balance(account)).toBe(70);
  });
});

describe('the primary', () => {
  it('gives the decision with its reason, and refuses it to another input', async () => {
    const { request } = await banks.north.prepareBranch();
    const reason = { code: 'insufficient-funds', message: 'No' };
    const asked = { ...request, propose: 'abort', reason, request: 'a' };
    const told = { decision: 'abort', reason, by: 'coordinator', ack: { kind: 'applied' } };
    // The gid has the hash of the transaction's input in it.
    await banks.north.ask('debit.abort', request);
    expect(await banks.north.ask('debit.decide', asked)).toEqual(told);
    expect(await banks.north.ask('debit.decide', { ...asked, propose: 'commit' })).toMatchObject({ decision: 'abort' });
    await expect(banks.north.ask('debit.decide', { ...asked, request: 'b' })).rejects.toMatchObject({
      type: 'InputMismatch',
      nonRetryable: true,
      message: expect.stringContaining('Nothing was changed') as string,
    });
  });

  it('that was never asked to prepare obeys a proposal to abort, and cannot be made to commit later (P1, C0b)', async () => {
    const account = await banks.north.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    expect(await banks.north.ask('debit.decide', { ...request, propose: 'abort' })).toMatchObject({
      decision: 'abort',
    });
    expect(await banks.north.ask('debit.prepare', request)).toMatchObject({
      vote: 'abort',
      reason: { code: 'fenced' },
    });
    expect(await banks.north.ask('debit.decide', { ...request, propose: 'commit' })).toMatchObject({
      decision: 'abort',
    });
    expect(await banks.north.balance(account)).toBe(100);
  });

  it('has decided before anybody follows, and the register answers without Temporal (C4)', async () => {
    const { account, request } = await banks.north.prepareBranch();
    onCrashpoint((passed) => {
      if (passed === 'two-phase.decided-before-finish') throw new Error('crash');
    });
    onTestFinished(() => onCrashpoint(undefined));
    await expect(banks.north.ask('debit.decide', { ...request, propose: 'commit' })).rejects.toThrow();
    onCrashpoint(undefined);
    expect(await banks.north.balance(account)).toBe(100);
    // The vote's timer has run out meanwhile (C3).
    expect(await banks.north.ask('debit.decide', { ...request, attempt: 2, propose: 'abort' })).toMatchObject({
      decision: 'commit',
      ack: { kind: 'applied' },
    });
    expect(await banks.north.balance(account)).toBe(70);
  });
});

describe('the primary whose own branch cannot follow yet', () => {
  it('tells the decision at once, so that nobody else has to wait for a late attempt at it', async () => {
    const { north } = banks;
    const account = await north.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    const late = gate();
    onCrashpoint((passed) => (passed === 'two-phase.before-prepare' ? late.pass() : undefined));
    onTestFinished(() => onCrashpoint(undefined));
    const attempt = north.ask('debit.prepare', request);
    await late.reached;
    expect(await north.ask('debit.decide', { ...request, propose: 'abort' })).toEqual({
      decision: 'abort',
      by: 'coordinator',
    });
    await expect(north.ask('debit.abort', request)).rejects.toMatchObject({ type: 'InProgress', nonRetryable: false });
    late.open();
    await attempt;
    expect(await north.insist('debit.abort', request)).toEqual({ kind: 'applied' });
    expect(await north.balance(account)).toBe(100);
  });
});

describe('when the branch is gone', () => {
  it('and nothing of it was ever there, it is lost (I4)', async () => {
    const { south } = banks;
    const account = await south.account();
    const request = { transaction: newId(), input: { account, amount: 1 } };
    expect(await south.ask('debit.commit', request)).toMatchObject({ kind: 'lost' });
    // An xid of the future: this server has never begun it.
    expect(await south.ask('debit.commit', { ...request, xid: '999999999999' })).toMatchObject({ kind: 'lost' });
    expect(await south.ask('debit.commit', { ...request, xid: 'no number' }).catch(() => 'failed')).toBe('failed');
  });

  it('with its row: PostgreSQL knows that it committed, and it is lost all the same', async () => {
    const { request } = await banks.south.prepareBranch();
    await banks.south.ask('debit.commit', request);
    await banks.south.rows('delete from txn.branch where transaction_id = $1', [request.transaction]);
    expect(await banks.south.ask('debit.commit', request)).toMatchObject({
      kind: 'lost',
      evidence: expect.stringContaining('committed') as string,
    });
  });

  it('with its xid: nobody knows, and nobody guesses', async () => {
    const { gid, request } = await banks.south.prepareBranch();
    await banks.south.byHand(`rollback prepared '${gid}'`);
    expect(await banks.south.ask('debit.commit', { ...request, xid: undefined })).toMatchObject({ kind: 'lost' });
  });

  it('and its transaction is still open, it is asked again', async () => {
    const account = await banks.south.account();
    const client = await banks.south.pool.connect();
    await client.query('begin');
    const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
    const request = { transaction: newId(), input: { account, amount: 1 }, xid: rows[0]?.xid };
    await expect(banks.south.ask('debit.commit', request)).rejects.toMatchObject({ type: 'InProgress' });
    await client.query('rollback');
    client.release();
    expect(await banks.south.ask('debit.commit', request)).toMatchObject({ kind: 'heuristic', took: 'abort' });
  });
});

describe('a lost answer (Q1, Q4)', () => {
  const faults: [string, Fault][] = [
    ['before it was sent', { kind: 'kill-before' }],
    ['after it was done', { kind: 'kill-after' }],
  ];
  const cases = (['commit', 'abort'] as const).flatMap((decision) =>
    faults.map(([when, fault]) => [decision, when, fault] as const),
  );
  it.each(cases)('to %s PREPARED, %s, is no answer, and asking again comes to the same', async (decision, _, fault) => {
    const { proxy, pool, bank: far } = await behindProxy(banks, banks.south, 2);
    const { account, request } = await banks.south.prepareBranch();
    proxy.inject({ statement: /^(commit|rollback) prepared/i, fault });
    await expect(far.ask(`debit.${decision}`, request)).rejects.toMatchObject({ nonRetryable: false });
    expect(await far.insist(`debit.${decision}`, request)).toEqual({ kind: 'applied' });
    expect(await banks.south.balance(account)).toBe(EFFECT[decision]);
    // A connection that failed is not in the pool any more, and none keeps the setting of the other.
    const { rows } = await pool.query<{ setting: string }>(`select current_setting('statement_timeout') as setting`);
    expect(rows).toEqual([{ setting: '0' }]);
  });

  it('because an administrator ended the session (57P01) proves nothing', async () => {
    const { proxy, pool, bank: far } = await behindProxy(banks, banks.south, 1);
    const { account, request } = await banks.south.prepareBranch();
    const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    proxy.inject({
      statement: /^commit prepared/i,
      fault: { kind: 'call', call: () => banks.south.rows('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]) },
    });
    await expect(far.ask('debit.commit', request)).rejects.toMatchObject({ nonRetryable: false });
    expect(await far.insist('debit.commit', request)).toEqual({ kind: 'applied' });
    expect(await banks.south.balance(account)).toBe(70);
  });
});
