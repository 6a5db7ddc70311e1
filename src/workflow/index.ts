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
  TransactionReport,
  TwoPhaseCommitReport,
  AbortCause,
  AbortReason,
  BranchReport,
  Decision,
  DecisionNotice,
  FinishFate,
  SettledCommitReport,
  ThreePhaseCommitReport,
  TryConfirmCancelReport,
  Vote,
} from '../protocol';
export type { FreeAction, FreeCall, FreeStep } from './action';
export { reportQuery } from './board';
export type { AnyBranch, ExternalBranch, ExternalRequest, ResultsOf } from './branches';
export { coordinateTwoPhaseCommit } from './coordinator';
export type { TwoPhaseCommitRequest } from './coordinator';
export { decisionUpdate } from './decision';
export { resolveUpdate, retryStepUpdate, skipStepUpdate } from './desk';
export type { ResolveRequest, RulingRequest } from './desk';
export {
  SagaDefinitionError,
  TransactionAborted,
  TransactionCompensated,
  TransactionDefinitionError,
  TransactionMixed,
  TransactionNotAttempted,
} from './errors';
export { refusalOf } from './failures';
export { groupOf } from './group/run-group';
export type { GroupOptions } from './group/run-group';
export type { OnUnknown, SagaOptions, StepOptions } from './options';
export { branch, participant, reservation } from '../protocol';
export type { Branch, BranchOperation, ParticipantProxy, ParticipantProxyOptions, Reservation } from '../protocol';
export { recoverParticipant, recoveryQuery } from './recovery';
export type { RecoveryOptions, RecoveryReport, WaitingBranch } from './recovery';
export { relayOutbox, relayQuery } from './relay';
export type { RelayReport, RelayWorkflowOptions } from './relay';
export { saga } from './saga';
export type { Saga } from './saga';
export { beStrict } from './strict';
export { threePhaseCommit } from './three-phase-commit';
export { participateInThreePhaseCommit } from './three-phase-participant';
export type { ParticipationReport, ParticipationRequest } from './three-phase-messages';
export { tryConfirmCancel } from './try-confirm-cancel';
export type { Hold, TryConfirmCancelOptions } from './reserving';
export { twoPhaseCommit } from './two-phase-commit';
export type {
  ThreePhaseCommitOptions,
  ThreePhaseCommitTimeouts,
  TwoPhaseCommitOptions,
  TwoPhaseCommitTimeouts,
} from './commit-options';
export { ackSignal, voteSignal } from './votes';
