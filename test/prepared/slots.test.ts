/** Servers with few slots for prepared transactions: who finds none comes again, and nobody is refused for good (P12). */
import { setTimeout as sleep } from 'node:timers/promises';
import { readSlots } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import { newId, useBanks } from './fixture';
import type { Bank } from './fixture';

describe('where there are two slots', () => {
  const banks = useBanks({ max_prepared_transactions: 2 });

  it('eight transactions of two branches all come to an end, those that gave up included, and money is conserved', async () => {
    const { north, south } = banks;
    /** Nobody waits for a vote for ever. */
    const vote = async (bank: Bank, request: object): Promise<unknown> => {
      for (let attempt = 1; attempt <= 10; attempt++) {
        const [ended] = await Promise.allSettled([bank.ask('debit.prepare', { ...request, attempt })]);
        if (ended.status === 'fulfilled') return (ended.value as { vote: string }).vote;
        expect(ended.reason).toMatchObject({ nonRetryable: false });
        await sleep(20 + Math.random() * 60);
      }
      return 'none';
    };
    const transfer = async (): Promise<string> => {
      const transaction = newId();
      const of = (account: string, branch: string) => ({ transaction, branch, input: { account, amount: 10 } });
      const one = of(await north.account(), 'one');
      const two = of(await south.account(), 'two');
      const votes = [await vote(north, one), await vote(south, two)];
      const propose = votes.every((each) => each === 'commit') ? 'commit' : 'abort';
      const decided = (await north.insist('debit.decide', { ...one, propose })) as { decision: 'commit' | 'abort' };
      expect(decided).toMatchObject({ decision: propose, ack: { kind: 'applied' } });
      expect(await south.insist(`debit.${decided.decision}`, two)).toEqual({ kind: 'applied' });
      const balance = propose === 'commit' ? 90 : 100;
      expect(await north.balance(one.input.account)).toBe(balance);
      expect(await south.balance(two.input.account)).toBe(balance);
      return propose;
    };
    await Promise.all(Array.from({ length: 8 }, transfer));
    expect(await readSlots(north.pool)).toEqual({ used: 0, limit: 2 });
    // They may all have given up. Whoever comes now finds what they have given back.
    expect(await transfer()).toBe('commit');
    expect(await readSlots(north.pool)).toEqual({ used: 0, limit: 2 });
  });

  /** Two who have them. */
  const holders = () => Promise.all([banks.north.prepareBranch(), banks.north.prepareBranch()]);
  const request = async () => ({
    transaction: newId(),
    input: { account: await banks.south.account(), amount: 1 },
  });

  it('one that finds none is asked again, and gets that of one that has ended', async () => {
    const { north, south } = banks;
    const [first, second] = await holders();
    const third = await request();
    await expect(south.ask('debit.prepare', third)).rejects.toMatchObject({ type: 'InProgress', nonRetryable: false });
    await north.ask('debit.commit', first.request);
    expect(await south.ask('debit.prepare', { ...third, attempt: 2 })).toMatchObject({ vote: 'commit' });
    await south.ask('debit.abort', third);
    await north.ask('debit.abort', second.request);
  });

  it('one that finds none leaves the key of its branch free: for an abort, and for the attempt after it', async () => {
    const { north, south } = banks;
    const held = await holders();
    const third = await request();
    await expect(south.ask('debit.prepare', third)).rejects.toMatchObject({ nonRetryable: false });
    expect(await south.ask('debit.abort', third)).toEqual({ kind: 'applied' });
    expect(await south.ask('debit.prepare', { ...third, attempt: 2 })).toMatchObject({ reason: { code: 'fenced' } });
    for (const one of held) await north.ask('debit.abort', one.request);
  });
});

describe('where there is none', () => {
  const banks = useBanks({ max_prepared_transactions: 0 });

  it('the vote to abort is final, and everything else works', async () => {
    const { north } = banks;
    const request = { transaction: newId(), input: { account: await north.account(), amount: 1 } };
    const no = {
      vote: 'abort',
      reason: {
        code: 'not-preparable',
        message: expect.stringMatching(/Set max_prepared_transactions .* restart/) as string,
      },
    };
    expect(await north.ask('debit.prepare', request)).toMatchObject(no);
    expect(await north.ask('debit.prepare', { ...request, attempt: 2 })).toMatchObject(no);
    expect(await north.ask('debit.decide', { ...request, propose: 'abort' })).toMatchObject({
      decision: 'abort',
      ack: { kind: 'applied' },
    });
    expect(await north.ask('balance.prepare', request)).toEqual({ vote: 'read-only', result: { balance: 100 } });
    expect(await readSlots(north.pool)).toEqual({ used: 0, limit: 0 });
  });
});
