/**
 * A bank for all four protocols: the accounts of the examples, and beside them the debit and the credit of
 * try-confirm-cancel, on the same rows. A payment holds the money before it is taken; nothing is locked in between.
 */
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { accounts, Movement } from '../../activities/accounts/operations';

/** Rows of `hold` stay as they were written, so that PostgreSQL can tell when each was committed: see locks.ts. */
export const RESERVABLE = `
  alter table account
    add column held     bigint not null default 0 check (held between 0 and balance),
    add column expected bigint not null default 0 check (expected >= 0);
  create table hold (
    transaction_id text        not null,
    branch_id      text        not null,
    account        text        not null references account,
    held_at        timestamptz not null default clock_timestamp(),
    primary key (transaction_id, branch_id)
  )`;

export const bank = defineParticipant('bank', {
  ...accounts.operations,

  /** Holds money, and takes it. */
  pay: operation({
    input: Movement,
    async try(tx, { account, amount, currency }) {
      const { rows } = await tx.query<Available>(
        `update account set held = held + $2
          where id = $1 and currency = $3 and not blocked and balance - held >= $2 returning balance - held as available`,
        [account, amount, currency],
      );
      if (!rows[0]) refuse('insufficient-funds', `Account ${account} cannot pay ${amount} ${currency}`);
      await note(tx, account);
      return { balance: Number(rows[0].available) };
    },
    async confirm(tx, { account, amount }) {
      await tx.query('update account set held = held - $2, balance = balance - $2 where id = $1', [account, amount]);
      await book(tx, 'debit', account, -amount);
    },
    async cancel(tx, { account, amount }) {
      await tx.query('update account set held = held - $2 where id = $1', [account, amount]);
    },
  }),

  /** Makes sure that money can be booked, and books it. */
  receive: operation({
    input: Movement,
    async try(tx, { account, amount, currency }) {
      const { rows } = await tx.query<Available>(
        `update account set expected = expected + $2
          where id = $1 and currency = $3 and not blocked and balance + expected + $2 <= ${Number.MAX_SAFE_INTEGER}
         returning balance as available`,
        [account, amount, currency],
      );
      if (!rows[0]) refuse('unknown-account', `Account ${account} cannot receive ${amount} ${currency}`);
      await note(tx, account);
      return { balance: Number(rows[0].available) };
    },
    async confirm(tx, { account, amount }) {
      await tx.query('update account set expected = expected - $2, balance = balance + $2 where id = $1', [
        account,
        amount,
      ]);
      await book(tx, 'credit', account, amount);
    },
    async cancel(tx, { account, amount }) {
      await tx.query('update account set expected = expected - $2 where id = $1', [account, amount]);
    },
  }),
});

/** node-postgres gives a bigint as text. */
interface Available {
  readonly available: string;
}

async function note(tx: Tx, account: string): Promise<void> {
  await tx.query('insert into hold (transaction_id, branch_id, account) values ($1, $2, $3)', [
    tx.transaction,
    tx.branch,
    account,
  ]);
}

/** After the row is locked, as in the other protocols. */
async function book(tx: Tx, kind: 'debit' | 'credit', account: string, amount: number): Promise<void> {
  await tx.query('insert into entry (account, kind, amount, transaction_id, branch_id) values ($1, $2, $3, $4, $5)', [
    account,
    kind,
    amount,
    tx.transaction,
    tx.branch,
  ]);
}
