/** The end of a wait that does not end what is waited for. */
import type { WaitOptions } from './temporal-calls';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Tells when a wait is over, and why.
 *
 * @returns what stops it
 */
export function whenOver({ timeoutMs, signal }: WaitOptions, tell: (why: 'time' | 'signal') => void): () => void {
  const onAbort = (): void => tell('signal');
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => tell('time'), Math.min(timeoutMs, LONGEST_TIMER_MS));
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
}
