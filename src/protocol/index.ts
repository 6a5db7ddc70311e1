export { FailureType } from './branch';
export type { BranchRequest, CompensateAnswer, ExecuteAnswer, QueryAnswer, Refusal } from './branch';
export { canonicalJson } from './canonical-json';
export { crashpoint, onCrashpoint } from './crashpoint';
export type { CrashpointName } from './crashpoint';
export type { DeclaredOperation, DeclaredParticipant, OperationKind } from './declaration';
export { InvalidIdentifier, InvalidTimeouts, show } from './errors';
export type {
  CompensationFate,
  SagaCause,
  SagaReport,
  SettledSagaReport,
  StepFate,
  StepReport,
  StepRole,
} from './saga';
export { isEnded, needsAttention, outcomeOf, SagaJournal, stepOfInterest } from './saga-journal';
export type { NewStep, Step } from './saga-journal';
export { tellCompensation, tellFate } from './tell';
export { checkLocalTimeouts, DEFAULT_LOCAL_TIMEOUTS } from './timeouts';
export type { LocalTimeouts } from './timeouts';
export { parseBranchId, parseOperationName, parseParticipantName, parseTransactionId } from './words';
export type { BranchId, TransactionId, TransactionOutcome } from './words';
