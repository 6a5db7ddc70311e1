/**
 * Books a trip: a seat, a room and a car, at three companies. Each holds its part while the traveller thinks, and she takes all
 * of it or none; when she says nothing in time, all of it is given back.
 */
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';
import { participant, reservation, tryConfirmCancel } from 'temporal-txn/workflow';
import type { travel } from '../activities/travel/operations';

export interface Trip {
  readonly flight: string;
  readonly room: string;
  readonly car: string;
  readonly travellers: number;
}

export interface TripOffer extends Trip {
  /** How long everything is held, in seconds. */
  readonly holdSeconds: number;
}

export interface Itinerary {
  readonly seats: string;
  readonly room: string;
  readonly car: string;
}

interface TripAnswer {
  readonly accept: boolean;
}

/** The traveller's answer. Refused once the trip is not held any more. */
export const answerTripUpdate = defineUpdate<void, [TripAnswer]>('answerTrip');

const airline = participant<typeof travel>('airline');
const hotel = participant<typeof travel>('hotel');
const rental = participant<typeof travel>('car-rental');

export async function bookTrip({ holdSeconds, ...trip }: TripOffer): Promise<Itinerary> {
  let answer: boolean | undefined;
  let over = false;
  const take = ({ accept }: TripAnswer): void => {
    answer = accept;
  };
  const checkHeld = (_answer: TripAnswer): void => {
    if (over) throw new Error('Nothing was changed: the trip is not held any more.');
  };
  setHandler(answerTripUpdate, take, {
    validator: checkHeld,
    description: 'Takes the trip that is held, or gives it back. Input: {"accept": true}',
  });
  const [seats, room, car] = await tryConfirmCancel(placesOf(trip), {
    hold: {
      limit: holdSeconds * 1000,
      async until() {
        try {
          await condition(() => answer !== undefined);
          return answer === true;
        } finally {
          over = true;
        }
      },
    },
  });
  return { seats: seats.booking, room: room.booking, car: car.booking };
}

export const placesOf = ({ flight, room, car, travellers }: Trip) =>
  [
    reservation(airline.place, { offer: flight, quantity: travellers }),
    reservation(hotel.place, { offer: room, quantity: 1 }),
    reservation(rental.place, { offer: car, quantity: 1 }),
  ] as const;
