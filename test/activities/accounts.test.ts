import { describe, expect, it } from 'vitest';
import { accounts } from '../../activities/accounts/operations';
import { applySchema, applySeed } from '../../activities/database';
import { totalMoney, violations } from '../../activities/invariants';
import { countApplied, refusal, useService } from './fixture';

const bank = useService('north-bank', accounts);

const MAX = Number.MAX_SAFE_INTEGER;

const holds = async (account: string): Promise<number> =>
  Number((await bank.rows('select balance from account where id = $1', [account]))[0]!.balance);

const entriesOf = (transaction: string) =>
  bank.rows('select kind, amount::int from entry where transaction_id = $1 order by id', [transaction]);

/** An account of its own for a test. */
async function open(id: string, balance: number, currency = 'EUR'): Promise<string> {
  await bank.rows(
    `with opened as (insert into account (id, owner, currency, balance) values ($1, 'Test', $3, $2))
     insert into entry (account, kind, amount, transaction_id, branch_id)
     select $1, 'opening', $2, 'opening', $1 where $2 > 0`,
    [id, balance, currency],
  );
  return id;
}

describe('an account', () => {
  it('is debited and credited, each with an entry', async () => {
    const account = await open('plain', 1000);
    const debit = bank.branch('debit', { account, amount: 300, currency: 'EUR' });
    expect(await debit.execute()).toEqual({ answer: 'applied', result: { balance: 700 } });
    const credit = bank.branch('credit', { account, amount: 50, currency: 'EUR' });
    expect(await credit.execute()).toEqual({ answer: 'applied', result: { balance: 750 } });
    expect(await entriesOf(debit.transaction)).toEqual([{ kind: 'debit', amount: -300 }]);
    expect(await entriesOf(credit.transaction)).toEqual([{ kind: 'credit', amount: 50 }]);
    expect(await violations(bank.pool)).toEqual([]);
  });

  it('tells its balance', async () => {
    const balance = bank.branch('balance', { account: 'yuki' });
    expect(await balance.execute()).toEqual({ answer: 'read-only', result: { balance: 300000, currency: 'JPY' } });
    await expect(bank.branch('balance', { account: 'nobody' }).execute()).rejects.toMatchObject(
      refusal('unknown-account'),
    );
  });

  it.each(['debit', 'credit'])('refuses a %s that its rules forbid, and changes nothing', async (operation) => {
    const before = await bank.rows('select id, balance from account order by id');
    const refused = (input: object) => expect(bank.branch(operation, input).execute()).rejects;
    await refused({ account: 'nobody', amount: 1, currency: 'EUR' }).toMatchObject(refusal('unknown-account'));
    await refused({ account: 'alice', amount: 1, currency: 'USD' }).toMatchObject(refusal('currency-mismatch'));
    await refused({ account: 'grace', amount: 1, currency: 'EUR' }).toMatchObject(refusal('account-blocked'));
    expect(await bank.rows('select id, balance from account order by id')).toEqual(before);
  });

  it('pays to the last cent and not one more', async () => {
    const account = await open('last-cent', 500);
    await expect(bank.branch('debit', { account, amount: 501, currency: 'EUR' }).execute()).rejects.toMatchObject(
      refusal('insufficient-funds', { message: 'Account last-cent cannot pay 5.01 EUR' }),
    );
    await bank.branch('debit', { account, amount: 500, currency: 'EUR' }).execute();
    expect(await holds(account)).toBe(0);
  });

  it('holds what a safe integer holds and not one more', async () => {
    const account = await open('rich', MAX - 1);
    await expect(bank.branch('credit', { account, amount: 2, currency: 'EUR' }).execute()).rejects.toMatchObject(
      refusal('balance-limit'),
    );
    expect(await bank.branch('credit', { account, amount: 1, currency: 'EUR' }).execute()).toMatchObject({
      result: { balance: MAX },
    });
  });

  it.each([
    [
      'no amount',
      { account: 'alice', currency: 'EUR' },
      'amount: must be a whole number of minor units from 1 to 9007199254740991',
    ],
    ['nothing', { account: 'alice', amount: 0, currency: 'EUR' }, 'amount: must be a whole number'],
    ['a negative amount', { account: 'alice', amount: -1, currency: 'EUR' }, 'amount: must be a whole number'],
    ['a fraction', { account: 'alice', amount: 0.1 + 0.2, currency: 'EUR' }, 'amount: must be a whole number'],
    ['too much', { account: 'alice', amount: MAX + 1, currency: 'EUR' }, 'amount: must be a whole number'],
    ['an amount as text', { account: 'alice', amount: '5', currency: 'EUR' }, 'amount: must be a whole number'],
    [
      'no such currency',
      { account: 'alice', amount: 5, currency: 'XQQ' },
      'currency: must be an ISO 4217 currency code',
    ],
    [
      'an odd id',
      { account: "'; drop table account", amount: 5, currency: 'EUR' },
      'account: must be 1 to 64 characters',
    ],
    ['a long id', { account: 'a'.repeat(65), amount: 5, currency: 'EUR' }, 'account: must be 1 to 64 characters'],
    ['more than was asked', { account: 'alice', amount: 5, currency: 'EUR', force: true }, 'Unrecognized key: "force"'],
  ])('refuses %s before it looks at any account', async (_, input, message) => {
    await expect(bank.branch('debit', input).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: expect.stringContaining(message) }),
    );
  });

  it('is debited once, however often and however concurrently the branch is repeated', async () => {
    const account = await open('repeated', 1000);
    const debit = bank.branch('debit', { account, amount: 100, currency: 'EUR' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => debit.execute()));
    expect(answers.filter((answer) => (answer as { answer: string }).answer === 'applied')).toHaveLength(1);
    expect(answers.map((answer) => (answer as { result: unknown }).result)).toEqual(Array(10).fill({ balance: 900 }));
    expect(await holds(account)).toBe(900);
  });

  it('never goes below zero under 20 concurrent debits', async () => {
    const account = await open('contended', 1000);
    const debits = Array.from({ length: 20 }, () => bank.branch('debit', { account, amount: 90, currency: 'EUR' }));
    expect(await countApplied(debits, 'insufficient-funds')).toBe(11);
    expect(await holds(account)).toBe(10);
    expect(await violations(bank.pool)).toEqual([]);
  });

  it('is seeded once, and what happened since stays', async () => {
    await bank.branch('debit', { account: 'carol', amount: 500, currency: 'EUR' }).execute();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        await applySchema(bank.pool, 'north-bank');
        await applySeed(bank.pool, 'north-bank');
      }),
    );
    expect(await holds('carol')).toBe(2000);
    expect(await violations(bank.pool)).toEqual([]);
  });

  it('is set up a second time while a transaction is prepared, which nobody could finish before its worker runs', async () => {
    const client = await bank.pool.connect();
    await client.query('begin');
    await client.query('lock table account, entry in row exclusive mode');
    await client.query('select pg_current_xact_id()');
    await client.query(`prepare transaction 'since the last run'`);
    client.release();
    try {
      await applySchema(bank.pool, 'north-bank');
      await applySeed(bank.pool, 'north-bank');
    } finally {
      await bank.pool.query(`rollback prepared 'since the last run'`);
    }
  });
});

