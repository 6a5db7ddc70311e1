/** The name of a prepared transaction: whatever ids and inputs are, it is short, plain, the same for every attempt, and only its own. */
import { Client } from 'pg';
import { branchKeyOf, gidOf, keyOf, parseGid, readGid, scopeOf } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import type { BranchRequest } from '../../src/protocol';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import { Bank, newId, useBanks } from './fixture';

const PLACE = { operation: 'debit', register: 'north', participant: 'south', namespace: 'default' };
const REQUEST: BranchRequest = {
  transaction: parseTransactionId('t-1'),
  branch: parseBranchId('debit'),
  input: { account: 'a', amount: 1 },
};
const LONGEST_NAME = `a${'b'.repeat(62)}`;
const HOSTILE = [
  'ä'.repeat(100),
  '\u{1F980}',
  "o'hara",
  '"; drop table account; --',
  "' ; update account set balance = 777 where '' = '",
  '$1',
  '\\',
  '%s',
  'a\nb',
  'a\u0000b',
  '__proto__',
  'x'.repeat(100_000),
];

describe('a gid', () => {
  it.each(HOSTILE)('tells nothing of what is in an input: %#', (text) => {
    const gid = gidOf({ ...REQUEST, input: { [text.slice(0, 50)]: text } }, PLACE);
    expect(gid).toMatch(/^txn1_[0-9a-f]{8}_[0-9a-f]{32}_[0-9a-f]{12}_[0-9a-f]{8}_north_south$/);
    expect(readGid(gid)).toBeDefined();
  });

  it.each(HOSTILE)(
    'is not made of a participant, a register, an operation or a namespace that is hostile: %#',
    (text) => {
      expect(() => gidOf(REQUEST, { ...PLACE, participant: text })).toThrow('Nothing was');
      expect(() => gidOf(REQUEST, { ...PLACE, register: text })).toThrow('Nothing was');
      expect(readGid(gidOf(REQUEST, { ...PLACE, operation: text, namespace: text }))).toBeDefined();
    },
  );

  it('has at most 199 bytes, with ids of 255 characters and the longest names', () => {
    const transaction = parseTransactionId('x'.repeat(255));
    const gid = gidOf({ ...REQUEST, transaction }, { ...PLACE, register: LONGEST_NAME, participant: LONGEST_NAME });
    expect(Buffer.byteLength(gid)).toBeLessThanOrEqual(199);
  });

  it('is the same for every attempt, and for inputs that mean the same', () => {
    const gid = gidOf(REQUEST, PLACE);
    expect(gidOf({ ...REQUEST }, { ...PLACE })).toBe(gid);
    expect(gidOf({ ...REQUEST, input: { amount: 1, account: 'a' } }, PLACE)).toBe(gid);
  });

  it('differs with whatever makes it another branch (P11)', () => {
    const others = [
      gidOf(REQUEST, PLACE),
      gidOf({ ...REQUEST, transaction: parseTransactionId('t-2') }, PLACE),
      gidOf({ ...REQUEST, branch: parseBranchId('debit-2') }, PLACE),
      gidOf({ ...REQUEST, input: { account: 'a', amount: 2 } }, PLACE),
      gidOf({ ...REQUEST, request: 'r' }, PLACE),
      ...Object.keys(PLACE).map((part) => gidOf(REQUEST, { ...PLACE, [part]: 'other' })),
    ];
    expect(new Set(others).size).toBe(others.length);
  });

  it('says what recovery needs', () => {
    expect(readGid(gidOf(REQUEST, PLACE))).toMatchObject({
      scope: scopeOf('default'),
      transaction: keyOf('t-1'),
      branch: branchKeyOf('debit'),
      register: 'north',
      participant: 'south',
    });
  });

  it.each([
    ['nothing', ''],
    ['another version', gidOf(REQUEST, PLACE).replace('txn1', 'txn2')],
    ['a line more', `${gidOf(REQUEST, PLACE)}\n`],
    ['a quote', `${gidOf(REQUEST, PLACE)}'`],
    ['capitals', gidOf(REQUEST, PLACE).toUpperCase()],
    ['something before it', ` ${gidOf(REQUEST, PLACE)}`],
    ['a name too long', `${gidOf(REQUEST, PLACE)}${'x'.repeat(60)}`],
  ])('is not %s', (_, text) => {
    expect(readGid(text)).toBeUndefined();
    expect(() => parseGid(text)).toThrow('Nothing was changed');
  });

  it.each([undefined, null, 7, {}, ['txn1_']])('is not %j', (value) => {
    expect(() => parseGid(value)).toThrow('Nothing was changed');
  });
});

