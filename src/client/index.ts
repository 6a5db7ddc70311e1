export type {
  AbortCause,
  AbortReason,
  Away,
  Branch,
  BranchOperation,
  BranchReport,
  CompensationFate,
  Decision,
  DecisionNotice,
  FinishFate,
  ParticipantProxy,
  ParticipantProxyOptions,
  Refusal,
  SagaCause,
  SagaReport,
  SettledSagaReport,
  StepFate,
  StepReport,
  ThreePhaseCommitReport,
  TransactionOutcome,
  TransactionReport,
  TryConfirmCancelReport,
  TwoPhaseCommitReport,
  Vote,
} from '../protocol';
export { branch, InvalidIdentifier, participant, tellCompensation, tellFate, tellFinish, tellVote } from '../protocol';
export { clientOn, connectTemporal, temporalSettings } from './connect';
export type { CheckedTemporalSettings, TemporalConnectionOptions, TemporalPlugin, TemporalSettings } from './connect';
export type { TransactionDataConverter } from './data-converter';
export { reachTemporal } from './reach';
export {
  AnswerUnreadable,
  ClientClosed,
  InsecureTemporalConnection,
  InvalidDataConverter,
  InvalidGrouping,
  InvalidInput,
  InvalidTemporalSettings,
  NoWorkerAnswers,
  QueueFull,
  RulingRefused,
  SearchAttributesMissing,
  TransactionAborted,
  TransactionCompensated,
  TransactionNotAttempted,
  InvalidPatience,
  ParticipantUnavailable,
  TemporalUnavailable,
  TemporalUnreachable,
  TransactionTimeout,
  TransactionFailed,
  TransactionGoesOn,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionMixed,
  TransactionNotFound,
  TransactionNotInterrupted,
} from './errors';
export type { GroupingOptions } from './grouping';
export type { TxnStatus } from '../observability';
export { namespaceIdOf } from './namespace-id';
export { TransactionHandle } from './handle';
export type { Resolution, Ruling } from './handle';
export type { WaitOptions } from './temporal-calls';
export { checkSearchAttributes, inspectSearchAttributes, registerSearchAttributes } from './search-attributes';
export type { SearchAttributesFound } from './search-attributes';
export { TransactionClient } from './transaction-client';
export type { VoteRequest } from './transaction-client';
export type {
  CommitOptions,
  ExecuteOptions,
  StartOptions,
  TransactionClientOptions,
  TransactionListEntry,
  TransactionWorkflow,
} from './transaction-client';
