/** Names of the metrics, all of them through Temporal's meter. A label never holds an id. */
export const METRICS = {
  /** Counter of ended transactions; labels `protocol`, `outcome`. */
  transactions: 'txn_transactions_total',
  /** Counter of ended compensations; labels `participant_id`, `operation`, `fate`. */
  compensations: 'txn_compensations_total',
} as const;
