/** Trips that are booked, and sold, on real databases: what the reports say is what is in them, however the protocols nest. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Client } from '@temporalio/client';
import { TransactionAborted, TransactionCompensated } from '../../src/client';
import type { SagaReport, TransactionClient, TransactionHandle } from '../../src/client';
import type { Activities, TransactionTestEnvironment } from '../../src/testing';
import type { Itinerary, Trip } from '../../workflows/book-trip';
import type { TripReceipt, TripSale } from '../../workflows/sell-trip';
import { currentDetails } from '../current-details';
import { startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import { startEnvironment } from '../saga-more/environment';
import { BANKS, COMPANIES, World } from './coordinator-world';

const LISBON: Trip = { flight: 'LIS-900', room: 'DOUBLE', car: 'COMPACT', travellers: 2 };
const PRICE = 5_000;

let world: World;
let participants: Readonly<Record<string, Activities>>;
/** What happens before an activity of a participant, such as `hotel place.try`, does its work: once. */
const before = new Map<string, () => Promise<unknown>>();
/** Each activity that was asked for, in this test. */
let asked: string[] = [];

function watched(participant: string, activities: Activities): Activities {
  const all = Object.entries(activities).map(([name, activity]) => {
    const run = activity as (request: object) => Promise<unknown>; // Cast: requests are objects.
    const watching = async (request: object): Promise<unknown> => {
      const question = `${participant} ${name}`;
      asked.push(question);
      const act = before.get(question);
      before.delete(question);
      await act?.();
      return run(request);
    };
    return [name, watching] as const;
  });
  return Object.fromEntries(all);
}

beforeAll(async () => {
  world = await World.open([...COMPANIES, ...BANKS, 'audit']);
  participants = Object.fromEntries(
    Object.entries(world.activities()).map(([name, all]) => [name, watched(name, all)] as const),
  );
});
afterAll(() => world?.close());

interface Books {
  readonly payer: number;
  readonly agency: number;
  readonly places: readonly (readonly number[])[];
}

const OFFERS = [
  ['airline', 'LIS-900'],
  ['hotel', 'DOUBLE'],
  ['car-rental', 'COMPACT'],
] as const;

const readBooks = async (): Promise<Books> => ({
  payer: await world.balance('north-bank', 'alice'),
  agency: await world.balance('south-bank', 'bob'),
  places: await Promise.all(OFFERS.map(([company, offer]) => world.places(company, offer))),
});

let books: Books;
beforeEach(async () => {
  asked = [];
  books = await readBooks();
});
afterEach(async () => {
  before.clear();
  expect(await world.pending()).toEqual([]);
  expect(await world.violations()).toEqual([]);
});

const unchanged = async (): Promise<void> => expect(await readBooks()).toEqual(books);

/** Booked places more than before, of each offer. */
async function expectBooked(...more: readonly number[]): Promise<void> {
  const { places } = await readBooks();
  expect(places).toEqual(
    books.places.map(([available = 0, pending = 0, booked = 0], i) => [
      available - (more[i] ?? 0),
      pending,
      booked + (more[i] ?? 0),
    ]),
  );
}

const everywhere = (status: string): string[] => OFFERS.map((offer) => [...offer, status].join(' '));

let begun = 0;
const newId = (): string => `real-${++begun}`;

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail('It succeeded.'),
    (error: unknown) => error,
  );

/** In either of the environments. */
let transactions: TransactionClient;
let client: Client;

const book = async (other: Partial<Trip> = {}): Promise<{ id: string; handle: TransactionHandle<Itinerary> }> => {
  const id = newId();
  const input = { ...LISBON, ...other, holdSeconds: 3 * 24 * 60 * 60 };
  return { id, handle: await transactions.start<typeof input, Itinerary>('bookTrip', { id, input }) };
};
const held = async (other: Partial<Trip> = {}): ReturnType<typeof book> => {
  const trip = await book(other);
  await expect.poll(async () => (await trip.handle.reports())[0]?.outcome, { timeout: 30_000 }).toBe('reserved');
  return trip;
};
const answer = (id: string, accept: boolean): Promise<void> =>
  client.workflow.getHandle(id).executeUpdate('answerTrip', { args: [{ accept }] });

