export type {
  CompensationFate,
  Refusal,
  SagaCause,
  SagaReport,
  SettledSagaReport,
  StepFate,
  StepReport,
  TransactionOutcome,
} from '../protocol';
export { InvalidIdentifier, tellCompensation, tellFate } from '../protocol';
export { connectTemporal, temporalSettings } from './connect';
export type { TemporalSettings } from './connect';
export {
  InsecureTemporalConnection,
  RulingRefused,
  SearchAttributesMissing,
  TransactionCompensated,
  TransactionFailed,
  TransactionInputMismatch,
  TransactionInterrupted,
  TransactionMixed,
  TransactionNotFound,
  TransactionNotInterrupted,
} from './errors';
export { TransactionHandle } from './handle';
export type { Resolution, Ruling } from './handle';
export { checkSearchAttributes, registerSearchAttributes } from './search-attributes';
export { TransactionClient } from './transaction-client';
export type {
  StartOptions,
  TransactionClientOptions,
  TransactionListEntry,
  TransactionWorkflow,
} from './transaction-client';
