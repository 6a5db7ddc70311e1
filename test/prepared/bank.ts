/**
 * A participant with operations of a bank, and with some that do what a bank would never do. Without vitest, because processes
 * that are killed run it, too.
 */
import { defineParticipant, operation, refuse, semanticLock } from 'temporal-txn/participant';
import { z } from 'zod';

const TAKE = 'update account set balance = balance - $2 where id = $1 and balance >= $2 returning balance';

export const bank = defineParticipant('bank', {
  debit: operation({
    input: z.object({ account: z.string(), amount: z.int() }),
    async execute(tx, { account, amount }) {
      const { rows } = await tx.query<{ balance: number }>(TAKE, [account, amount]);
      if (!rows[0]) refuse('insufficient-funds', `${account} cannot pay ${amount}`);
      return { balance: rows[0].balance };
    },
  }),
  /** Debits and swallows the error of a statement, before or after. */
  careless: operation({
    input: z.object({ account: z.string(), amount: z.int(), first: z.boolean() }),
    async execute(tx, { account, amount, first }) {
      if (!first) await tx.query(TAKE, [account, amount]);
      await tx.query('select 1 / 0').catch(() => undefined);
      if (first) await tx.query(TAKE, [account, amount]).catch(() => undefined);
    },
  }),
  /** The same with a savepoint, as it should be. */
  careful: operation({
    input: z.object({ account: z.string(), amount: z.int() }),
    async execute(tx, { account, amount }) {
      await tx.query('savepoint try');
      await tx.query('select 1 / 0').catch(() => tx.query('rollback to savepoint try'));
      await tx.query(TAKE, [account, amount]);
    },
  }),
  /** Runs any statements. */
  run: operation({
    input: z.object({ sql: z.array(z.string()) }),
    async execute(tx, { sql }) {
      for (const statement of sql) await tx.query(statement);
    },
  }),
  lock: operation({
    input: z.object({ resource: z.string() }),
    async execute(tx, { resource }) {
      await semanticLock(tx, resource);
    },
  }),
  balance: operation({
    input: z.object({ account: z.string() }),
    readOnly: true,
    async execute(tx, { account }) {
      const { rows } = await tx.query<{ balance: number }>('select balance from account where id = $1', [account]);
      if (!rows[0]) refuse('unknown-account', 'No such account');
      return rows[0];
    },
  }),
});
