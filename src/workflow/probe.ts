/**
 * Asks a participant that fell silent how it is: it may have come back, and then what was asked of it is asked again, which is
 * cheaper than to undo everything.
 */
import { patched, sleep } from '@temporalio/workflow';
import { DEFAULT_TIMEOUTS } from '../protocol';
import type { Dispatcher } from './dispatch';

/** Three questions, and how long each may take: a queue that nobody polls answers nothing. */
const { pausesMs: PAUSES_MS, answerMs: PATIENCE } = DEFAULT_TIMEOUTS.probe;

export type Probed = { readonly healthy: true } | { readonly healthy: false; readonly reason: string };

/**
 * @param needs `slot`: it has to prepare, for which the server must have room
 * @throws {CancelledFailure} when the scope around it is cancelled
 */
export async function probe(dispatcher: Dispatcher, participant: string, needs: 'slot' | 'nothing'): Promise<Probed> {
  // Workflows that met this before nobody asked go on as they began.
  if (!patched('txn-probe')) return { healthy: false, reason: 'it was not asked' };
  let reason = '';
  for (const [i, pauseMs] of PAUSES_MS.entries()) {
    if (pauseMs > 0) await sleep(pauseMs, { summary: `pause before ${participant} is asked again how it is` });
    const health = await dispatcher.health(participant, {
      timeout: PATIENCE,
      attemptTimeout: PATIENCE,
      retry: { maximumAttempts: 1 },
      summary: `how ${participant} is (${i + 1} of ${PAUSES_MS.length})`,
    });
    if (health.status === 'unhealthy') reason = health.reason;
    else if (needs === 'slot' && health.slots.used >= health.slots.limit)
      reason = `all ${health.slots.limit} slots for prepared transactions are in use`;
    else return { healthy: true };
  }
  return { healthy: false, reason };
}
