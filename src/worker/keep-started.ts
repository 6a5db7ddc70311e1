/** A workflow that belongs to a service's workers: each starts it, and starts it again from time to time. */
import { Runtime } from '@temporalio/worker';
import { PayloadNotEncoded } from './insistent-encoding';

/** Somebody may terminate it by hand: it must not take the next deployment to bring it back. */
const AGAIN_MS = 10 * 60 * 1000;

/**
 * Starts it now and again.
 *
 * @param start may be called while it runs
 * @returns what ends that
 */
export async function keepStarted(workflowId: string, start: () => Promise<void>): Promise<() => void> {
  await startOnceEncoded(start);
  const warn = (error: unknown): void => {
    Runtime.instance().logger.warn('A workflow could not be started again', { workflowId, error });
  };
  const again = setInterval(() => void start().catch(warn), AGAIN_MS);
  again.unref();
  return () => clearInterval(again);
}

/** No task waits for it yet, so a codec that is away may take its time. */
async function startOnceEncoded(start: () => Promise<void>): Promise<void> {
  for (;;)
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof PayloadNotEncoded)) throw error;
    }
}