describe('a trip, while its days are skipped', () => {
  let env: TransactionTestEnvironment;
  beforeAll(async () => {
    env = await startEnvironment('try-confirm-cancel', participants);
    transactions = env.transactions;
    client = env.temporal.client;
  });
  afterAll(() => env?.stop());

  it('is held in three databases, locked in none, and taken after two days', async () => {
    const { id, handle } = await held();
    expect(await world.bookings(id)).toEqual(everywhere('PENDING'));
    expect(await world.branches(id)).toEqual([
      'airline airline.place tried',
      'hotel hotel.place tried',
      'car-rental car-rental.place tried',
    ]);
    await env.sleep('2 days');
    expect(await world.all('select gid from pg_prepared_xacts')).toEqual([]);
    expect(await world.decisions(id)).toEqual([]);
    await answer(id, true);
    expect(await handle.result()).toEqual({
      seats: expect.any(String),
      room: expect.any(String),
      car: expect.any(String),
    });
    expect(await world.bookings(id)).toEqual(everywhere('CONFIRMED'));
    expect(await world.decisions(id)).toEqual(['airline commit']);
    await expectBooked(2, 1, 1);
  });

  it('that is declined is given back everywhere', async () => {
    const { id, handle } = await held();
    await answer(id, false);
    expect(await failureOf(handle.result())).toMatchObject({ report: { cause: { reason: { code: 'declined' } } } });
    expect(await world.bookings(id)).toEqual(everywhere('CANCELLED'));
    expect(await world.decisions(id)).toEqual(['airline abort']);
    await unchanged();
  });

  it('that nobody takes is given back everywhere when its time is up', async () => {
    const { id, handle } = await held();
    const error = await failureOf(handle.result());
    expect(error).toBeInstanceOf(TransactionAborted);
    expect(error).toMatchObject({ report: { cause: { kind: 'timed-out' } } });
    expect(await world.bookings(id)).toEqual(everywhere('CANCELLED'));
    await unchanged();
  });

  it('without a car is none, and its companies are told why', async () => {
    const { id, handle } = await book({ car: 'CABRIO' });
    expect(await failureOf(handle.result())).toMatchObject({
      report: { cause: { kind: 'refused', branch: 'car-rental.place', reason: { code: 'sold-out' } } },
    });
    expect((await world.bookings(id)).every((booking) => booking.endsWith('CANCELLED'))).toBe(true);
    await unchanged();
  });

  it('asked for again under its id, when it is taken, is the same trip', async () => {
    const { id, handle } = await held();
    await answer(id, true);
    const itinerary = await handle.result();
    const again = await client.workflow.execute('bookTrip', {
      workflowId: id,
      taskQueue: 'transactions',
      args: [{ ...LISBON, holdSeconds: 1 }],
    });
    expect(again).toEqual(itinerary);
    await expectBooked(2, 1, 1);
  });
});

