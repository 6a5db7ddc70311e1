/** A scope that is cheap to open. */
import { CancellationScope } from '@temporalio/workflow';

/** A scope that has no timeout to look after, which would take promises; Temporal keeps track of each. */
export class UntimedScope extends CancellationScope {
  protected override runInContext<T>(body: () => Promise<T>): Promise<T> {
    return body();
  }
}
