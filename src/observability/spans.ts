/**
 * The spans that this package draws beside those of Temporal's own interceptors, and the attributes of both. docs/tracing.md is checked
 * against these tables.
 */

/** Names of spans. Of those that end in a colon, what it is about follows: `RunTransaction:saga`. */
export const SPANS = {
  transaction: 'RunTransaction:',
  member: 'RunInGroup:',
  handOver: 'HandOver:',
  asked: 'AnswerInGroup:',
  commit: 'COMMIT',
  prepare: 'PREPARE TRANSACTION',
  commitPrepared: 'COMMIT PREPARED',
  rollbackPrepared: 'ROLLBACK PREPARED',
  publish: 'PublishEvent:',
  receive: 'ReceiveEvent:',
} as const;

/** Names of attributes. None of them holds what was sent or returned. */
export const SPAN_ATTRIBUTES = {
  transaction: 'txn.transaction_id',
  branch: 'txn.branch_id',
  participant: 'txn.participant',
  group: 'txn.group',
  protocol: 'txn.protocol',
  operation: 'txn.operation',
  outcome: 'txn.outcome',
  reason: 'txn.reason',
  event: 'txn.event_id',
  errorType: 'error.type',
  database: 'db.system.name',
} as const;
