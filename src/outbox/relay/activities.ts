/** A seat of the relay as a Temporal activity: it goes on for an hour, says once a second that it lives, and ends cleanly. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Pool } from 'pg';
import { METRICS } from '../../observability';
import { cleanOutbox } from '../clean';
import { outboxStatus } from '../status';
import type { OutboxStatus } from '../status';
import type { RelayOptions } from './options';
import { relay } from './relay';
import type { RelayRound } from './relay-partitions';

export interface RelayActivityOptions extends RelayOptions {
  /** Connections to the database of the outbox, three for each seat that may be here. */
  readonly pool: Pool;
  /** Whose outbox it is. */
  readonly service: string;
  /** How long published events are kept, in hours. @default they are never removed */
  readonly keepHours?: number;
  /** Whether the worker is about to stop: the seat is given up at once then. @default never */
  readonly stopping?: () => boolean;
}

interface SeatRequest {
  readonly service: string;
  readonly seat: number;
  readonly seats: number;
}

/** What a relay's worker registers. */
export interface RelayActivities {
  'outbox.relay'(request: SeatRequest): Promise<void>;
}

const TURN_MS = 60 * 60 * 1000;
const HEARTBEAT_MS = 1_000;
const STOPPING_MS = 100;
const STATUS_MS = 10_000;
const CLEAN_MS = 10 * 60 * 1000;

/**
 * Makes the activities of the relay. `runOutboxRelay` of temporal-txn/worker registers them.
 *
 * @example const worker = await Worker.create({ connection, taskQueue: 'outbox:orders', activities: relayActivities({ pool, service: 'orders', publisher }) });
 */
export const relayActivities = (options: RelayActivityOptions): RelayActivities => ({
  'outbox.relay': (request) => takeSeat(options, request),
});

async function takeSeat(options: RelayActivityOptions, { seat, seats }: SeatRequest): Promise<void> {
  const context = Context.current();
  const { pool, service, keepHours, stopping = () => false } = options;
  const stop = new AbortController();
  const end = (): void => stop.abort();
  context.cancellationSignal.addEventListener('abort', end);
  const timers = [
    setInterval(() => context.heartbeat(), HEARTBEAT_MS),
    setInterval(() => stopping() && end(), STOPPING_MS),
    setTimeout(end, TURN_MS),
  ];
  const told: Told = {};
  const beside = [
    look({ pool, service, seat, told }, stop.signal),
    ...(seat === 0 ? [tidy(pool, keepHours, stop.signal)] : []),
  ];
  try {
    const owner = `${context.info.taskQueue} seat ${seat + 1} of ${seats}, ${process.pid}`;
    await relay({ ...options, owner, seat, seats, stop: stop.signal, observe: counting(pool, service, told) });
    // The seat is free: whoever cancelled waits for this answer.
    if (context.cancellationSignal.aborted) throw new CancelledFailure('The relay was asked to stop.');
  } catch (error) {
    if (error instanceof RangeError)
      throw ApplicationFailure.create({ message: error.message, type: 'InvalidRelayOptions', cause: error });
    throw error;
  } finally {
    end();
    timers.forEach(clearTimeout);
    context.cancellationSignal.removeEventListener('abort', end);
    await Promise.all(beside);
  }
}

/** The number of dead letters that a seat has told the workflow last. */
interface Told {
  deadLetters?: number;
}

/** A dead letter is told at once, by the seat that has it. */
function counting(pool: Pool, service: string, told: Told): (round: RelayRound) => void {
  const { metricMeter, log } = Context.current();
  const published = metricMeter.createCounter(METRICS.outboxPublished);
  const failures = metricMeter.createCounter(METRICS.outboxFailures);
  const tellNow = (): Promise<void> =>
    outboxStatus(pool)
      .then((status) => tell(status, told))
      .catch((error: unknown) => {
        log.warn('A dead letter could not be told', { service, error });
      });
  return (round) => {
    if (round.published.length > 0) published.add(round.published.length, { service });
    if (round.failed.length > 0) failures.add(round.failed.length, { service });
    for (const { queued, error } of round.parked)
      log.error('An event cannot be published; its key is parked', { service, eventId: queued.event.id, error });
    for (const { queued, error } of round.notParked)
      log.error('An event cannot be published, and its key could not be parked', {
        service,
        eventId: queued.event.id,
        error,
      });
    if (round.parked.length > 0) void tellNow();
  };
}

interface Look {
  readonly pool: Pool;
  readonly service: string;
  readonly seat: number;
  readonly told: Told;
}

/**
 * Tells the workflow when there are other dead letters than were told last. Each seat does, because the one that told of one is the
 * one that knows when it has to be taken back.
 */
async function look({ pool, service, seat, told }: Look, stop: AbortSignal): Promise<void> {
  const { log } = Context.current();
  await every(STATUS_MS, stop, async () => {
    try {
      const status = await outboxStatus(pool);
      // An earlier run of the first seat may have told of some that are gone.
      const last = told.deadLetters ?? (seat === 0 ? undefined : 0);
      if (status.deadLetters !== last) await tell(status, told);
    } catch (error) {
      log.warn('The state of the outbox could not be read or told', { service, error });
    }
  });
}

async function tell(status: OutboxStatus, told: Told): Promise<void> {
  const { client, info } = Context.current();
  if (info.workflowExecution)
    await client.workflow.getHandle(info.workflowExecution.workflowId).signal('status', status);
  told.deadLetters = status.deadLetters;
}

async function tidy(pool: Pool, keepHours: number | undefined, stop: AbortSignal): Promise<void> {
  if (keepHours === undefined) return;
  const { log } = Context.current();
  await every(CLEAN_MS, stop, async () => {
    try {
      await cleanOutbox(pool, { olderThanHours: keepHours, stop });
    } catch (error) {
      log.warn('Published events could not be removed', { error });
    }
  });
}

async function every(ms: number, stop: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!stop.aborted) {
    await work();
    await new Promise<void>((resolve) => {
      if (stop.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        stop.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      stop.addEventListener('abort', done);
    });
  }
}
