/** Two banks and an audit that tells of what it records, and hears of it itself. */
import { z } from 'zod';
import { defineInbox, defineOutbox } from '../../src/outbox';
import { defineParticipant, operation, refuse } from '../../src/participant';

const movement = z.object({ account: z.string(), amount: z.int() });
const add = 'update account set balance = balance + $2 where id = $1 and balance + $2 >= 0';

export const accounts = defineParticipant('accounts', {
  debit: operation({
    input: movement,
    async execute(tx, { account, amount }) {
      const { rowCount } = await tx.query(add, [account, -amount]);
      if (rowCount !== 1) refuse('insufficient-funds', 'There is not enough.');
    },
    async executeMany(tx, calls) {
      for (const { input } of calls) {
        const { rowCount } = await tx.query(add, [input.account, -input.amount]);
        if (rowCount !== 1) refuse('insufficient-funds', 'There is not enough.');
      }
      return calls.map(() => undefined);
    },
    async compensate(tx, { account, amount }) {
      await tx.query(add, [account, amount]);
    },
  }),
  credit: operation({
    input: movement,
    async execute(tx, { account, amount }) {
      const { rowCount } = await tx.query(add, [account, amount]);
      if (rowCount !== 1) refuse('unknown-account', 'There is no such account.');
    },
    async compensate(tx, { account, amount }) {
      await tx.query(add, [account, -amount]);
    },
  }),
});

const outbox = defineOutbox<{ TransferRecorded: { amount: number } }>('/audit');
const inbox = defineInbox('reports');

/** As a CloudEvent of the outbox has it. */
const event = z.looseObject({ id: z.string(), source: z.string(), type: z.string(), data: z.unknown() });

export const audit = defineParticipant('audit', {
  record: operation({
    input: z.object({ amount: z.int() }),
    async execute(tx, { amount }) {
      await tx.query('insert into record (transaction_id, amount) values ($1, $2)', [tx.transaction, amount]);
      await outbox.append(tx, [{ type: 'TransferRecorded', key: tx.transaction, data: { amount } }]);
    },
    async compensate(tx) {
      await tx.query('delete from record where transaction_id = $1', [tx.transaction]);
    },
  }),
  report: operation({
    input: event,
    async execute(tx, received) {
      await inbox.receive(tx, received, async () => {
        await tx.query('update record set reported = true where transaction_id = $1', [received['partitionkey']]);
      });
    },
    async compensate() {
      // Nothing comes after it.
    },
  }),
});

export const TABLES = `
  create table account (id text primary key, balance int not null);
  create table record (transaction_id text primary key, amount int not null, reported boolean not null default false);
  insert into account values ('account-of-ann', 1000000000), ('account-of-ben', 1000000000)`;
