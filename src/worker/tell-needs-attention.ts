/** How many workflows wait for a person, as a gauge that stays up while they do: a counter of those that began to is soon quiet again. */
import { isGrpcServiceError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { METRICS } from '../observability';
import type { Gauge } from './gauges';
import { keepTelling } from './keep-telling';

/** Temporal's visibility counts for all workers of coordinators, and must not feel it. */
const PACE = { everyMs: 30_000, forgottenAfterMs: 120_000 };
const LONGEST_MS = 5_000;

// What a relay cannot publish has a gauge of its own.
const WAITING = `TxnNeedsAttention = true and ExecutionStatus = 'Running' and WorkflowType != 'relayOutbox'`;

/** Tells how many there are in the client's namespace. @returns what ends it */
export const keepTellingNeedsAttention = (client: Client): (() => Promise<void>) =>
  keepTelling({ of: 'workflows that need attention', pace: PACE, look: () => lookAtWaiting(client) });

async function lookAtWaiting(client: Client): Promise<readonly Gauge[]> {
  try {
    const { count } = await client.withDeadline(Date.now() + LONGEST_MS, () => client.workflow.count(WAITING));
    return [{ name: METRICS.needsAttention, value: count, labels: { namespace: client.options.namespace } }];
  } catch (error) {
    // A server without visibility never tells.
    if (isUnimplemented(error)) return [];
    throw error;
  }
}

const UNIMPLEMENTED = 12;
const isUnimplemented = (error: unknown): boolean =>
  error instanceof Error && isGrpcServiceError(error.cause) && Number(error.cause.code) === UNIMPLEMENTED;
