export { participantActivities } from './activities';
export type { ParticipantActivities, ParticipantOptions } from './activities';
export type { Caller } from './branch-log';
export {
  BranchFencedError,
  BranchInProgressError,
  ForbiddenStatementError,
  InputMismatchError,
  InvalidResultError,
  NotCompensatableError,
  RefusalError,
  ResourceLockedError,
  SchemaVersionError,
  SwallowedFailureError,
} from './errors';
export { participantHealth } from './health';
export type { ParticipantHealth } from './health';
export { addTo } from './isolation/add-to';
export type { AddToOptions } from './isolation/add-to';
export { reread } from './isolation/reread';
export type { RereadOptions } from './isolation/reread';
export { semanticLock } from './isolation/semantic-lock';
export type { SemanticLockOptions } from './isolation/semantic-lock';
export { checkSchema, migrate, migrations } from './migrate';
export type { Migration } from './migrate';
export { defineParticipant, operation } from './operation';
export type { Operation, Participant } from './operation';
export { purge } from './purge';
export type { PurgeOptions } from './purge';
export { refuse } from './refuse';
export type { Tx } from './tx';