describe('the compensation of a debit', () => {
  it('gives the money back, once, with an entry of its own', async () => {
    const account = await open('given-back', 1000);
    const debit = bank.branch('debit', { account, amount: 300, currency: 'EUR' });
    await debit.execute();
    expect(await debit.compensate()).toEqual({ answer: 'compensated' });
    expect(await debit.compensate()).toEqual({ answer: 'compensated-before' });
    expect(await holds(account)).toBe(1000);
    expect(await entriesOf(debit.transaction)).toEqual([
      { kind: 'debit', amount: -300 },
      { kind: 'reversal', amount: 300 },
    ]);
    expect(await violations(bank.pool)).toEqual([]);
  });

  it('gives the money back to an account that was blocked meanwhile', async () => {
    const account = await open('blocked-later', 1000);
    const debit = bank.branch('debit', { account, amount: 300, currency: 'EUR' });
    await debit.execute();
    await bank.rows('update account set blocked = true where id = $1', [account]);
    await debit.compensate();
    expect(await holds(account)).toBe(1000);
  });

  it('changes nothing when the debit never came, and keeps it from coming', async () => {
    const account = await open('never-came', 1000);
    const debit = bank.branch('debit', { account, amount: 300, currency: 'EUR' });
    expect(await debit.compensate()).toEqual({ answer: 'nothing-to-compensate' });
    await expect(debit.execute()).rejects.toMatchObject({ type: 'BranchFenced' });
    expect(await holds(account)).toBe(1000);
  });
});

describe('the compensation of a credit', () => {
  it('takes the money back', async () => {
    const account = await open('taken-back', 0);
    const credit = bank.branch('credit', { account, amount: 300, currency: 'EUR' });
    await credit.execute();
    expect(await credit.compensate()).toEqual({ answer: 'compensated' });
    expect(await holds(account)).toBe(0);
    expect(await violations(bank.pool)).toEqual([]);
  });

  it('is refused while the money is spent, and done once it is back', async () => {
    const account = await open('spender', 0);
    const credit = bank.branch('credit', { account, amount: 300, currency: 'EUR' });
    await credit.execute();
    await bank.branch('debit', { account, amount: 1, currency: 'EUR' }).execute();
    await expect(credit.compensate()).rejects.toMatchObject(refusal('credit-spent'));
    expect(await holds(account)).toBe(299);

    await bank.branch('credit', { account, amount: 1, currency: 'EUR' }).execute();
    expect(await credit.compensate()).toEqual({ answer: 'compensated' });
    expect(await holds(account)).toBe(0);
    expect(await violations(bank.pool)).toEqual([]);
  });
});

describe('the database of a bank', () => {
  it('itself refuses a negative balance and a second entry of one branch', async () => {
    await expect(bank.rows(`update account set balance = -1 where id = 'alice'`)).rejects.toMatchObject({
      code: '23514',
    });
    const again = `insert into entry (account, kind, amount, transaction_id, branch_id) values ('alice', 'opening', 1, 'opening', 'alice')`;
    await expect(bank.rows(again)).rejects.toMatchObject({ code: '23505' });
  });

  it('shows what is wrong when someone changes a balance by hand', async () => {
    const account = await open('by-hand', 100);
    const before = await totalMoney([bank.pool], 'EUR');
    await bank.rows('update account set balance = 107 where id = $1', [account]);
    expect(await violations(bank.pool)).toEqual([
      { invariant: 'a balance is the sum of its entries', subject: account, details: 'balance 107, entries 100' },
    ]);
    expect((await totalMoney([bank.pool], 'EUR')) - before).toBe(7n);
    await bank.rows('update account set balance = 100 where id = $1', [account]);
  });
});
