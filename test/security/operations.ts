/** A service that keeps texts, and says no, fails or waits where a text says so. */
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import { z } from 'zod';

export const vault = defineParticipant('vault', {
  put: operation({
    input: z.object({ text: z.string() }),
    async execute(tx, { text }) {
      if (text.includes('refused')) refuse('unwanted', `We do not want ${text}`, { text });
      // Its error quotes the text.
      if (text.includes('twice')) await tx.query('insert into kept values ($1, $1), ($1, $1)', [text]);
      if (text.includes('waits')) {
        const { rowCount } = await tx.query('select from gate');
        if (rowCount === 0) throw new Error(`Not yet: ${text}`);
      }
      await tx.query('insert into kept values ($1, $2)', [text, tx.transaction]);
      return { kept: text };
    },
    async compensate(tx, { text }) {
      await tx.query('delete from kept where text = $1 and transaction = $2', [text, tx.transaction]);
    },
  }),
});

export const TABLES =
  'create table kept (text text, transaction text, primary key (text, transaction)); create table gate ()';
