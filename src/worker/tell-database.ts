/**
 * How a service's database stands, as gauges: told by every worker beside it, whichever has the work. A gauge that only the one at
 * work tells keeps its last value in all others, and nobody tells anything when none is at work.
 */
import { Runtime } from '@temporalio/worker';
import type { Pool } from 'pg';
import { METRICS } from '../observability';
import { outboxStatus } from '../outbox';
import { lookAtPrepared } from '../participant';

const EVERY_MS = 10_000;

/** Tells what is in doubt at a participant, and how its outbox stands. @returns what ends it */
export const keepTellingParticipant = (pool: Pool, participant: string, namespace: string): (() => Promise<void>) =>
  keepTelling(participant, async () => {
    const { inDoubt, oldestAgeMs, slots } = await lookAtPrepared(pool, { participant, namespace });
    const label = { participant_id: participant };
    gauge(METRICS.inDoubt, inDoubt, label);
    gauge(METRICS.inDoubtOldestAge, oldestAgeMs / 1_000, label);
    gauge(METRICS.preparedSlotsUsed, slots.used, label);
    gauge(METRICS.preparedSlots, slots.limit, label);
    await tellOutbox(pool, participant);
  });

/** Tells how an outbox stands. @returns what ends it */
export const keepTellingOutbox = (pool: Pool, service: string): (() => Promise<void>) =>
  keepTelling(service, () => tellOutbox(pool, service));

async function tellOutbox(pool: Pool, service: string): Promise<void> {
  const { pending, oldestMs, deadLetters } = await outboxStatus(pool);
  gauge(METRICS.outboxPending, pending, { service });
  gauge(METRICS.outboxOldestAge, oldestMs / 1_000, { service });
  gauge(METRICS.outboxDeadLetters, deadLetters, { service });
}

function gauge(name: string, value: number, labels: Readonly<Record<string, string>>): void {
  Runtime.instance().metricMeter.createGauge(name, 'float').set(value, labels);
}

function keepTelling(of: string, tell: () => Promise<void>): () => Promise<void> {
  let round: Promise<void> | undefined;
  const look = (): void => {
    round ??= tell()
      .catch((error: unknown) => {
        Runtime.instance().logger.warn('How a database stands could not be read', { of, error: String(error) });
      })
      .finally(() => (round = undefined));
  };
  look();
  const timer = setInterval(look, EVERY_MS);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await round;
  };
}