describe('on PostgreSQL', () => {
  const banks = useBanks();

  it('the longest gid is taken', async () => {
    const gid = gidOf(
      { ...REQUEST, transaction: parseTransactionId('y'.repeat(255)) },
      { ...PLACE, register: LONGEST_NAME, participant: LONGEST_NAME },
    );
    const client = new Client({ connectionString: banks.south.url });
    await client.connect();
    await client.query('begin');
    await client.query(`prepare transaction '${gid}'`);
    await client.end();
    expect(await banks.south.prepared()).toEqual([gid]);
    await banks.south.byHand(`rollback prepared '${gid}'`);
  });

  it.each(HOSTILE)('a branch is prepared and aborted whatever is in its input: %#', async (text) => {
    const { north } = banks;
    const account = await north.account();
    const request = {
      transaction: newId().padEnd(255, 'x'),
      branch: 'b'.repeat(160),
      input: { account, amount: 30, text },
    };
    expect(await north.ask('debit.prepare', request)).toMatchObject({ vote: 'commit' });
    const [gid] = await north.prepared();
    expect(gid).toMatch(/^txn1_[0-9a-f]{8}_[0-9a-f]{32}_[0-9a-f]{12}_[0-9a-f]{8}_north_north$/);
    expect(await north.ask('debit.abort', request)).toEqual({ kind: 'applied' });
    expect(await north.prepared()).toEqual([]);
    expect(await north.balance(account)).toBe(100);
    await north.rows('delete from txn.preparation');
  });

  it.each(["t'--", 't"1', 't 1', 't\n1', 't\u00001', 'ä', '', 'x'.repeat(256), undefined, null, {}, 1])(
    'the transaction id %j comes as far as the door',
    async (transaction) => {
      const { north } = banks;
      const request = { transaction: transaction as string, input: { account: await north.account(), amount: 1 } };
      for (const phase of ['prepare', 'decide', 'commit', 'abort'])
        await expect(north.ask(`debit.${phase}`, { ...request, propose: 'abort' })).rejects.toMatchObject({
          nonRetryable: true,
          type: 'BadRequest',
        });
      expect(await north.rows('select 1 from txn.decision union all select 1 from txn.preparation')).toEqual([]);
    },
  );

  it.each(['north; --', "n'", 'North', '', 'n'.repeat(64), undefined, 7])(
    'nor does the register %j',
    async (register) => {
      const { north } = banks;
      const request = { transaction: newId(), input: { account: await north.account(), amount: 1 }, register };
      for (const phase of ['prepare', 'decide', 'commit', 'abort'])
        await expect(north.ask(`debit.${phase}`, { ...request, propose: 'abort' })).rejects.toMatchObject({
          nonRetryable: true,
          type: 'BadRequest',
        });
      expect(await north.rows('select 1 from txn.decision union all select 1 from txn.preparation')).toEqual([]);
    },
  );

  it('two deployments that would use one name on one server are told to change one', async () => {
    const { north, south } = banks;
    const transaction = newId();
    // North answers to the name of south, as a copy of its deployment would.
    const account = await south.account();
    await north.rows('insert into account values ($1, 100)', [account]);
    const request = { transaction, input: { account, amount: 1 } };
    expect(await south.ask('debit.prepare', request)).toMatchObject({ vote: 'commit' });
    const copy = new Bank('south', north.pool, north.url);
    expect(await copy.ask('debit.prepare', request)).toMatchObject({
      vote: 'abort',
      reason: { code: 'not-preparable', message: expect.stringContaining('another namespace') as string },
    });
    // It does not touch what is prepared in the other database, and does not take it for finished either.
    for (const phase of ['commit', 'abort'])
      await expect(copy.ask(`debit.${phase}`, request)).rejects.toMatchObject({ nonRetryable: false });
    expect(await copy.ask('debit.prepare', { ...request, attempt: 2 })).toMatchObject({ vote: 'abort' });
    expect(await south.prepared()).toHaveLength(1);
    await south.ask('debit.abort', request);
  });
});
