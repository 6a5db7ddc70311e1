/** What the tests of probes and of failing fast run. */
import { CancellationScope, sleep } from '@temporalio/workflow';
import { saga } from 'temporal-txn/workflow';
import type { BranchOperation, SettledSagaReport } from 'temporal-txn/workflow';

export { settled } from '../saga/workflows';
export { settles as settlesInThreePhases } from '../three-phase-commit/workflows';
export { settles } from '../two-phase-commit/workflows';

const debit: BranchOperation<null, null, 'compensatable'> = { participant: 'bank', operation: 'debit' };

/** Asks a bank that lives where it runs. */
export const settledAtHome = (): Promise<SettledSagaReport<null>> =>
  saga.settle((s) => s.step({ ...debit, colocated: true }, null), { failFast: ['bank'] });

/** Decides by a saga that may fail fast. */
export const decidesFast = (): Promise<SettledSagaReport<null>> =>
  saga.settle((s) =>
    s.pivot({ name: 'inside', execute: () => saga((t) => t.step(debit, null), { failFast: ['bank'] }) }, null),
  );

/** Gives a saga that may fail fast a minute, and sleeps afterwards. */
export async function hurried(): Promise<void> {
  await CancellationScope.withTimeout('1 minute', () => saga((s) => s.step(debit, null), { failFast: ['bank'] }));
  await sleep(1);
}
