/** A prepared branch, and somebody else: a person with psql, another role, another database, another program. */
import { listPrepared } from 'temporal-txn/participant';
import { describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { settled } from '../branch-log/fixture';
import { Bank, superuserIn, useBanks } from './fixture';

const banks = useBanks();

describe('what a person finished', () => {
  describe.each([
    ['commit', 'rollback', 'abort'],
    ['abort', 'commit', 'commit'],
  ] as const)('otherwise than decided, which was %s, with %s PREPARED', (decided, hand, took) => {
    it('the primary owns up to', async () => {
      const { gid, request } = await banks.north.prepareBranch();
      await banks.north.byHand(`${hand} prepared '${gid}'`);
      expect(await banks.north.ask('debit.decide', { ...request, propose: decided })).toMatchObject({
        decision: decided,
        ack: { kind: 'heuristic', took },
      });
    });

    it('another branch owns up to', async () => {
      const { gid, request } = await banks.south.prepareBranch();
      await banks.south.byHand(`${hand} prepared '${gid}'`);
      expect(await banks.south.ask(`debit.${decided}`, request)).toMatchObject({ kind: 'heuristic', took });
    });
  });

  it('is done when that is what was decided, and brings the result as well', async () => {
    const { request, gid } = await banks.south.prepareBranch();
    await banks.south.byHand(`commit prepared '${gid}'`);
    expect(await banks.south.ask('debit.commit', { ...request, wantsResult: true })).toEqual({
      kind: 'applied',
      result: { balance: 70 },
    });
  });

  it('is fenced off when that is what was decided', async () => {
    const { south } = banks;
    const { request, gid } = await south.prepareBranch();
    await south.byHand(`rollback prepared '${gid}'`);
    expect(await south.ask('debit.abort', request)).toEqual({ kind: 'applied' });
    expect(await south.ask('debit.prepare', request)).toMatchObject({ vote: 'abort', reason: { code: 'fenced' } });
  });
});

describe('what is not ours to finish', () => {
  it.each(['commit', 'abort'] as const)(
    'is left to the role that owns it, and asked for again: %s',
    async (decision) => {
      const { gid, request } = await banks.south.prepareBranch();
      await banks.south.byHand(`rollback prepared '${gid}'`);
      const admin = await superuserIn(banks, banks.south);
      await admin.query('begin');
      await admin.query(`prepare transaction '${gid}'`);
      await expect(banks.south.ask(`debit.${decision}`, request)).rejects.toMatchObject({
        nonRetryable: false,
        message: expect.stringContaining('42501') as string,
      });
      expect(await banks.south.prepared()).toEqual([gid]);
      await admin.query(`rollback prepared '${gid}'`);
      await banks.south.ask('debit.abort', request);
    },
  );

  it.each(['commit', 'abort'] as const)('is left in the database that it was prepared in: %s', async (decision) => {
    const { gid, request } = await banks.south.prepareBranch();
    const pool = quietPool({ connectionString: banks.server.adminUrl.replace(/\/[^/]*$/, '/north'), max: 2 });
    onTestFinished(() => pool.end());
    // A worker of south that was given the connection string of north, and the rights of a superuser.
    const lost = new Bank('south', pool, banks.north.url);
    await expect(lost.ask(`debit.${decision}`, request)).rejects.toMatchObject({
      nonRetryable: false,
      message: expect.stringContaining('0A000') as string,
    });
    expect(await banks.south.prepared()).toEqual([gid]);
    expect(await banks.north.rows('select 1 from txn.branch where transaction_id = $1', [request.transaction])).toEqual(
      [],
    );
    await banks.south.ask('debit.abort', request);
  });

  it('is named in the list: of another role, of another program, of another namespace', async () => {
    const { north, south } = banks;
    const { gid, request } = await south.prepareBranch();
    await south.byHand(`rollback prepared '${gid}'`);
    const admin = await superuserIn(banks, south);
    for (const name of [gid, 'payroll-7']) {
      await admin.query('begin');
      await admin.query(`prepare transaction '${name}'`);
    }
    const viewer = { participant: 'south', namespace: 'default' };
    const listed = await listPrepared(south.pool, viewer);
    expect(listed.map(({ whose, owned }) => ({ whose, owned }))).toEqual([
      { whose: 'ours', owned: false },
      { whose: 'foreign', owned: false },
    ]);
    expect(await listPrepared(south.pool, { ...viewer, namespace: 'staging' })).toMatchObject([
      { whose: 'other-participant' },
      { whose: 'foreign' },
    ]);
    expect(await listPrepared(north.pool, viewer)).toEqual([]);
    for (const name of [gid, 'payroll-7']) await admin.query(`rollback prepared '${name}'`);
    await south.ask('debit.abort', request);
  });

  it('is not voted for, though it has our name', async () => {
    const { account, gid, request } = await banks.south.prepareBranch();
    await banks.south.byHand(`rollback prepared '${gid}'`);
    const admin = await superuserIn(banks, banks.south);
    await admin.query('begin');
    await admin.query(`prepare transaction '${gid}'`);
    const vote = await settled(banks.south.ask('debit.prepare', { ...request, attempt: 2 }));
    await admin.query(`rollback prepared '${gid}'`);
    expect(vote).not.toMatchObject({ vote: 'commit' });
    await banks.south.ask('debit.abort', request);
    expect(await banks.south.prepared()).toEqual([]);
    expect(await banks.south.balance(account)).toBe(100);
  });
});
