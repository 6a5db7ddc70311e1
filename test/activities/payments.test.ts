import { describe, expect, it } from 'vitest';
import { violations } from '../../activities/invariants';
import { payments } from '../../activities/payments/operations';
import { countApplied, refusal, useService } from './fixture';

const service = useService('payments', payments);

const chargedTo = async (card: string): Promise<number> =>
  Number((await service.rows('select charged from card where token = $1', [card]))[0]!['charged']);

const charge = (card: string, amount: number, currency = 'EUR') => service.branch('charge', { card, amount, currency });

async function issue(card: string, limit: number): Promise<string> {
  await service.rows(`insert into card (token, currency, credit_limit) values ($1, 'EUR', $2)`, [card, limit]);
  return card;
}

describe('a charge', () => {
  it('is made once', async () => {
    const card = await issue('tok_once', 10000);
    const branch = charge(card, 2599);
    const first = await branch.execute();
    expect(first).toEqual({ answer: 'applied', result: { id: expect.any(String) } });
    expect(await branch.execute()).toEqual({ ...(first as object), answer: 'applied-before' });
    expect(await chargedTo(card)).toBe(2599);
    expect(await violations(service.pool)).toEqual([]);
  });

  it('is refunded when it is compensated, once, and both stay on record', async () => {
    const card = await issue('tok_refund', 10000);
    await charge(card, 100).execute();
    const branch = charge(card, 2599);
    await branch.execute();
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated-before' });
    expect(await chargedTo(card)).toBe(100);
    expect(
      await service.rows(
        'select amount::int, refunded_at is not null as refunded from charge left join refund on charge = id where card = $1 order by charged_at',
        [card],
      ),
    ).toEqual([
      { amount: 100, refunded: false },
      { amount: 2599, refunded: true },
    ]);
    expect(await violations(service.pool)).toEqual([]);
  });

  it('can use the limit again that a refund gave back', async () => {
    const card = await issue('tok_again', 1000);
    const first = charge(card, 1000);
    await first.execute();
    await expect(charge(card, 1).execute()).rejects.toMatchObject(refusal('card-declined'));
    await first.compensate();
    await charge(card, 1000).execute();
    expect(await chargedTo(card)).toBe(1000);
  });

  it('is refused where the rules forbid it', async () => {
    await expect(charge('tok_declined', 1).execute()).rejects.toMatchObject(refusal('card-declined'));
    await expect(charge('tok_student', 5001).execute()).rejects.toMatchObject(
      refusal('card-declined', { message: 'Card tok_student was declined for 50.01 EUR' }),
    );
    await expect(charge('tok_nobody', 1).execute()).rejects.toMatchObject(refusal('unknown-card'));
    await expect(charge('tok_visa', 1, 'USD').execute()).rejects.toMatchObject(refusal('currency-mismatch'));
  });

  it('never sees a card number', async () => {
    await expect(charge('4242424242424242', 1).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: 'card: must be a card token such as tok_visa, never a card number' }),
    );
  });

  it('stays within the limit under 20 concurrent charges', async () => {
    const card = await issue('tok_contended', 1000);
    const charges = Array.from({ length: 20 }, () => charge(card, 150));
    expect(await countApplied(charges, 'card-declined')).toBe(6);
    expect(await chargedTo(card)).toBe(900);
    expect(await violations(service.pool)).toEqual([]);
  });

  it('beyond the limit is refused by the database itself', async () => {
    await expect(service.rows(`update card set charged = 1 where token = 'tok_declined'`)).rejects.toMatchObject({
      code: '23514',
    });
  });
});
