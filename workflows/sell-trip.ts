/**
 * Sells a trip: one saga, with a transaction of its own kind in each step. The money moves by two-phase commit, and is moved back
 * by another one when the trip cannot be had; the seat, the room and the car are booked by try-confirm-cancel, all or none; the
 * audit entry follows when there is no way back.
 */
import { branch, participant, saga, tryConfirmCancel, twoPhaseCommit } from 'temporal-txn/workflow';
import type { FreeAction, FreeStep } from 'temporal-txn/workflow';
import type { accounts } from '../activities/accounts/operations';
import type { audit } from '../activities/audit/operations';
import type { AccountRef } from './bank-transfer';
import { placesOf } from './book-trip';
import type { Itinerary, Trip } from './book-trip';

export interface TripSale {
  readonly trip: Trip;
  /** In minor units. */
  readonly price: number;
  readonly currency: string;
  readonly payer: AccountRef;
  readonly agency: AccountRef;
}

export interface TripReceipt extends Itinerary {
  readonly auditEntry: string;
}

const ledger = participant<typeof audit>('audit');
const bank = (name: string) => participant<typeof accounts>(name);

export async function sellTrip(sale: TripSale): Promise<TripReceipt> {
  const { trip, payer, agency, price: amount, currency } = sale;
  return saga(async (s) => {
    await s.step(payment, sale);
    const itinerary = await s.pivot(booking, trip);
    const entry = await s.retriable(ledger.record, {
      kind: 'trip-sale',
      from: `${payer.bank}/${payer.account}`,
      to: `${agency.bank}/${agency.account}`,
      amount,
      currency,
    });
    return { ...itinerary, auditEntry: entry.id };
  });
}

const payment: FreeStep<TripSale, void> = {
  name: 'payment',
  execute: ({ input: { payer, agency, price, currency } }) => move(payer, agency, price, currency),
  compensate: ({ input: { payer, agency, price, currency } }) => move(agency, payer, price, currency),
};

const booking: FreeAction<Trip, Itinerary> = {
  name: 'booking',
  async execute({ input }) {
    const [seats, room, car] = await tryConfirmCancel(placesOf(input));
    return { seats: seats.booking, room: room.booking, car: car.booking };
  },
};

async function move(from: AccountRef, to: AccountRef, amount: number, currency: string): Promise<void> {
  await twoPhaseCommit([
    branch(bank(from.bank).debit, { account: from.account, amount, currency }),
    branch(bank(to.bank).credit, { account: to.account, amount, currency }),
  ]);
}
