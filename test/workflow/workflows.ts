/** Sagas whose bodies do what a script cannot say: bugs, steps that nobody waits for, work without participants. */
import { ApplicationFailure, setWorkflowOptions, sleep } from '@temporalio/workflow';
import { saga } from 'temporal-txn/workflow';
import type { BranchOperation, FreeAction, SettledSagaReport } from 'temporal-txn/workflow';

export * from '../saga/workflows';

type Compensatable = BranchOperation<null, string, 'compensatable'>;

const reserve: Compensatable = { participant: 'shop', operation: 'reserve' };
const debit: Compensatable = { participant: 'bank', operation: 'debit' };

/** Begins the first step, and looks at it only after the second one. */
export const looksLater = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const reserving = s.step(reserve, null);
    const debited = await s.step(debit, null);
    return [await reserving, debited];
  });

/** Begins a step, and never looks at it. */
export const neverLooks = (how?: unknown): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const input = how === 'too much' ? TOO_MUCH : null;
    void (how === 'pivot'
      ? s.pivot(reserve, null)
      : s.step(reserve as BranchOperation<unknown, string, 'compensatable'>, input));
    return s.step(debit, null);
  });

const TOO_MUCH = 'x'.repeat(2_000_000);

/** Begins a step, and has its failure handled by code that it does not wait for. */
export const listensBeside = (how: string): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const reserving = s.step(reserve, null);
    if (how === 'catches') reserving.catch(() => undefined);
    else await Promise.race([reserving, Promise.resolve()]);
    return s.step(debit, null);
  });

/** Goes on to change what it has asked for. */
export const changesWhatItGave = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const order = { amount: 100, on: new Date(0) };
    const reserving = s.step(reserve as BranchOperation<unknown, string, 'compensatable'>, order);
    order.amount = 200;
    order.on.setFullYear(2000);
    await reserving;
    await s.step(debit, null);
  });

/** Asks for a first step with little, and for a second one with too much. */
export const asksForTooMuch = (what: string): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const input: unknown = what === 'too deep' ? JSON.parse('['.repeat(300) + ']'.repeat(300)) : TOO_MUCH;
    const second = debit as BranchOperation<unknown, string, 'compensatable'>;
    if (what.endsWith('after the pivot')) {
      await s.pivot(reserve, null);
      return s.retriable(second, input);
    }
    await s.step(reserve, null);
    return s.step(second, input);
  });

/** Has a bug, and fails with bugs. */
export const failsWithTypeErrors = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    await s.step(reserve, null);
    throw new TypeError('Cannot read properties of null');
  });
setWorkflowOptions({ failureExceptionTypes: [TypeError] }, failsWithTypeErrors);

/** Is content with either of two steps. */
export const takesAny = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    await s.step(reserve, null);
    return Promise.any([
      s.step(debit, null),
      s.step({ participant: 'bank', operation: 'credit' } satisfies Compensatable, null),
    ]);
  });

/** Goes on working for an hour after a step that a person may have to settle. */
export const worksOn = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    const debited = await s.step(debit, null, { onUnknown: 'hold' });
    await sleep('1 hour');
    return debited;
  });

/** Finds out after the pivot that the business does not want it. */
export const failsAfterPivot = (): Promise<string> =>
  saga(async (s) => {
    await s.step(reserve, null);
    await s.pivot(debit, null);
    throw ApplicationFailure.nonRetryable('Nobody wants it any more.');
  });

const idle: FreeAction<number, number> & { compensate: () => Promise<void> } = {
  name: 'idle',
  execute: async ({ input }) => input,
  compensate: async () => undefined,
};

/** As many steps as it is told, none of which leaves the workflow. */
export const longSaga = (steps: number): Promise<number> =>
  saga(async (s) => {
    for (let i = 1; i <= steps; i++) await s.step(idle, i);
    return steps;
  });

/** A decision that only this workflow makes, so that nobody can be asked about it. */
const sign: FreeAction<null, string> = {
  name: 'sign',
  execute: () => {
    throw ApplicationFailure.create({ message: 'The pen is empty.' });
  },
};

export const signs = (): Promise<SettledSagaReport<string>> =>
  saga.settle(async (s) => {
    await s.step(reserve, null);
    return s.pivot(sign, null);
  });

const misspelt: FreeAction<null, string> = {
  name: 'misspelt',
  execute: () => {
    throw new TypeError('call.inptu is undefined');
  },
};

/** Has a bug in a step that is otherwise held when its outcome is unknown. */
export const misspells = (): Promise<SettledSagaReport<string>> =>
  saga.settle(async (s) => {
    await s.step(reserve, null);
    return s.pivot(misspelt, null);
  });

/** Would end as if nothing stood, if it were told of the bug in its saga. */
export const shrugs = (): Promise<string> =>
  saga(async (s): Promise<string> => {
    await s.step(reserve, null);
    throw new TypeError('A bug.');
  }).catch(() => 'never mind');

/** Mended: see `broken/`. */
export const buys = (): Promise<SettledSagaReport<string>> =>
  saga.settle(async (s) => {
    await s.step(reserve, null);
    return s.step(debit, null);
  });

/** Whether this workflow has the library in common with others: what many have is frozen. */
export async function sharesTheLibrary(): Promise<boolean> {
  return Object.isFrozen(saga);
}
