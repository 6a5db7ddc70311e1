export { fromDrizzle, fromKnex, fromKysely, fromPrisma, fromTypeOrm } from './adapters';
export type { AdaptedTransaction } from './adapters';
export { defineOutbox } from './append';
export type { EventTransaction, EventTypes, Outbox } from './append';
export { cleanOutbox } from './clean';
export type { CleanOptions } from './clean';
export { CLOUD_EVENT_TYPE, toCloudEvent } from './cloud-event';
export type { CloudEvent } from './cloud-event';
export { deadLetters, editDeadLetter, retryDeadLetter, skipDeadLetter } from './dead-letters';
export type { DeadLetter, Intervention } from './dead-letters';
export {
  DeadLetterPublishedError,
  EventIdInUseError,
  InvalidEventError,
  InvalidSnapshotError,
  MessageInProgressError,
  MessageMismatchError,
  NoSuchDeadLetterError,
  NotYetPublishedError,
  RelayReplacedError,
  UnpublishableEventError,
  UnreadableEventError,
  PositionAheadError,
  WrongExpectedVersionError,
} from './errors';
export type { EventIdConflict } from './errors';
export type { Json, NewEvent, OutboxEvent } from './event';
export type { Appended, AppendOptions, ExpectedVersion } from './event-store/append-to-stream';
export type { Decider, Handled, HandleOptions, Loaded, LoadOptions } from './event-store/decider';
export type {
  EventMetadata,
  EventOf,
  NewStreamEvent,
  NumberedEvent,
  StoredEvent,
  StoredFields,
  Upcasters,
} from './event-store/events';
export { defineProjection } from './event-store/projection';
export type { AnyProjection, EventFailure, ProjectedEvent, Projection, ProjectionStep } from './event-store/projection';
export type { EventReader, StreamRange } from './event-store/read';
export { rebuildProjection } from './event-store/rebuild';
export { runProjections } from './event-store/run-projections';
export type { RunProjectionsOptions } from './event-store/run-projections';
export type { Snapshots } from './event-store/snapshots';
export { projectionStatus } from './event-store/status';
export type { ProjectionStatus } from './event-store/status';
export { defineEventStore } from './event-store/store';
export type { EventStore } from './event-store/store';
export type { SubscribeOptions } from './event-store/subscribe';
export type { HandlerTransaction } from './handler-transaction';
export { defineInbox } from './inbox/inbox';
export type { Inbox, InboxOptions, Received, ReceivedMessage } from './inbox/inbox';
export { purgeInbox } from './inbox/purge';
export type { PurgeInboxOptions } from './inbox/purge';
export type { Publisher } from './publisher';
export { eventName } from './publishers/event-name';
export { inProcess } from './publishers/in-process';
export { kafka } from './publishers/kafka';
export type { KafkaOptions, KafkaProducer } from './publishers/kafka';
export { natsJetStream } from './publishers/nats-jetstream';
export type { JetStream, NatsHeaders, NatsJetStreamOptions } from './publishers/nats-jetstream';
export { signalWorkflow } from './publishers/signal-workflow';
export type { SignalWorkflowOptions } from './publishers/signal-workflow';
export { startWorkflow } from './publishers/start-workflow';
export type { StartWorkflowOptions } from './publishers/start-workflow';
export { webhook } from './publishers/webhook';
export type { WebhookOptions } from './publishers/webhook';
export { relayActivities } from './relay/activities';
export type { RelayActivities, RelayActivityOptions } from './relay/activities';
export { relaySettings } from './relay/options';
export type { RelayOptions, RelaySettings } from './relay/options';
export { relay } from './relay/relay';
export type { RelayShare } from './relay/relay';
export type { RelayRound } from './relay/relay-partitions';
export { wakeRelays } from './relay/wake';
export { outboxStatus } from './status';
export type { OutboxStatus } from './status';
