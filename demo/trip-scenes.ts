/**
 * Trips, by try-confirm-cancel: taken, given back, held too long, and with a company that is killed while it confirms; and one
 * that is sold, with a transaction of another kind in each step.
 */
import type { TransactionHandle } from 'temporal-txn/client';
import type { Trip } from '../workflows/book-trip';
import { killAt, north, south, until } from './staging';
import type { Scene, Stage } from './staging';

const LISBON: Trip = { flight: 'LIS-900', room: 'DOUBLE', car: 'COMPACT', travellers: 2 };

const hold = ({ transactions }: Stage, id: string, trip: Trip, holdSeconds: number): Promise<TransactionHandle> =>
  transactions.start('bookTrip', { id, input: { ...trip, holdSeconds } });

const sell = ({ transactions }: Stage, id: string, trip: Trip): Promise<TransactionHandle> =>
  transactions.start('sellTrip', {
    id,
    input: { trip, price: 1500, currency: 'EUR', payer: north('alice'), agency: south('bob') },
  });

export const tripScenes: readonly Scene[] = [
  {
    name: 'trip',
    story: 'Try-confirm-cancel: a flight, a room and a car are held for a traveller, who takes them',
    expect: 'committed',
    because: 'all three were confirmed',
    play: async (stage, id) => answered(stage, await hold(stage, id, LISBON, 60), true),
  },
  {
    name: 'trip-declined',
    story: 'She changes her mind',
    expect: 'aborted',
    because: 'all three were given back',
    play: async (stage, id) => answered(stage, await hold(stage, id, LISBON, 60), false),
  },
  {
    name: 'trip-expired',
    story: 'She says nothing for as long as it is held (3 seconds)',
    expect: 'aborted',
    because: 'the hold ended',
    play: (stage, id) => hold(stage, id, LISBON, 3),
  },
  {
    name: 'trip-no-car',
    story: 'The flight and the room can be had, and the car cannot',
    expect: 'aborted',
    because: 'one refused, so nothing is held',
    play: (stage, id) => hold(stage, id, { ...LISBON, car: 'CABRIO' }, 60),
  },
  {
    name: 'trip-crash',
    story: 'The hotel is killed (SIGKILL) after it has confirmed and before it can say so',
    expect: 'committed',
    because: 'it came back and found that it had confirmed: one room, not two',
    play: hotelKilledWhileConfirming,
  },
  {
    name: 'trip-sold',
    story: 'A saga sells a trip: the money moves by two-phase commit, the trip is booked by try-confirm-cancel',
    expect: 'committed',
    because: 'each step was atomic of itself',
    play: (stage, id) => sell(stage, id, LISBON),
  },
  {
    name: 'trip-unsold',
    story: 'The same with a car that cannot be had: the money has moved already',
    expect: 'compensated',
    because: 'another two-phase commit moved it back',
    play: (stage, id) => sell(stage, id, { ...LISBON, car: 'CABRIO' }),
  },
];

async function answered(stage: Stage, handle: TransactionHandle, accept: boolean): Promise<TransactionHandle> {
  await until('everything is held', async () => {
    const [report] = await handle.reports();
    return report?.outcome === 'reserved';
  });
  stage.say('everything is held; no row is locked');
  await stage.answerTrip(handle.id, accept);
  return handle;
}

async function hotelKilledWhileConfirming(stage: Stage, id: string): Promise<TransactionHandle> {
  const { hotel } = stage.workers;
  await stage.arm('hotel', killAt('confirm.committed-before-report'));
  const handle = await answered(stage, await hold(stage, id, LISBON, 60), true);
  await hotel.died();
  stage.say('the hotel is dead; it is started again in a second');
  return handle;
}
