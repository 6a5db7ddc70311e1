/** How long what runs in a workflow may be told to wait. */
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { patched } from '@temporalio/workflow';
import { LONGEST_TIMEOUT_MS } from '../protocol';

/** NaN for what is no duration: options may come over the wire. */
export function millisecondsOf(value: Duration): number {
  try {
    return msToNumber(value);
  } catch {
    return NaN;
  }
}

export const isWithinLimits = (value: Duration): boolean => {
  const ms = millisecondsOf(value);
  return ms > 0 && ms <= LONGEST_TIMEOUT_MS;
};

/**
 * Whether a value is refused that the version before took as it was. Runs that it has begun go on with theirs: nothing of them may
 * change by a deployment.
 */
export const isRefusedNow = (value: Duration): boolean => !isWithinLimits(value) && patched('temporal-txn-limits');

/** What an error asks for. */
export const WITHIN_LIMITS = `Use a duration above zero and of 30 days at most, such as '10 seconds'.`;