describe('by the real clock', () => {
  let env: RealTimeEnvironment;
  beforeAll(async () => {
    env = await startRealTimeEnvironment('try-confirm-cancel', participants);
    ({ transactions, client } = env);
  });
  afterAll(() => env?.stop());

  describe('a trip', () => {
    it('held twice, the last suite goes to one of them', async () => {
      const first = await held({ room: 'SUITE' });
      const second = await book({ room: 'SUITE' });
      expect(await failureOf(second.handle.result())).toMatchObject({
        report: { cause: { reason: { code: 'sold-out' } } },
      });
      await answer(first.id, false);
      await failureOf(first.handle.result());
      const third = await held({ room: 'SUITE' });
      await answer(third.id, true);
      await third.handle.result();
      expect(await world.places('hotel', 'SUITE')).toEqual([0, 0, 1]);
    });
  });

  describe('a trip that is sold', () => {
    const saleOf = (other: Partial<TripSale> = {}): TripSale => ({
      trip: LISBON,
      price: PRICE,
      currency: 'EUR',
      payer: { bank: 'north-bank', account: 'alice' },
      agency: { bank: 'south-bank', account: 'bob' },
      ...other,
    });
    const sell = async (id: string, other: Partial<TripSale> = {}): Promise<TransactionHandle<TripReceipt>> =>
      transactions.start<TripSale, TripReceipt>('sellTrip', { id, input: saleOf(other) });
    const summaryOf = async (handle: TransactionHandle<TripReceipt>): Promise<string[]> =>
      (await handle.reports()).map(({ id, protocol, outcome }) => `${id} ${protocol} ${outcome}`);
    const there = (id: string): string[] => [
      `north-bank ${id}/1/1 debit -${PRICE}`,
      `south-bank ${id}/1/1 credit ${PRICE}`,
    ];
    const back = (id: string): string[] => [
      `north-bank ${id}/1/3 credit ${PRICE}`,
      `south-bank ${id}/1/3 debit -${PRICE}`,
    ];

    /** The money went there and came back, by two transactions, and nothing is booked. */
    async function expectUndone(id: string, handle: TransactionHandle<TripReceipt>): Promise<void> {
      expect(await summaryOf(handle)).toEqual([
        `${id} saga compensated`,
        `${id}/1/1 two-phase-commit committed`,
        `${id}/1/2 try-confirm-cancel aborted`,
        `${id}/1/3 two-phase-commit committed`,
      ]);
      expect((await world.entries(id)).sort()).toEqual([...there(id), ...back(id)].sort());
      expect(await world.decisions(`${id}/1/2`)).toEqual(['airline abort']);
      expect((await world.bookings(`${id}/1/2`)).filter((booking) => !booking.endsWith('CANCELLED'))).toEqual([]);
      expect(await world.rows('audit', 'select from record where transaction_id = $1', [id])).toHaveLength(0);
      await unchanged();
    }

    it('moves the money, books all three and is on record: three protocols, one report', async () => {
      const id = newId();
      const handle = await sell(id);
      expect(await handle.result()).toEqual({
        seats: expect.any(String),
        room: expect.any(String),
        car: expect.any(String),
        auditEntry: expect.any(String),
      });
      expect(await summaryOf(handle)).toEqual([
        `${id} saga committed`,
        `${id}/1/1 two-phase-commit committed`,
        `${id}/1/2 try-confirm-cancel committed`,
      ]);
      const [report] = (await handle.reports()) as readonly SagaReport[];
      expect(report?.steps.map(({ branch, role, fate }) => [branch, role, fate.kind])).toEqual([
        ['payment', 'compensatable', 'done'],
        ['booking', 'pivot', 'done'],
        ['audit.record', 'retriable', 'done'],
      ]);
      expect((await world.entries(id)).sort()).toEqual(there(id).sort());
      expect(await world.bookings(`${id}/1/2`)).toEqual(everywhere('CONFIRMED'));
      expect(await world.decisions(`${id}/1/1`)).toEqual(['north-bank commit']);
      expect(await world.decisions(`${id}/1/2`)).toEqual(['airline commit']);
      expect(await readBooks()).toMatchObject({ payer: books.payer - PRICE, agency: books.agency + PRICE });
      await expectBooked(2, 1, 1);
      expect(await currentDetails(client.workflow.getHandle(id))).toMatch(
        new RegExp(
          `Saga ${id}: committed[^]*Two-phase commit ${id}/1/1: committed[^]*Try-confirm-cancel ${id}/1/2: committed`,
        ),
      );
    });

    it('without a car moves the money back, by a transaction the other way round', async () => {
      const id = newId();
      const handle = await sell(id, { trip: { ...LISBON, car: 'CABRIO' } });
      const error = await failureOf(handle.result());
      expect(error).toBeInstanceOf(TransactionCompensated);
      expect(error).toMatchObject({
        report: {
          cause: { branch: 'booking' },
          steps: [
            { branch: 'payment', compensation: { kind: 'compensated' } },
            { branch: 'booking', fate: { kind: 'not-done', refusal: { code: 'aborted' } } },
          ],
        },
      });
      await expectUndone(id, handle);
    });

    it('to somebody who cannot pay asks no company for anything', async () => {
      const id = newId();
      const handle = await sell(id, { price: 1_000_000_000 });
      expect(await failureOf(handle.result())).toBeInstanceOf(TransactionCompensated);
      expect(await summaryOf(handle)).toEqual([`${id} saga compensated`, `${id}/1/1 two-phase-commit aborted`]);
      expect(asked.filter((question) => !/-bank /.test(question))).toEqual([]);
      expect(await world.entries(id)).toEqual([]);
      await unchanged();
    });

    const cancelBefore = (question: string, id: string): void =>
      void before.set(question, async () => {
        await transactions.handle(id).cancel();
        // Until the workflow has heard of it, however long this one takes to answer.
        await expect
          .poll(async () => {
            const { events } = await client.workflow.getHandle(id).fetchHistory();
            const heard = (events ?? []).findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
            return (events ?? []).slice(heard).some((event) => event.workflowTaskCompletedEventAttributes);
          })
          .toBe(true);
      });

    it('and cancelled while the money moves has done nothing', async () => {
      const id = newId();
      cancelBefore('south-bank credit.prepare', id);
      const handle = await sell(id);
      await failureOf(handle.result());
      expect(await summaryOf(handle)).toEqual([`${id} saga compensated`, `${id}/1/1 two-phase-commit aborted`]);
      expect(await world.entries(id)).toEqual([]);
      await unchanged();
    });

    it('and cancelled when the money has moved has it moved back, and asks no company', async () => {
      const id = newId();
      cancelBefore('south-bank credit.commit', id);
      const handle = await sell(id);
      await failureOf(handle.result());
      expect(await summaryOf(handle)).toEqual([
        `${id} saga compensated`,
        `${id}/1/1 two-phase-commit committed`,
        `${id}/1/2 two-phase-commit committed`,
      ]);
      expect(asked.filter((question) => !/-bank /.test(question))).toEqual([]);
      await unchanged();
    });

    it('and cancelled while the companies are asked has the money moved back if one has nothing left', async () => {
      const id = newId();
      cancelBefore('hotel place.try', id);
      const handle = await sell(id, { trip: { ...LISBON, car: 'CABRIO' } });
      await failureOf(handle.result());
      await expectUndone(id, handle);
    });

    it.each(['hotel place.try', 'airline place.decide', 'hotel place.confirm', 'audit record'])(
      'and cancelled at %s is sold: the pivot has begun, and counts unless it fails',
      async (question) => {
        const id = newId();
        cancelBefore(question, id);
        const handle = await sell(id);
        expect(await handle.result()).toMatchObject({ auditEntry: expect.any(String) });
        expect(await world.bookings(`${id}/1/2`)).toEqual(everywhere('CONFIRMED'));
        expect((await world.entries(id)).sort()).toEqual(there(id).sort());
        await expectBooked(2, 1, 1);
      },
    );
  });
});
