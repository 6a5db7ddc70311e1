/**
 * How far clocks are apart. No decision rests on a clock, so this is never a problem: but grace periods, ages and the times that people
 * compare are then wrong.
 */
import type { Connection } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { notChecked, ok, warning } from './check';
import type { Result } from './check';

const MOST_MS = 5_000;

/** A moment of another clock, which fell between two of ours. */
export interface Seen {
  readonly sentMs: number;
  readonly theirMs: number;
  readonly receivedMs: number;
}

/** What to think of the difference, of which the time under way is no part. */
export function judgeClock({ sentMs, theirMs, receivedMs }: Seen): Result {
  const apart = theirMs < sentMs ? theirMs - sentMs : Math.max(0, theirMs - receivedMs);
  const told = `${(Math.abs(apart) / 1_000).toFixed(1)} s ${apart < 0 ? 'behind' : 'ahead of'} this machine's.`;
  if (Math.abs(apart) <= MOST_MS) return ok(apart === 0 ? "As this machine's." : `Its clock is ${told}`);
  return warning(
    `Its clock is ${told} No decision rests on it; grace periods, ages and the times in reports do.`,
    'Have both machines set their clocks by NTP.',
  );
}

const POLL_MS = 2_000;
/** The server refuses to be polled by somebody who has no time. */
const DEADLINE_MS = 30_000;
const WORKFLOW_QUEUE = 1;
/** Sticky, because such a queue is in one piece, and the server soon forgets it. */
const TASK_QUEUE = { name: 'temporal-txn-doctor-clock', kind: 2, normalName: 'temporal-txn-doctor' };

/**
 * Temporal's clock. No call tells it, but the server keeps when each worker polled last: we poll a queue for a moment that nobody
 * sends anything to, and read when that was.
 */
export async function temporalClock(connection: Connection, namespace: string): Promise<Result> {
  const identity = `temporal-txn-doctor@${process.pid}-${Date.now()}`;
  const poll = { namespace, taskQueue: TASK_QUEUE, identity };
  const over = new AbortController();
  let failure: Error | undefined;
  const sentMs = Date.now();
  const polled = connection
    .withDeadline(sentMs + DEADLINE_MS, () =>
      connection.withAbortSignal(over.signal, () => connection.workflowService.pollWorkflowTaskQueue(poll)),
    )
    .catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
  try {
    while (Date.now() < sentMs + POLL_MS) {
      const { pollers } = await connection.workflowService.describeTaskQueue({
        namespace,
        taskQueue: TASK_QUEUE,
        taskQueueType: WORKFLOW_QUEUE,
      });
      const time = (pollers ?? []).find((poller) => poller.identity === identity)?.lastAccessTime;
      if (time) {
        const theirMs = Number(time.seconds) * 1_000 + (time.nanos ?? 0) / 1e6;
        return judgeClock({ sentMs, theirMs, receivedMs: Date.now() });
      }
      if (failure) throw failure;
      await sleep(50);
    }
    return notChecked('Temporal does not say when it was polled.');
  } finally {
    over.abort();
    await polled;
  }
}
