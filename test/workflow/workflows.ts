/** Sagas whose bodies do what a script cannot say: bugs, steps that nobody waits for, work without participants. */
import { ApplicationFailure, sleep } from '@temporalio/workflow';
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
export const neverLooks = (): Promise<SettledSagaReport<unknown>> =>
  saga.settle(async (s) => {
    void s.step(reserve, null);
    return s.step(debit, null);
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
