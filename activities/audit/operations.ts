/**
 * The audit trail. It is append-only, so a compensation does not remove a record: it adds that the record is void.
 */
import { defineParticipant, operation } from 'temporal-txn/participant';
import { z } from 'zod';
import { Amount, Currency, matching } from '../values';

/** Whose money it is: `north-bank/alice`. An id, never a person's name. */
const Party = matching(
  /^[A-Za-z0-9-]{1,64}(\/[A-Za-z0-9-]{1,64})?$/,
  'must be 1 to 64 characters of A-Z a-z 0-9 -, with or without a second such part after a /',
);

export const AuditRecord = z.strictObject({
  kind: matching(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 characters of a-z 0-9 -, the first a letter'),
  from: Party,
  to: Party,
  amount: Amount,
  currency: Currency,
});
export type AuditRecord = z.infer<typeof AuditRecord>;

export const audit = defineParticipant('audit', {
  /** Records that money moved. */
  record: operation({
    input: AuditRecord,
    async execute(tx, { kind, from, to, amount, currency }) {
      const { rows } = await tx.query<{ id: string }>(
        `insert into record (kind, from_party, to_party, amount, currency, transaction_id, branch_id)
         values ($1, $2, $3, $4, $5, $6, $7) returning id`,
        [kind, from, to, amount, currency, tx.transaction, tx.branch],
      );
      return { id: rows[0]!.id };
    },
    async compensate(tx, _input, { id }) {
      await tx.query('insert into voiding (record) values ($1)', [id]);
    },
  }),
});
