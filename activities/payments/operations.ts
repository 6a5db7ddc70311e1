/**
 * The payment service: charges cards up to their limit, and gives charges back. A refund is a row of its own, and the
 * charge that it belongs to stays.
 */
import { addTo, defineParticipant, operation, refuse } from 'temporal-txn/participant';
import { z } from 'zod';
import { formatAmount } from '../money';
import { Amount, Currency, matching } from '../values';

export const ChargeInput = z.strictObject({
  card: matching(/^tok_[a-z0-9_]{1,60}$/, 'must be a card token such as tok_visa, never a card number'),
  amount: Amount,
  currency: Currency,
});
export type ChargeInput = z.infer<typeof ChargeInput>;

export const payments = defineParticipant('payments', {
  /** Charges a card. */
  charge: operation({
    input: ChargeInput,
    async execute(tx, { card, amount, currency }) {
      const { rows } = await tx.query<{ currency: string; left: string }>(
        'select currency, credit_limit - charged as left from card where token = $1 for no key update',
        [card],
      );
      if (!rows[0]) refuse('unknown-card', `There is no card ${card}`);
      if (rows[0].currency !== currency) refuse('currency-mismatch', `Card ${card} does not pay in ${currency}`);
      if (Number(rows[0].left) < amount)
        refuse('card-declined', `Card ${card} was declined for ${formatAmount(amount, currency)} ${currency}`);
      await addTo(tx, { table: 'card', key: { token: card }, column: 'charged', amount });
      const { rows: charges } = await tx.query<{ id: string }>(
        'insert into charge (card, amount, transaction_id, branch_id) values ($1, $2, $3, $4) returning id',
        [card, amount, tx.transaction, tx.branch],
      );
      return { id: charges[0]!.id };
    },
    async compensate(tx, { card, amount }, { id }) {
      await tx.query('insert into refund (charge) values ($1)', [id]);
      await addTo(tx, { table: 'card', key: { token: card }, column: 'charged', amount: -amount });
    },
  }),
});
