export type {
  CompensationFate,
  Refusal,
  SagaCause,
  SagaReport,
  SettledSagaReport,
  StepFate,
  StepReport,
  StepRole,
  TransactionOutcome,
} from '../protocol';
export type { FreeAction, FreeCall, FreeStep } from './action';
export { reportQuery } from './board';
export { resolveUpdate, retryStepUpdate, skipStepUpdate } from './desk';
export type { ResolveRequest, RulingRequest } from './desk';
export { SagaDefinitionError, TransactionCompensated, TransactionMixed } from './errors';
export { refusalOf } from './failures';
export type { OnUnknown, SagaOptions, StepOptions } from './options';
export { participant } from './participant';
export type { BranchOperation, ParticipantProxy } from './participant';
export { saga } from './saga';
export type { Saga } from './saga';
export { beStrict } from './strict';
