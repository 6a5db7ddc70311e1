/** How a transaction hears that its caller withdraws. */
import { CancellationScope } from '@temporalio/workflow';

/** A scope that has no timeout to look after, which would take promises; Temporal keeps track of each. */
export class UntimedScope extends CancellationScope {
  protected override runInContext<T>(body: () => Promise<T>): Promise<T> {
    return body();
  }
}

/**
 * Runs something where no cancellation reaches it, and lets it hear of one. A scope that cannot be cancelled hears of a cancellation around
 * it all the same, and that is not for us: a compensation has to run to its end, whatever it consists of.
 *
 * @param work is given a function that says what to do when the scope around is cancelled
 */
export function shielded<T>(work: (whenCancelled: (withdraw: () => void) => void) => Promise<T>): Promise<T> {
  const around = CancellationScope.current();
  if (!around.cancellable) return work(() => undefined);
  return CancellationScope.nonCancellable(() =>
    work((withdraw) => {
      around.cancelRequested.catch(withdraw);
    }),
  );
}
