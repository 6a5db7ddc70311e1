/** A timer that the Web UI can name, and that can be called off. */
import type { Duration } from '@temporalio/common';
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

/** Calls `ring` when the time is up, unless `cancel` is called before. */
export function alarm(limit: Duration, summary: string, ring: () => void): { cancel(): void } {
  const scope = new CancellationScope();
  scope
    .run(() => sleep(limit, { summary }))
    .then(ring, (error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  return scope;
}

/** Runs something and cancels it when it takes longer than the limit. Like `CancellationScope.withTimeout`, which names no timer. */
export async function within<T>(limit: Duration, summary: string, run: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  const watch = alarm(limit, summary, () => scope.cancel());
  try {
    return await scope.run(run);
  } finally {
    watch.cancel();
  }
}
