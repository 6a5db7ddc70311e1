export { outcomeOfBranches } from './atomic-commit';
export type {
  AbortCause,
  BranchReport,
  CommitPhase,
  CommitProtocol,
  CommitReport,
  DecisionNotice,
  FinishFate,
  SettledCommitReport,
  ThreePhaseCommitReport,
  TryConfirmCancelReport,
  TwoPhaseCommitReport,
} from './atomic-commit';
export { idInDatabases, idOfAttempt, MOST_ATTEMPTS, readAttempt } from './attempt';
export { Ballot } from './ballot';
export type { Reception, Voter } from './ballot';
export { FailureType } from './branch';
export type { BranchRequest, CompensateAnswer, ExecuteAnswer, QueryAnswer, Refusal } from './branch';
export { canonicalJson } from './canonical-json';
export { copyOf } from './copy';
export { crashpoint, CRASHPOINTS, onCrashpoint } from './crashpoint';
export type { CrashpointName } from './crashpoint';
export type { DeclaredOperation, DeclaredParticipant, DoableKind, OperationKind } from './declaration';
export { isTooDeep, MOST_INPUT_BYTES, MOST_LEVELS } from './depth';
export { InvalidIdentifier, InvalidTimeouts, show } from './errors';
export { GROUP_WORKFLOW, groupId, heirsOf, isGroupId, LARGEST_PAYLOAD_BYTES, MANY } from './group';
export type {
  AskedOfMany,
  CarriedTrace,
  GroupAnswer,
  GroupItem,
  GroupOutcome,
  GroupRequest,
  ManyAnswer,
  ManyAnswers,
  ManyRequest,
  ToldFailure,
} from './group';
export { ASKED_QUERY, asksTheSame, heritageOf, INHERIT_SIGNAL, readHeritage } from './heritage';
export type { AskedFor, AskedStep, Heritage } from './heritage';
export { abortBranch, commitBranch, decideAndFinish } from './finish';
export type { DecideReplies, Finished, FinishReplies } from './finish';
export { judge } from './in-doubt';
export type { InDoubt, Patience, Verdict } from './in-doubt';
export { askedBy, branch, colocatedActivity, participant, reservation } from './participant';
export type { Branch, BranchOperation, ParticipantProxy, ParticipantProxyOptions, Reservation } from './participant';
export { prepareBranch } from './prepare';
export type { Prepared, PrepareReplies, Row } from './prepare';
export { run } from './program';
export type { Driver, Program, Question } from './program';
export type {
  CompensationFate,
  SagaCause,
  SagaReport,
  SettledSagaReport,
  StepFate,
  StepReport,
  StepRole,
} from './saga';
export { allowsPlainText, isLoopback } from './loopback';
export { branchOfInterest, isEnded, isHeld, participantsOf } from './report';
export type { TransactionReport } from './report';
export { isGivenUp, needsAttention, outcomeOf, provesNothingToUndo, SagaJournal, stepOfInterest } from './saga-journal';
export type { NewStep, Step } from './saga-journal';
export { tellCompensation, tellFate, tellFinish, tellVote } from './tell';
export { participate, proposalOf } from './three-phase-commit';
export type { Participation, ParticipantReplies, ParticipantState, TerminationMode } from './three-phase-commit';
export {
  checkLocalTimeouts,
  DEFAULT_LOCAL_TIMEOUTS,
  DEFAULT_TIMEOUTS,
  LONGEST_LOCAL_MS,
  LONGEST_TIMEOUT_MS,
  longestSilenceMs,
} from './timeouts';
export type { LocalTimeouts } from './timeouts';
export { CIRCUITS_SINK, HEALTH, WHO_IS_AWAY } from './circuits';
export type { Away, Heard, ParticipantHealth } from './circuits';
export { AbortCode } from './voting';
export type {
  AbortReason,
  Ack,
  DecideAnswer,
  Decided,
  DecideRequest,
  FinishRequest,
  PrepareAnswer,
  PrepareRequest,
  RegisteredBranch,
  TryRequest,
  VoteMessage,
} from './voting';
export {
  parseBranchId,
  parseNewTransactionId,
  parseOperationName,
  parseParticipantName,
  parseTransactionId,
} from './words';
export type { BranchId, Decision, TransactionId, TransactionOutcome, Vote } from './words';
