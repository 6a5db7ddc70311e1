/**
 * A travel company: an airline, a hotel, a car rental. One service, deployed once for each, with a database of its own. What
 * it offers can be held for somebody who is still thinking, and is then booked or given back.
 */
import { defineParticipant, operation, refuse } from 'temporal-txn/participant';
import type { Tx } from 'temporal-txn/participant';
import { z } from 'zod';
import { matching, wholeNumber } from '../values';

export const Wish = z.strictObject({
  /** A flight, a kind of room, a class of car. */
  offer: matching(/^[A-Z0-9-]{1,32}$/, 'must be 1 to 32 characters of A-Z 0-9 -'),
  /** Seats, rooms, cars. */
  quantity: wholeNumber(1, 100, 'places'),
});
export type Wish = z.infer<typeof Wish>;

export const travel = defineParticipant('travel', {
  /** Holds places until the traveller has decided. */
  place: operation({
    input: Wish,
    async try(tx, { offer, quantity }) {
      await take(tx, offer, quantity);
      const { rows } = await tx.query<{ id: string }>(
        'insert into booking (offer, quantity, transaction_id, branch_id) values ($1, $2, $3, $4) returning id',
        [offer, quantity, tx.transaction, tx.branch],
      );
      return { booking: rows[0]!.id };
    },
    async confirm(tx, { offer, quantity }, { booking }) {
      await tx.query(`update booking set status = 'CONFIRMED' where id = $1`, [booking]);
      await tx.query('update offer set pending = pending - $2, booked = booked + $2 where id = $1', [offer, quantity]);
    },
    async cancel(tx, { offer, quantity }, { booking }) {
      await tx.query(`update booking set status = 'CANCELLED' where id = $1`, [booking]);
      await tx.query('update offer set pending = pending - $2, available = available + $2 where id = $1', [
        offer,
        quantity,
      ]);
    },
  }),
});

async function take(tx: Tx, offer: string, quantity: number): Promise<void> {
  const { rowCount } = await tx.query(
    'update offer set available = available - $2, pending = pending + $2 where id = $1 and available >= $2',
    [offer, quantity],
  );
  if (rowCount === 1) return;
  const { rows } = await tx.query<{ available: number }>('select available from offer where id = $1', [offer]);
  if (!rows[0]) refuse('unknown-offer', `There is no ${offer}`);
  refuse('sold-out', `There are ${rows[0].available} of ${quantity} places left on ${offer}`);
}
