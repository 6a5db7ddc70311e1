/**
 * What the compiler refuses in workflow code. The build compiles this file: a line marked `@ts-expect-error` that compiles
 * fails it. None of the sagas here is ever run.
 */
import { participant, saga } from 'temporal-txn/workflow';
import type { BranchOperation, FreeAction, FreeStep, Saga } from 'temporal-txn/workflow';
import { describe, expectTypeOf, it } from 'vitest';
import type { accounts } from '../../activities/accounts/operations';
import type { inventory } from '../../activities/inventory/operations';

const bank = participant<typeof accounts>('north-bank');
const stock = participant<typeof inventory>('inventory');
const movement = { account: 'alice', amount: 100, currency: 'EUR' };
const reservation = { reservation: '00000000-0000-4000-8000-000000000000' };

describe('a proxy typed by a declaration', () => {
  it('knows inputs, results and kinds', () => {
    expectTypeOf(bank.debit).toExtend<BranchOperation<typeof movement, { balance: number }, 'compensatable'>>();
    expectTypeOf(bank.balance).toExtend<
      BranchOperation<{ account: string }, { balance: number; currency: string }, 'read-only'>
    >();
    expectTypeOf(stock.commitReservation).toExtend<BranchOperation<typeof reservation, object, 'final'>>();
    expectTypeOf(bank.debit).not.toBeAny();
  });

  it('has the operations of the declaration and no others', () => {
    expectTypeOf<keyof typeof bank>().toEqualTypeOf<'debit' | 'credit' | 'balance'>();
    // @ts-expect-error There is no such operation.
    void bank.withdraw;
  });
});

describe('a step', () => {
  it('has the result of its operation', () => {
    const body = (s: Saga) => s.step(bank.debit, movement);
    expectTypeOf(body).returns.resolves.toEqualTypeOf<{ balance: number }>();
  });

  it('takes an operation that only reads', () => {
    const body = (s: Saga) => s.step(bank.balance, { account: 'alice' });
    expectTypeOf(body).returns.resolves.toEqualTypeOf<{ balance: number; currency: string }>();
  });

  it('takes the input of its operation only', () => {
    void ((s: Saga) => [
      // @ts-expect-error The amount is missing.
      s.step(bank.debit, { account: 'alice', currency: 'EUR' }),
      // @ts-expect-error The amount is a number.
      s.step(bank.debit, { ...movement, amount: '100' }),
      // @ts-expect-error This is the input of another operation.
      s.step(stock.reserve, movement),
    ]);
  });

  it('takes no operation that cannot be undone', () => {
    void ((s: Saga) => [
      // @ts-expect-error A final operation is for the pivot, or for a step after it.
      s.step(stock.commitReservation, reservation),
      s.pivot(stock.commitReservation, reservation),
      s.retriable(stock.commitReservation, reservation),
    ]);
  });
});

describe('a free-form step', () => {
  const action: FreeAction<string, number> = { name: 'count', execute: async ({ input }) => input.length };
  const free: FreeStep<string, number> = { ...action, compensate: async () => undefined };

  it('has the result of its execute', () => {
    const body = (s: Saga) => s.step(free, 'abc');
    expectTypeOf(body).returns.resolves.toEqualTypeOf<number>();
    // @ts-expect-error The input is a text.
    void ((s: Saga) => s.step(free, 3));
  });

  it('is undone with its input and the result of its execute, which may be unknown', () => {
    expectTypeOf<FreeStep<string, number>['compensate']>().parameter(0).toHaveProperty('input').toEqualTypeOf<string>();
    expectTypeOf<FreeStep<string, number>['compensate']>().parameter(1).toEqualTypeOf<number | undefined>();
    void ((s: Saga) =>
      s.step(
        {
          name: 'inferred',
          execute: async () => ({ id: 7 }),
          compensate: async (_call, result) => {
            expectTypeOf(result).toEqualTypeOf<{ id: number } | undefined>();
          },
        },
        null,
      ));
  });

  it('needs a way back before the pivot and none after it', () => {
    void ((s: Saga) => [
      // @ts-expect-error It has no compensate.
      s.step(action, 'abc'),
      s.pivot(action, 'abc'),
      s.retriable(action, 'abc'),
    ]);
  });
});

describe('a saga', () => {
  it('has the result of its body', () => {
    const run = () => saga(async (s) => (await s.step(bank.debit, movement)).balance);
    expectTypeOf(run).returns.resolves.toEqualTypeOf<number>();
  });

  it('settles to a report that has a result only when it committed', async () => {
    const settle = () => saga.settle(async () => 'done');
    expectTypeOf(settle).returns.resolves.not.toBeAny();
    type Report = Awaited<ReturnType<typeof settle>>;
    expectTypeOf<Extract<Report, { outcome: 'committed' }>['result']>().toEqualTypeOf<string>();
    expectTypeOf<Extract<Report, { outcome: 'compensated' | 'mixed' }>>().not.toHaveProperty('result');
  });
});
