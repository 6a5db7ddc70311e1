import { describe, expect, it } from 'vitest';
import { audit } from '../../activities/audit/operations';
import { refusal, useService } from './fixture';

const service = useService('audit', audit);

const transfer = { kind: 'transfer', from: 'north-bank/alice', to: 'south-bank/bob', amount: 1050, currency: 'EUR' };

const countOf = async (relation: 'record' | 'standing_record', transaction: string): Promise<number> =>
  (await service.rows(`select from ${relation} where transaction_id = $1`, [transaction])).length;

describe('an audit record', () => {
  it('says who moved what, once', async () => {
    const record = service.branch('record', transfer);
    const first = await record.execute();
    expect(first).toEqual({ answer: 'applied', result: { id: expect.any(String) } });
    expect(await record.execute()).toEqual({ ...(first as object), answer: 'applied-before' });
    expect(
      await service.rows(
        'select kind, from_party, to_party, amount::int, currency from record where transaction_id = $1',
        [record.transaction],
      ),
    ).toEqual([
      { kind: 'transfer', from_party: 'north-bank/alice', to_party: 'south-bank/bob', amount: 1050, currency: 'EUR' },
    ]);
  });

  it('stays when it is compensated, and is void', async () => {
    const record = service.branch('record', transfer);
    await record.execute();
    expect(await countOf('standing_record', record.transaction)).toBe(1);
    expect(await record.compensate()).toEqual({ answer: 'compensated' });
    expect(await record.compensate()).toEqual({ answer: 'compensated-before' });
    expect(await countOf('record', record.transaction)).toBe(1);
    expect(await countOf('standing_record', record.transaction)).toBe(0);
  });

  it.each([
    ['an odd kind', { kind: 'Transfer!' }, 'kind: must be 1 to 63 characters of a-z 0-9 -'],
    ['a party with a line break', { from: 'north-bank\nalice' }, 'from: must be 1 to 64 characters'],
    ['no amount', { amount: undefined }, 'amount: must be a whole number'],
    ['no such currency', { currency: 'eur' }, 'currency: must be an ISO 4217 currency code'],
  ])('is refused with %s', async (_, change, message) => {
    await expect(service.branch('record', { ...transfer, ...change }).execute()).rejects.toMatchObject(
      refusal('invalid-input', { message: expect.stringContaining(message) }),
    );
  });

  it.each(['update record set amount = 1', 'delete from record', 'truncate record, voiding', 'delete from voiding'])(
    'is not changed by `%s`',
    async (statement) => {
      await expect(service.rows(statement)).rejects.toThrow('the audit trail is append-only');
    },
  );
});
