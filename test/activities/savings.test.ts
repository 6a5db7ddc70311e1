import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { violations } from '../../activities/invariants';
import { balanceAsOf, statement } from '../../activities/savings/audit-trail';
import { savings } from '../../activities/savings/operations';
import { countApplied, refusal, useService } from './fixture';

const service = useService('savings', savings);

const open = async (account: string): Promise<string> => {
  await service.rows(`select txn.append_to_stream($1, 0, '[{"type": "Opened", "data": {"currency": "EUR"}}]')`, [
    account,
  ]);
  return account;
};

const deposit = (account: string, amount: number) => service.branch('deposit', { account, amount, currency: 'EUR' });
const withdraw = (account: string, amount: number) => service.branch('withdraw', { account, amount, currency: 'EUR' });
const balance = (account: string, asOf?: string): Promise<unknown> =>
  service.branch('balance', { account, ...(asOf === undefined ? {} : { asOf }) }).execute();

/** By the clock that gives events their time. */
const now = async (): Promise<Date> =>
  ((await service.rows('select clock_timestamp() as now')) as { now: Date }[])[0]!.now;

describe('a savings account', () => {
  it('holds what its events add up to, each of them once', async () => {
    const account = await open('sum');
    const first = deposit(account, 1_000);
    expect(await first.execute()).toMatchObject({ answer: 'applied', result: { balance: 1_000 } });
    expect(await first.execute()).toMatchObject({ answer: 'applied-before', result: { balance: 1_000 } });
    await withdraw(account, 300).execute();
    expect(await balance(account)).toMatchObject({ result: { balance: 700, currency: 'EUR', version: 3 } });
    expect(await violations(service.pool)).toEqual([]);
  });

  it('is given back what a transaction took, by another event', async () => {
    const account = await open('undone');
    await deposit(account, 500).execute();
    const taken = withdraw(account, 500);
    await taken.execute();
    await taken.compensate();
    expect((await statement(service.pool, account)).map((entry) => [entry.amount, entry.balance])).toEqual([
      [500, 500],
      [-500, 0],
      [500, 500],
    ]);
  });

  it('pays no more than it holds, to however many at once', async () => {
    const account = await open('race');
    await deposit(account, 300).execute();
    const all = Array.from({ length: 3 }, () => withdraw(account, 200));
    // Who is overtaken is tried again, as Temporal would.
    let applied = 0;
    for (const one of all) applied += await countApplied([one], 'insufficient-funds');
    expect(applied).toBe(1);
    expect(await balance(account)).toMatchObject({ result: { balance: 100 } });
  });

  it.each([
    ['unknown-account', 'nobody', 'EUR'],
    ['currency-mismatch', 'alice', 'USD'],
  ])('is refused with %s', async (code, account, currency) => {
    const branch = service.branch('deposit', { account, amount: 1, currency });
    await expect(branch.execute()).rejects.toMatchObject(refusal(code));
  });
});

describe('its audit trail', () => {
  it('says what it held at any time, and which transaction is behind each entry', async () => {
    const account = await open('trail');
    const opened = await now();
    await sleep(2);
    const first = deposit(account, 100);
    await first.execute();
    const between = await now();
    await sleep(2);
    await deposit(account, 50).execute();
    expect(await balanceAsOf(service.pool, account, opened)).toBe(0);
    expect(await balanceAsOf(service.pool, account, between)).toBe(100);
    expect(await balanceAsOf(service.pool, account, await now())).toBe(150);
    expect(await balance(account, between.toISOString())).toMatchObject({ result: { balance: 100, version: 2 } });
    expect((await statement(service.pool, account))[0]).toMatchObject({
      amount: 100,
      balance: 100,
      transaction: first.transaction,
    });
  });

  it('is the same for a person in psql', async () => {
    const account = await open('psql');
    await deposit(account, 70).execute();
    await withdraw(account, 20).execute();
    const sum = 'select sum(amount)::int as held from movement where account = $1 and moved_at <= clock_timestamp()';
    expect(await service.rows(sum, [account])).toEqual([{ held: 50 }]);
  });
});
