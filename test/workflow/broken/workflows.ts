/** The saga `buys` of the workflows beside, as it was before a bug in it was found. */
import { saga } from 'temporal-txn/workflow';
import type { BranchOperation, SettledSagaReport } from 'temporal-txn/workflow';

type Compensatable = BranchOperation<null, string, 'compensatable'>;

export const buys = (): Promise<SettledSagaReport<string>> =>
  saga.settle(async (s) => {
    await s.step({ participant: 'shop', operation: 'reserve' } satisfies Compensatable, null);
    const total: { cents?: () => number } = {};
    return `${(total.cents as () => number)()} cents`; // Cast: the bug.
  });
