/**
 * What the compiler knows of try-confirm-cancel, and refuses. The build compiles this file: a line marked `@ts-expect-error` that
 * compiles fails it. None of the transactions here is ever run.
 */
import {
  branch,
  participant,
  reservation,
  saga,
  threePhaseCommit,
  tryConfirmCancel,
  twoPhaseCommit,
} from 'temporal-txn/workflow';
import type { Reservation, SettledCommitReport } from 'temporal-txn/workflow';
import { describe, expectTypeOf, it } from 'vitest';
import type { accounts } from '../../activities/accounts/operations';
import type { travel } from '../../activities/travel/operations';

const bank = participant<typeof accounts>('north-bank');
const hotel = participant<typeof travel>('hotel');
const wish = { offer: 'DOUBLE', quantity: 1 };
const movement = { account: 'alice', amount: 100, currency: 'EUR' };

describe('a reservation', () => {
  it('has the result of its try', () => {
    expectTypeOf(reservation(hotel.place, wish)).toEqualTypeOf<Reservation<{ booking: string }>>();
  });

  it('is of an operation that reserves, with its input', () => {
    void (() => [
      // @ts-expect-error It has no try.
      reservation(bank.debit, movement),
      // @ts-expect-error It only reads.
      reservation(bank.balance, { account: 'alice' }),
      // @ts-expect-error The quantity is missing.
      reservation(hotel.place, { offer: 'DOUBLE' }),
    ]);
  });

  it('is no branch of another protocol, and no step of a saga', () => {
    void (() => [
      // @ts-expect-error It cannot be prepared.
      branch(hotel.place, wish),
      // @ts-expect-error A reservation is no branch.
      twoPhaseCommit([reservation(hotel.place, wish)]),
      // @ts-expect-error Nor one of three-phase commit.
      threePhaseCommit([reservation(hotel.place, wish)]),
      saga(async (s) => {
        // @ts-expect-error It cannot be executed.
        await s.step(hotel.place, wish);
      }),
      saga(async (s) => {
        // @ts-expect-error Nor as the pivot.
        await s.pivot(hotel.place, wish);
      }),
      saga(async (s) => {
        // @ts-expect-error Nor after it.
        await s.retriable(hotel.place, wish);
      }),
    ]);
  });
});

describe('a transaction', () => {
  const places = () => [reservation(hotel.place, wish), reservation(hotel.place, wish)] as const;

  it('takes reservations only', () => {
    void (() => [
      // @ts-expect-error It is a branch.
      tryConfirmCancel([branch(bank.debit, movement)]),
      // @ts-expect-error It is not ours.
      tryConfirmCancel([reservation(hotel.place, wish), { id: 'approval', finish: 'none' }]),
    ]);
  });

  it('has the results of its tries, one by one', () => {
    const run = () => tryConfirmCancel(places());
    expectTypeOf(run).returns.resolves.not.toBeAny();
    type Results = Awaited<ReturnType<typeof run>>;
    expectTypeOf<Results['length']>().toEqualTypeOf<2>();
    expectTypeOf<Results[0]>().toEqualTypeOf<{ booking: string }>();
    const list: readonly Reservation<{ booking: string }>[] = [];
    const runList = () => tryConfirmCancel(list);
    expectTypeOf(runList).returns.resolves.toEqualTypeOf<readonly { booking: string }[]>();
  });

  it('shows them to whoever thinks it over', () => {
    void (() =>
      tryConfirmCancel(places(), {
        hold: {
          limit: '1 minute',
          until: async (reserved) => {
            expectTypeOf(reserved.length).toEqualTypeOf<2>();
            expectTypeOf(reserved[1]).toEqualTypeOf<{ booking: string }>();
            return true;
          },
        },
      }));
  });

  it('settles to a report that has results only when it is confirmed, and a cause only when it is cancelled', () => {
    const settle = () => tryConfirmCancel.settle(places());
    expectTypeOf(settle).returns.resolves.not.toBeAny();
    type Report = Awaited<ReturnType<typeof settle>>;
    expectTypeOf<Report>().toExtend<SettledCommitReport<'try-confirm-cancel'>>();
    type Committed = Extract<Report, { outcome: 'committed' }>;
    expectTypeOf<Committed['results'][1]>().toEqualTypeOf<{ booking: string }>();
    expectTypeOf<Committed>().not.toHaveProperty('cause');
    expectTypeOf<Extract<Report, { outcome: 'aborted' }>>().not.toHaveProperty('results');
  });

  it('takes known options only', () => {
    const until = async (): Promise<boolean> => true;
    void (() => [
      // @ts-expect-error A hold has to have an end.
      tryConfirmCancel(places(), { hold: { until } }),
      // @ts-expect-error Somebody has to think it over.
      tryConfirmCancel(places(), { hold: { limit: '1 minute' } }),
      // @ts-expect-error The answer is true or false.
      tryConfirmCancel(places(), { hold: { limit: '1 minute', until: async () => 'yes' } }),
      // @ts-expect-error Nothing is prepared here.
      tryConfirmCancel(places(), { timeouts: { prepare: '1 second' } }),
      // @ts-expect-error Nobody votes by signal.
      tryConfirmCancel(places(), { votes: 'signal' }),
      // @ts-expect-error What meets contention is tried again where it is.
      tryConfirmCancel(places(), { attempts: 3 }),
    ]);
  });
});
