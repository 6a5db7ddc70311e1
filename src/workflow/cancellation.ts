/** How a transaction hears that its caller withdraws. */
import { CancellationScope } from '@temporalio/workflow';

/**
 * Calls `withdraw` when the scope that we run in is cancelled. One that cannot be hears of a cancellation around it all the same,
 * and that is not for us: a compensation has to run to its end, whatever it consists of.
 */
export function whenCancelled(withdraw: () => void): void {
  const scope = CancellationScope.current();
  if (scope.cancellable) scope.cancelRequested.catch(withdraw);
}
