/**
 * How a service's database stands, as gauges: told by every worker beside it, whichever has the work. A gauge that only the one at
 * work tells keeps its last value in all others, and nobody tells anything when none is at work.
 */
import type { Pool } from 'pg';
import { METRICS } from '../observability';
import { outboxStatus } from '../outbox';
import { lookAtPrepared } from '../participant';
import type { Gauge } from './gauges';
import { keepTelling } from './keep-telling';
import type { Pace } from './keep-telling';

const PACE: Pace = { everyMs: 10_000, forgottenAfterMs: 60_000 };

/** Tells what is in doubt at a participant, and how its outbox stands. @returns what ends it */
export const keepTellingParticipant = (
  pool: Pool,
  participant: string,
  namespace: string,
  pace = PACE,
): (() => Promise<void>) =>
  keepTelling({
    of: participant,
    pace,
    unseen: { name: METRICS.databaseUnseen, labels: { service: participant, worker: 'participant' } },
    look: async () => [
      ...(await lookAtParticipant(pool, participant, namespace)),
      ...(await lookAtOutbox(pool, participant)),
    ],
  });

/** Tells how an outbox stands. @returns what ends it */
export const keepTellingOutbox = (pool: Pool, service: string): (() => Promise<void>) =>
  keepTelling({
    of: service,
    pace: PACE,
    unseen: { name: METRICS.databaseUnseen, labels: { service, worker: 'relay' } },
    look: () => lookAtOutbox(pool, service),
  });

async function lookAtParticipant(pool: Pool, participant: string, namespace: string): Promise<readonly Gauge[]> {
  const { inDoubt, oldestAgeMs, slots } = await lookAtPrepared(pool, { participant, namespace });
  const labels = { participant_id: participant };
  return [
    { name: METRICS.inDoubt, value: inDoubt, labels },
    { name: METRICS.inDoubtOldestAge, value: oldestAgeMs / 1_000, labels },
    { name: METRICS.preparedSlotsUsed, value: slots.used, labels },
    { name: METRICS.preparedSlots, value: slots.limit, labels },
  ];
}

async function lookAtOutbox(pool: Pool, service: string): Promise<readonly Gauge[]> {
  const { pending, oldestMs, deadLetters } = await outboxStatus(pool);
  const labels = { service };
  return [
    { name: METRICS.outboxPending, value: pending, labels },
    { name: METRICS.outboxOldestAge, value: oldestMs / 1_000, labels },
    { name: METRICS.outboxDeadLetters, value: deadLetters, labels },
  ];
}
