/**
 * Saga: local transactions that commit one by one, undone in reverse order when a later one fails.
 *
 * Every compensation is on record before its step is scheduled, and is disarmed only by proof that the step did nothing.
 * The unwinding cannot be cancelled, gives nothing up by itself, and is reported step by step.
 *
 * @see Garcia-Molina, Salem: "Sagas", SIGMOD 1987
 */
import type { SettledSagaReport } from '../protocol';
import type { FreeAction, FreeStep } from './action';
import { heard, inTransaction, onRecordInGroup } from './context';
import { TransactionCompensated, TransactionMixed } from './errors';
import type { SagaOptions, StepOptions } from './options';
import type { BranchOperation } from '../protocol';
import { goesOnWithWhatWasBegun } from './heritage';
import { rejecting } from './rejecting';
import { SagaRun } from './saga-run';
import { admit } from './worker-circuits';

/** What the body of a saga works with. */
export interface Saga {
  /** The transaction id. */
  readonly id: string;
  /**
   * Runs a local transaction that can be undone. Rejects with its failure, which ends the saga unless the body handles it;
   * {@link refusalOf} finds the business "no" in it.
   *
   * @example const { balance } = await s.step(bank.debit, { account: 'alice', amount: 100 });
   */
  step<I, R>(
    operation: BranchOperation<I, R, 'compensatable' | 'read-only'> | FreeStep<I, R>,
    input: I,
    options?: StepOptions,
  ): Promise<R>;
  /**
   * Runs the step that decides: refused, the saga is undone; done, there is no way back, and a cancellation comes too late.
   * When its outcome is unknown it is asked about until it is known.
   */
  pivot<I, R>(operation: BranchOperation<I, R> | FreeAction<I, R>, input: I, options?: StepOptions): Promise<R>;
  /** Runs a step after the pivot: it is retried until it succeeds, and held when it keeps failing. */
  retriable<I, R>(operation: BranchOperation<I, R> | FreeAction<I, R>, input: I, options?: StepOptions): Promise<R>;
}

function resultOf<R>(report: SettledSagaReport<R>): R {
  switch (report.outcome) {
    case 'committed':
      return report.result;
    case 'compensated':
      throw new TransactionCompensated(report);
    case 'mixed':
      throw new TransactionMixed(report);
  }
}

const settle = <R>(body: (s: Saga) => Promise<R>, options: SagaOptions): Promise<SettledSagaReport<R>> =>
  inTransaction({ id: options.id, protocol: 'saga' }, (context) => {
    const begin = (): Promise<SettledSagaReport<R>> => {
      const run = new SagaRun(context, options);
      context.whenCancelled(() => run.turnBack());
      return run.settle(body);
    };
    const { failFast } = options;
    // What was begun before is not refused: whoever is away has perhaps done its part.
    if (!failFast || goesOnWithWhatWasBegun(context)) return begin();
    return context
      .beforehand(() => admit(failFast))
      .then((giveBack) => {
        const end = begin();
        // Beside it: nobody is told later of the end.
        void end.then(giveBack, giveBack);
        return end;
      });
  });

/**
 * Runs a saga and resolves with the value of its body.
 *
 * Whatever the body throws as a Temporal failure undoes the saga: the failure of a step, an `ApplicationFailure`, a
 * cancellation of the workflow. Any other error is a bug: the workflow task fails and is retried until the code is mended.
 *
 * `saga.settle` does the same and resolves with the report instead of throwing.
 *
 * @param body the steps
 * @throws {TransactionCompensated} when everything was undone
 * @throws {TransactionNotAttempted} with `failFast`, when a participant is known to be away
 * @throws {TransactionMixed} when effects stay that should not: a person gave a compensation up, or the code after the pivot failed
 * @example
 * export const transferMoney = (t: Transfer): Promise<Receipt> =>
 *   saga(async (s) => {
 *     await s.step(north.debit, { account: t.from, amount: t.amount });
 *     await s.step(south.credit, { account: t.to, amount: t.amount });
 *     return s.step(audit.record, { kind: 'transfer', ...t });
 *   });
 */
export const saga = Object.assign(
  <R>(body: (s: Saga) => Promise<R>, options: SagaOptions = {}): Promise<R> =>
    onRecordInGroup(rejecting(() => settle(body, options).then(heard(resultOf)))),
  {
    settle: <R>(body: (s: Saga) => Promise<R>, options: SagaOptions = {}): Promise<SettledSagaReport<R>> =>
      onRecordInGroup(rejecting(() => settle(body, options))),
  },
);
