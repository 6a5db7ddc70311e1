export { acceptancesOf, recordAcceptance } from './acceptance';
export type { Acceptance, RecordedAcceptance } from './acceptance';
export { colocatedActivities, participantActivities } from './activities';
export type { ParticipantActivities, ParticipantActivityOptions } from './activities';
export { branchesOf, decisionsOf, heuristicsOf, pageOfDecisions, preparationsOf, recordHeuristic } from './audit';
export type { AuditedBranch, AuditedDecision, AuditedPreparation, Heuristic, RecordedHeuristic } from './audit';
export type { Caller } from './branch-log';
export {
  BranchFencedError,
  BranchInProgressError,
  DatabaseSilentError,
  DecisionMismatchError,
  ForbiddenStatementError,
  GroupResetError,
  InsecureDatabaseConnectionError,
  InvalidDatabaseSettingsError,
  InputMismatchError,
  InvalidGidError,
  InvalidResultError,
  InputTooDeepError,
  MigrationBlockedError,
  MissingRightsError,
  MissingTableError,
  NotCompensatableError,
  PreparedElsewhereError,
  PreparedTransactionsDisabledError,
  RefusalError,
  ResourceLockedError,
  SchemaVersionError,
  StandbyError,
  SwallowedFailureError,
} from './errors';
export type { MissingRight } from './errors';
export { branchKeyOf, gidOf, keyOf, parseGid, readGid, scopeOf } from './gid';
export type { Gid, GidParts, TransactionKey } from './gid';
export { checkDatabase } from './check-database';
export { cutWhenSilent } from './cut-when-silent';
export { checkDatabaseConnection } from './database-connection';
export { participantHealth } from './health';
export { keepCircuits, latestRulings, recordRuling, reportedCircuits } from './circuits';
export type { CircuitRuling, CircuitToKeep, ReportedCircuit } from './circuits';
export { isConnectionLost, participantCircuit } from './own-circuit';
export { circuit, CircuitOpen, InvalidCircuit } from '../resilience';
export type { Circuit, CircuitOptions, CircuitReport, Trip } from '../resilience';
export type { ParticipantHealth } from './health';
export { addTo } from './isolation/add-to';
export type { AddToOptions } from './isolation/add-to';
export { reread } from './isolation/reread';
export type { RereadOptions } from './isolation/reread';
export { semanticLock } from './isolation/semantic-lock';
export type { SemanticLockOptions } from './isolation/semantic-lock';
export { inLocalTransaction } from './local-transaction';
export type { LocalTransactionOptions } from './local-transaction';
export { checkSchema, migrate, migrations } from './migrate';
export type { Migration } from './migrate';
export { defineParticipant, operation } from './operation';
export type { Operation, Participant } from './operation';
export { finishPrepared, listPrepared, readSlots } from './prepared';
export type { PreparedBranch, PreparedTransaction, Slots, Viewer } from './prepared';
export { purge } from './purge';
export type { PurgeOptions } from './purge';
export { purgeDecisions } from './purge-decisions';
export type { PurgeDecisionsOptions } from './purge-decisions';
export { settledIn } from './settled-in';
export { lookAtPrepared, settle, survey } from './recovery';
export type { OverdueBranch, Settleable, Survey } from './recovery';
export { refuse } from './refuse';
export {
  grantWorker,
  missingRights,
  PARTICIPANT_RIGHTS,
  PURGE_RIGHTS,
  RELAY_RIGHTS,
  WORKER_RIGHTS,
  workerGrants,
} from './roles';
export type { Privilege, TableRights } from './roles';
export { decide, decisionFor, readDecision, readDecisionByKey } from './register';
export type { Proposal, Registered } from './register';
export type { ManyCall, ManyTx, Tx } from './tx';
