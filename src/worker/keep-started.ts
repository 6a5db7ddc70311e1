/** A workflow that belongs to a service's workers: each starts it, and starts it again from time to time. */
import { Runtime } from '@temporalio/worker';

/** Somebody may terminate it by hand: it must not take the next deployment to bring it back. */
const AGAIN_MS = 10 * 60 * 1000;

/**
 * Starts it now and again.
 *
 * @param start may be called while it runs
 * @returns what ends that
 */
export async function keepStarted(workflowId: string, start: () => Promise<void>): Promise<() => void> {
  await start();
  const warn = (error: unknown): void => {
    Runtime.instance().logger.warn('A workflow could not be started again', { workflowId, error });
  };
  const again = setInterval(() => void start().catch(warn), AGAIN_MS);
  again.unref();
  return () => clearInterval(again);
}
