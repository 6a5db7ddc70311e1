/**
 * The metrics, all of them through Temporal's meter. A label never holds an id: of transactions there are too many. docs/metrics.md,
 * the dashboards and the alerts are checked against this table.
 */

export interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly unit?: 'seconds';
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** Which process tells it. */
  readonly from: 'coordinator' | 'participant' | 'relay' | 'coordinator and participant' | 'participant and relay';
  readonly meaning: string;
}

const LATENCIES = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600, 86_400];
const ATTEMPTS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const METRIC_TABLE = {
  transactions: {
    name: 'txn_transactions_total',
    kind: 'counter',
    labels: ['protocol', 'outcome'],
    from: 'coordinator',
    meaning: 'Ended transactions. `outcome` is `committed`, `aborted`, `compensated` or `mixed`',
  },
  transactionDuration: {
    name: 'txn_transaction_duration_seconds',
    kind: 'histogram',
    labels: ['protocol', 'outcome'],
    unit: 'seconds',
    buckets: LATENCIES,
    from: 'coordinator',
    meaning:
      'From the first question of a transaction to its end, whatever it waited for, in a group and before it was resumed too',
  },
  participants: {
    name: 'txn_participants',
    kind: 'histogram',
    labels: ['protocol'],
    buckets: [1, 2, 3, 4, 5, 8, 16, 32, 64],
    from: 'coordinator',
    meaning: 'Participants of an ended transaction',
  },
  operationDuration: {
    name: 'txn_participant_operation_duration_seconds',
    kind: 'histogram',
    labels: ['participant_id', 'operation', 'success'],
    unit: 'seconds',
    buckets: ATTEMPTS,
    from: 'participant',
    meaning:
      'One attempt at one question, such as `debit` or `debit.prepare`. `success` is `true` when it was answered, a business "no" and a vote to abort included. What a circuit kept from being attempted is not here',
  },
  notAttempted: {
    name: 'txn_not_attempted_total',
    kind: 'counter',
    labels: ['participant_id', 'circuit'],
    from: 'participant',
    meaning:
      'Attempts that were not made because a circuit was open, whether the caller is told to come again, or hears a refusal or a vote to abort',
  },
  circuitState: {
    name: 'txn_circuit_state',
    kind: 'gauge',
    labels: ['participant_id', 'circuit'],
    from: 'coordinator and participant',
    meaning:
      '0 closed, 1 half-open: the next call tries it, 2 open, 3 isolated by an operator. `circuit` is `participant` for a participant itself, `coordinator` for what a coordinator knows of it, or the name of what it calls',
  },
  compensations: {
    name: 'txn_compensations_total',
    kind: 'counter',
    labels: ['participant_id', 'operation', 'fate'],
    from: 'coordinator',
    meaning: 'Ended compensations, by how they ended',
  },
  votesRejected: {
    name: 'txn_votes_rejected_total',
    kind: 'counter',
    labels: ['reason'],
    from: 'coordinator',
    meaning: 'Votes and acknowledgements that were dropped: late, malformed, or forged',
  },
  payloadsUnreadable: {
    name: 'txn_payloads_unreadable_total',
    kind: 'counter',
    labels: ['reason'],
    from: 'coordinator and participant',
    meaning:
      'Payloads that a codec could not decode, because their key is missing or they were never ours, or could not encode',
  },
  overdue: {
    name: 'txn_overdue_total',
    kind: 'counter',
    labels: ['protocol'],
    from: 'coordinator',
    meaning: 'Transactions that are decided and whose branches did not follow in time',
  },
  held: {
    name: 'txn_held_total',
    kind: 'counter',
    labels: ['protocol'],
    from: 'coordinator',
    meaning: 'Transactions that began to wait for a person; one that waits again counts again',
  },
  needsAttention: {
    name: 'txn_needs_attention',
    kind: 'gauge',
    labels: ['namespace'],
    from: 'coordinator',
    meaning:
      'Workflows of the namespace that wait for a person now, recoveries included: `TxnNeedsAttention = true`, which each worker of `runCoordinator` counts every half minute. Outboxes are not in it, which have `txn_outbox_dead_letters`',
  },
  contention: {
    name: 'txn_contention_retries_total',
    kind: 'counter',
    labels: ['protocol'],
    from: 'coordinator',
    meaning: 'Whole transactions that were tried again because others held what they needed',
  },
  databaseUnseen: {
    name: 'txn_database_unseen_seconds',
    kind: 'gauge',
    labels: ['service', 'worker'],
    unit: 'seconds',
    from: 'participant and relay',
    meaning:
      'For how long the worker has not been able to read how its database stands. After a minute it takes back what it told of it: `NaN`. `worker` is `participant` or `relay`',
  },
  inDoubt: {
    name: 'txn_in_doubt',
    kind: 'gauge',
    labels: ['participant_id'],
    from: 'participant',
    meaning: 'Branches that are prepared and not finished',
  },
  inDoubtOldestAge: {
    name: 'txn_in_doubt_oldest_age_seconds',
    kind: 'gauge',
    labels: ['participant_id'],
    unit: 'seconds',
    from: 'participant',
    meaning: 'Age of the oldest of them',
  },
  preparedSlotsUsed: {
    name: 'txn_prepared_slots_used',
    kind: 'gauge',
    labels: ['participant_id'],
    from: 'participant',
    meaning: 'Prepared transactions of the whole server, those of others included',
  },
  preparedSlots: {
    name: 'txn_prepared_slots',
    kind: 'gauge',
    labels: ['participant_id'],
    from: 'participant',
    meaning: '`max_prepared_transactions` of the server',
  },
  outboxPending: {
    name: 'txn_outbox_pending',
    kind: 'gauge',
    labels: ['service'],
    from: 'participant and relay',
    meaning: 'Events that are not published',
  },
  outboxOldestAge: {
    name: 'txn_outbox_oldest_age_seconds',
    kind: 'gauge',
    labels: ['service'],
    unit: 'seconds',
    from: 'participant and relay',
    meaning: 'Age of the oldest of them',
  },
  outboxDeadLetters: {
    name: 'txn_outbox_dead_letters',
    kind: 'gauge',
    labels: ['service'],
    from: 'participant and relay',
    meaning: 'Keys that are parked at an event which cannot be published',
  },
  outboxPublished: {
    name: 'txn_outbox_published_total',
    kind: 'counter',
    labels: ['service'],
    from: 'relay',
    meaning: 'Events that were published, those that came twice twice',
  },
  outboxFailures: {
    name: 'txn_outbox_publish_failures_total',
    kind: 'counter',
    labels: ['service'],
    from: 'relay',
    meaning: 'Attempts to publish that failed',
  },
} as const satisfies Readonly<Record<string, Metric>>;

type Key = keyof typeof METRIC_TABLE;

/** Their names. */
// Cast: what maps a table keeps its keys.
export const METRICS = Object.fromEntries(Object.entries(METRIC_TABLE).map(([key, { name }]) => [key, name])) as {
  readonly [K in Key]: (typeof METRIC_TABLE)[K]['name'];
};

/** Buckets by name of the histogram, for whoever installs a runtime of their own. */
export const HISTOGRAM_BUCKETS: Readonly<Record<string, number[]>> = Object.fromEntries(
  Object.values<Metric>(METRIC_TABLE).flatMap(({ name, buckets }) => (buckets ? [[name, [...buckets]]] : [])),
);
