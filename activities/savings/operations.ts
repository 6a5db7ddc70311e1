/** Savings accounts. Nothing is ever changed in place: each operation appends what happened, and so does a compensation. */
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { AccountId, Amount, Currency } from '../values';
import { account, store } from './account';
import type { Command } from './account';

export const Movement = z.strictObject({ account: AccountId, amount: Amount, currency: Currency });
export type Movement = z.infer<typeof Movement>;

export const BalanceQuery = z.strictObject({
  account: AccountId,
  /** As of when, ISO 8601. @default now */
  asOf: z.iso.datetime({ offset: true, error: 'must be a time such as 2026-01-01T00:00:00Z' }).optional(),
});
export type BalanceQuery = z.infer<typeof BalanceQuery>;

export const savings = defineParticipant('savings', {
  /** Puts money in. */
  deposit: operation({
    input: Movement,
    execute: (tx, movement) => move(tx, 'deposit', movement),
    async compensate(tx, movement) {
      await move(tx, 'withdraw', movement);
    },
  }),

  /** Takes money out. */
  withdraw: operation({
    input: Movement,
    execute: (tx, movement) => move(tx, 'withdraw', movement),
    async compensate(tx, movement) {
      await move(tx, 'deposit', movement);
    },
  }),

  /** Tells what an account holds, or held at some time. */
  balance: operation({
    input: BalanceQuery,
    readOnly: true,
    async execute(tx, { account: id, asOf }) {
      const { state, version } = await store.load(tx, account, id, asOf === undefined ? {} : { until: new Date(asOf) });
      if (state.currency === undefined) refuse('unknown-account', `There was no savings account ${id} then`);
      return { balance: state.balance, currency: state.currency, version };
    },
  }),
});

async function move(tx: Tx, kind: Command['kind'], { account: id, ...sum }: Movement): Promise<{ balance: number }> {
  const { state } = await store.handle(tx, account, id, { kind, ...sum });
  return { balance: state.balance };
}
