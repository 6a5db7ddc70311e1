/**
 * The relays of one outbox: as many activities as there are seats, each the owner of its share of the keys. A workflow rather than
 * a loop in each process, because Temporal runs each seat once, gives it to another worker when its own dies, and shows who has it.
 * That there is one owner is for speed and quiet; the order of a key rests on the rows of the queue.
 */
import type { RetryPolicy, SearchAttributeUpdatePair } from '@temporalio/common';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { isTimeToBeginAnew } from './begin-anew';

export interface RelayWorkflowOptions {
  /** Whose outbox it is. */
  readonly service: string;
  /** Relays side by side, each with its share of the keys. */
  readonly seats: number;
}

/** How an outbox stands, as its relay last said. */
export interface RelayReport {
  readonly service: string;
  readonly seats: number;
  readonly pending: number;
  readonly oldestMs: number;
  /** Keys that are parked at an event which cannot be published. */
  readonly deadLetters: number;
}

/** How the outbox stands. */
export const relayQuery = defineQuery<RelayReport>('relay');

/** A worker has started, with these settings: what relays wait for may be over. */
const startedSignal = defineSignal<[unknown]>('started');
/** The relay tells of dead letters. */
const statusSignal = defineSignal<[unknown]>('status');

interface Activities {
  readonly 'outbox.relay': (request: RelayWorkflowOptions & { readonly seat: number }) => Promise<void>;
}

/** A seat whose worker died is taken by another within the heartbeat timeout and such a pause. */
const RETRY: RetryPolicy = { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' };

const relay = (options: RelayWorkflowOptions, seat: number): Promise<void> =>
  proxyActivities<Activities>({
    // It ends by itself before that.
    startToCloseTimeout: '90 minutes',
    heartbeatTimeout: '5 seconds',
    // What is under way is published and marked before another relay has the seat.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: RETRY,
    summary: `seat ${seat + 1} of ${options.seats}`,
  })['outbox.relay']({ ...options, seat });

export async function relayOutbox(options: RelayWorkflowOptions): Promise<never> {
  let settings = options;
  let report: RelayReport = { ...options, pending: 0, oldestMs: 0, deadLetters: 0 };
  let restart = false;
  setHandler(relayQuery, () => report, { description: 'How this outbox stands: events that wait, and dead letters' });
  setHandler(
    startedSignal,
    (given) => {
      if (!isSettings(given, options.service)) return;
      // Only a deployment with another number of seats has the relays stop and begin anew.
      if (given.seats !== settings.seats) restart = true;
      settings = given;
    },
    { description: 'A worker has started. Sent by each' },
  );
  setHandler(
    statusSignal,
    (given) => {
      if (!isStatus(given)) return;
      const { pending, oldestMs, deadLetters } = given;
      report = { ...report, pending, oldestMs, deadLetters };
      show(report);
    },
    { description: 'How the outbox stands. Sent by the relay when its dead letters change' },
  );
  show(report);
  let seats: readonly Promise<void>[] = [];
  while (!isTimeToBeginAnew()) {
    restart = false;
    report = { ...report, seats: settings.seats };
    const relaying = new CancellationScope();
    const first = relaying.run(() => {
      seats = Array.from({ length: settings.seats }, (_, seat) => takeTurns(settings, seat));
      return Promise.race(seats);
    });
    const settled = first.catch((error: unknown) => {
      // A person who cancels the workflow itself ends it, until the next worker starts it again.
      if (isCancellation(error) && !CancellationScope.current().consideredCancelled) return;
      throw error;
    });
    await Promise.race([settled, condition(() => restart || workflowInfo().continueAsNewSuggested)]);
    relaying.cancel();
    await settled;
  }
  // Nobody of the next run takes a seat that somebody of this one still has.
  await Promise.allSettled(seats);
  return continueAsNew<typeof relayOutbox>(settings);
}

/** Each turn is one activity: it ends when its worker stops, and after an hour. */
async function takeTurns(options: RelayWorkflowOptions, seat: number): Promise<void> {
  do await relay(options, seat);
  while (!isTimeToBeginAnew());
}

const isSettings = (given: unknown, service: string): given is RelayWorkflowOptions =>
  typeof given === 'object' &&
  given !== null &&
  'service' in given &&
  given.service === service &&
  'seats' in given &&
  Number.isSafeInteger(given.seats);

const isStatus = (given: unknown): given is Pick<RelayReport, 'pending' | 'oldestMs' | 'deadLetters'> =>
  typeof given === 'object' &&
  given !== null &&
  ['pending', 'oldestMs', 'deadLetters'].every((field) => Number.isFinite((given as Record<string, unknown>)[field]));

const KEYS = {
  status: defineSearchAttributeKey('TxnStatus', SearchAttributeType.KEYWORD),
  needsAttention: defineSearchAttributeKey('TxnNeedsAttention', SearchAttributeType.BOOL),
};

function show(report: RelayReport): void {
  setCurrentDetails(detailsOf(report));
  const needed = report.deadLetters > 0;
  if (needed === (workflowInfo().typedSearchAttributes.get(KEYS.needsAttention) === true)) return;
  const pairs: SearchAttributeUpdatePair[] = [
    { key: KEYS.status, value: needed ? 'held' : null },
    { key: KEYS.needsAttention, value: needed },
  ];
  upsertSearchAttributes(pairs);
}

const detailsOf = ({ service, seats, pending, oldestMs, deadLetters }: RelayReport): string =>
  [
    `**Outbox of ${service}**, relayed by ${seats}`,
    '',
    deadLetters === 0
      ? 'Nothing is parked.'
      : `Keys that are parked at an event which cannot be published: ${deadLetters}. When that was told, ${pending} other events waited, the oldest for ${Math.round(oldestMs / 1000)} s.`,
    ...(deadLetters === 0 ? [] : ['', '```', `temporal-txn dead-letters ${service}`, '```']),
  ].join('\n');
