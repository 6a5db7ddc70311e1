/** Event store and inbox inside an operation of a participant: what they write exists exactly when the branch does. */
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { defineInbox } from '../../../src/outbox/inbox/inbox';
import { usePostgres, useParticipant } from '../../participant/fixture';
import { account, deposited, store } from './fixture';

const inbox = defineInbox('bank');

const bank = useParticipant(
  usePostgres(),
  'bank',
  () =>
    defineParticipant('bank', {
      deposit: operation({
        input: z.object({ account: z.string(), amount: z.number(), message: z.string() }),
        async execute(tx, { account: stream, amount, message }) {
          const { outcome } = await inbox.receive(tx, { id: message }, async (own) => {
            await store.appendToStream(own, stream, 'any', [deposited(1)]);
            const { state } = await store.handle(own, account, stream, { kind: 'deposit', amount });
            return state.balance;
          });
          // Caught: what it wrote is gone, and the operation goes on.
          await inbox.receive(tx, { id: `${message}-failing` }, () => tx.query('select 1 / 0')).catch(() => undefined);
          if (amount > 100) refuse('TOO_MUCH', 'no more than 100');
          return { balance: outcome };
        },
        async compensate(tx, { account: stream, amount }) {
          await store.appendToStream(tx, stream, 'any', [{ type: 'Withdrawn', data: { amount: amount + 1 } }]);
        },
      }),
    }),
  async () => undefined,
);

it('commits, is refused and is undone with the branch', async () => {
  const kept = bank.branch('deposit', { account: 'a', amount: 10, message: 'm-1' });
  expect(await kept.execute()).toMatchObject({ result: { balance: 11 } });
  await kept.execute();
  const refused = bank.branch('deposit', { account: 'a', amount: 1000, message: 'm-2' });
  await expect(refused.execute()).rejects.toThrow();
  const again = bank.branch('deposit', { account: 'a', amount: 10, message: 'm-1' });
  expect(await again.execute()).toMatchObject({ result: { balance: 11 } });
  expect(await store.load(bank.pool, account, 'a')).toEqual({ state: { owner: null, balance: 11 }, version: 2 });
  await kept.compensate();
  expect((await store.load(bank.pool, account, 'a')).state.balance).toBe(0);
  expect(
    await bank.rows(
      'select version, transaction_id as transaction, branch_id as branch from txn.event order by version',
    ),
  ).toEqual([1, 2, 3].map((version) => ({ version, transaction: kept.transaction, branch: 'deposit' })));
  expect(await bank.rows('select message_id as id from txn.inbox')).toEqual([{ id: 'm-1' }]);
});
