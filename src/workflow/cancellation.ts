/** Scopes that are cheap to open. */
import { CancellationScope } from '@temporalio/workflow';

/** A scope that has no timeout to look after, which would take promises; Temporal keeps track of each. */
export class UntimedScope extends CancellationScope {
  protected override runInContext<T>(body: () => Promise<T>): Promise<T> {
    return body();
  }
}

/** A scope that is cancelled as what is around it is, and in the same turn: histories are replayed, and it has nothing but its place. */
export class TransparentScope extends UntimedScope {
  override readonly cancelRequested: Promise<never>;

  constructor(private readonly around: CancellationScope) {
    super({ cancellable: around.cancellable, parent: around });
    this.cancelRequested = around.cancelRequested;
  }

  override get consideredCancelled(): boolean {
    return this.around.consideredCancelled;
  }

  override cancel(): void {
    this.around.cancel();
  }
}

/** The scope of a transaction. What is begun in there is begun by it. */
export class TransactionScope extends UntimedScope {}
