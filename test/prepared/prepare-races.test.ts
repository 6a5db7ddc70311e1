/** What may happen to an attempt to prepare from outside: other attempts beside it, an abort, a worker that stops, a lost connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { participantActivities } from 'temporal-txn/participant';
import { armCrashpoints } from 'temporal-txn/testing';
import type { Fault } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { onCrashpoint } from '../../src/protocol';
import type { CrashpointName } from '../../src/protocol';
import { settled } from '../branch-log/fixture';
import { bank } from './bank';
import { Bank, behindProxy, newId, SHORT, useBanks } from './fixture';

const banks = useBanks();

const debit = async () => ({
  transaction: newId(),
  input: { account: await banks.south.account(), amount: 30 },
});

async function expectNothingOf({ transaction, input }: { transaction: string; input: { account: string } }) {
  expect(await banks.south.prepared()).toEqual([]);
  expect(await banks.south.balance(input.account)).toBe(100);
  const open = await banks.south.rows(
    `select state from pg_stat_activity where application_name like '%' || left($1, 30) || '%' and state <> 'idle'`,
    [transaction],
  );
  expect(open).toEqual([]);
}

describe('attempts side by side', () => {
  it('eight of them, all in the middle at the same time, come to one effect', async () => {
    const request = await debit();
    const disarm = armCrashpoints(
      [1, 2, 3].map((passage) => ({ at: 'two-phase.before-prepare', action: { kind: 'delay', ms: 300 }, passage })),
    );
    onTestFinished(disarm);
    const votes = await Promise.all(
      Array.from({ length: 8 }, (_, i) => banks.south.insist('debit.prepare', { ...request, attempt: i + 1 })),
    );
    for (const vote of votes) expect(vote).toMatchObject({ vote: 'commit' });
    expect(await banks.south.prepared()).toHaveLength(1);
    await banks.south.ask('debit.commit', request);
    expect(await banks.south.balance(request.input.account)).toBe(70);
  });

  it('a retry does not wait for the key of what its predecessor has prepared', async () => {
    const request = await debit();
    await banks.south.ask('debit.prepare', request);
    const timeOf = async (attempt: number): Promise<number> => {
      const since = performance.now();
      expect(await banks.south.ask('debit.prepare', { ...request, attempt })).toEqual({
        vote: 'commit',
        xid: expect.any(String),
      });
      return performance.now() - since;
    };
    const retryMs = await timeOf(2);
    // A second delivery of the first attempt finds out as well, a lock timeout later.
    expect(await timeOf(1)).toBeGreaterThan(Math.max(retryMs, SHORT.lockMs - 5));
    await banks.south.ask('debit.abort', request);
  });

  const POINTS: CrashpointName[] = [
    'branch.logged-before-work',
    'two-phase.before-prepare',
    'two-phase.prepared-before-vote',
    'two-phase.voted-before-answer',
  ];

  it.each(POINTS)('an abort that comes while one is at %s ends with nothing prepared (P8)', async (at) => {
    const request = await debit();
    let reached: () => void = () => undefined;
    const there = new Promise<void>((resolve) => (reached = resolve));
    onCrashpoint(async (passed) => {
      if (passed !== at) return;
      reached();
      await sleep(900);
    });
    onTestFinished(() => onCrashpoint(undefined));
    const zombie = banks.south.ask('debit.prepare', request);
    await there;
    const isUnderWay = at === 'branch.logged-before-work' || at === 'two-phase.before-prepare';
    if (isUnderWay)
      await expect(banks.south.ask('debit.abort', request)).rejects.toMatchObject({
        type: 'InProgress',
        nonRetryable: false,
      });
    expect(await banks.south.insist('debit.abort', request)).toEqual({ kind: 'applied' });
    const vote = await settled(zombie);
    // Too late: nobody counts it, and nothing comes of it.
    if (isUnderWay) expect(vote).toMatchObject({ vote: 'commit' });
    await expectNothingOf(request);
    expect(await banks.south.ask('debit.prepare', { ...request, attempt: 2 })).toMatchObject({
      vote: 'abort',
      reason: { code: 'fenced' },
    });
    await expectNothingOf(request);
  });

  it.each(['branch.logged-before-work', 'two-phase.before-prepare'] as const)(
    'one whose worker stopped at %s loses its session, and the next one goes on (P2)',
    async (at) => {
      const quick = { lockMs: 100, statementMs: 200, idleInTransactionMs: 400, startToCloseMs: 9_000 };
      const pool = quietPool({ connectionString: banks.south.url, max: 4 });
      onTestFinished(() => pool.end());
      const impatient = new Bank('south', pool, banks.south.url, quick);
      const request = await debit();
      let stopped = 0;
      let reached: () => void = () => undefined;
      const there = new Promise<void>((resolve) => (reached = resolve));
      onCrashpoint((passed) => {
        if (passed !== at || ++stopped > 1) return undefined;
        reached();
        return sleep(1_200);
      });
      onTestFinished(() => onCrashpoint(undefined));
      const zombie = settled(impatient.ask('debit.prepare', request));
      await there;
      expect(await banks.south.insist('debit.prepare', { ...request, attempt: 2 })).toMatchObject({ vote: 'commit' });
      expect(stopped).toBeGreaterThan(1);
      await banks.south.ask('debit.commit', request);
      expect(await zombie).toMatchObject({ nonRetryable: false });
      expect(await banks.south.prepared()).toEqual([]);
      expect(await banks.south.balance(request.input.account)).toBe(70);
    },
  );

  it('one that was withdrawn while it waited for PREPARE TRANSACTION prepares nothing', async () => {
    const request = await debit();
    const activities = participantActivities(bank, { pool: banks.south.pool, timeouts: SHORT });
    const info = { startToCloseTimeoutMs: 9_000, attempt: 1, taskQueue: 'south' };
    const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
    onCrashpoint((passed) => (passed === 'two-phase.before-prepare' ? environment.cancel() : undefined));
    onTestFinished(() => onCrashpoint(undefined));
    const prepare = activities['debit.prepare'] as (request: object) => Promise<unknown>;
    const more = { branch: 'debit', token: 'x', votes: 'answer', register: 'north' };
    await expect(environment.run(prepare, { ...request, ...more })).rejects.toThrow('the coordinator withdrew');
    await expectNothingOf(request);
    expect(await banks.south.rows('select 1 from txn.branch where transaction_id = $1', [request.transaction])).toEqual(
      [],
    );
  });
});

describe('the connection is lost at PREPARE TRANSACTION (P4)', () => {
  const faults: [string, Fault, number][] = [
    ['before it is sent', { kind: 'kill-before' }, 0],
    ['after it is done', { kind: 'kill-after' }, 1],
  ];
  it.each(faults)('%s: no vote, and the next attempt settles it', async (_, fault, left) => {
    const { proxy, bank: far } = await behindProxy(banks, banks.south);
    const request = await debit();
    proxy.inject({ statement: /^prepare transaction/i, fault });
    await expect(far.ask('debit.prepare', request)).rejects.toMatchObject({ nonRetryable: false });
    await expect.poll(() => banks.south.prepared()).toHaveLength(left);
    expect(await far.insist('debit.prepare', { ...request, attempt: 2 })).toMatchObject({ vote: 'commit' });
    expect(await banks.south.prepared()).toHaveLength(1);
    await far.ask('debit.commit', request);
    expect(await banks.south.balance(request.input.account)).toBe(70);
  });

  it('and it arrives when the retry has found nothing: the retry waits for the key (gpdb#10393)', async () => {
    const { proxy, bank: far } = await behindProxy(banks, banks.south);
    const request = await debit();
    const late = proxy.inject({ statement: /^prepare transaction/i, fault: { kind: 'delay', ms: 500 } });
    const zombie = settled(far.ask('debit.prepare', request));
    await late.struck;
    await expect(banks.south.ask('debit.prepare', { ...request, attempt: 2 })).rejects.toMatchObject({
      type: 'InProgress',
    });
    expect(await banks.south.insist('debit.prepare', { ...request, attempt: 3 })).toEqual({
      vote: 'commit',
      xid: expect.any(String),
    });
    expect(await zombie).toMatchObject({ vote: 'commit' });
    expect(await banks.south.prepared()).toHaveLength(1);
    await banks.south.ask('debit.abort', request);
    await expectNothingOf(request);
  });
});

it('two transactions that wait for each other across two databases both end, and leave nothing (G1)', async () => {
  const accounts = { north: await banks.north.account(), south: await banks.south.account() };
  const branch = (transaction: string, where: 'north' | 'south') => ({
    transaction,
    branch: where,
    register: transaction === one ? 'north' : 'south',
    input: { account: accounts[where], amount: 10 },
  });
  const [one, two] = [newId(), newId()];
  expect(await banks.north.ask('debit.prepare', branch(one, 'north'))).toMatchObject({ vote: 'commit' });
  expect(await banks.south.ask('debit.prepare', branch(two, 'south'))).toMatchObject({ vote: 'commit' });
  const votes = await Promise.all([
    banks.south.ask('debit.prepare', branch(one, 'south')),
    banks.north.ask('debit.prepare', branch(two, 'north')),
  ]);
  for (const vote of votes) expect(vote).toMatchObject({ vote: 'abort', reason: { code: 'contention' } });
  await banks.north.ask('debit.decide', { ...branch(one, 'north'), propose: 'abort' });
  await banks.south.ask('debit.decide', { ...branch(two, 'south'), propose: 'abort' });
  for (const where of ['north', 'south'] as const) {
    expect(await banks[where].balance(accounts[where])).toBe(100);
    expect(await banks[where].prepared()).toEqual([]);
    const again = { transaction: newId(), input: { account: accounts[where], amount: 10 } };
    expect(await banks[where].ask('debit.prepare', again)).toMatchObject({ vote: 'commit' });
    await banks[where].ask('debit.abort', again);
  }
});
