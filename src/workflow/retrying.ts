/** Retries workflow code the way Temporal retries an activity: with growing pauses, until it succeeds, is refused, or time is up. */
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { Attempt } from './context';
import { isFinal } from './failures';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * An attempt takes as long as it takes: only what has failed is limited. None begins before what the one before has begun has ended.
 *
 * @param begin makes room for one
 * @throws the last failure, when the next attempt would begin after `limit`
 */
export async function retrying<T>(
  limit: Duration,
  what: string,
  begin: () => Attempt,
  run: () => Promise<T>,
): Promise<T> {
  const end = Date.now() + msToNumber(limit);
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const attempt = begin();
    const { open } = attempt;
    try {
      const result = await attempt.run(run);
      if (open.areOpen) await open.untilEnded();
      return result;
    } catch (error) {
      if (open.areOpen) await open.untilTurnedBack();
      const withdrawn = isCancellation(error) && CancellationScope.current().consideredCancelled;
      if (withdrawn || isFinal(error) || Date.now() + pauseMs >= end) throw error;
    }
    await sleep(pauseMs, { summary: `pause before ${what} is tried again` });
  }
}
