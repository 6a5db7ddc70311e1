/** What the test kit offers, name by name. */
export { findBinary } from './binaries/find';
export type { FindBinaryOptions } from './binaries/find';
export type { BinaryName } from './binaries/pins';
export { crashOrdersFrom } from './crash-orders';
export type { CrashAction, CrashOrder } from './crash-orders';
export { armCrashpoints, giveCrashOrders } from './crashpoints';
export { bundleWorkflows, TransactionTestEnvironment } from './environment';
export type { Activities, TransactionTestEnvironmentOptions } from './environment';
export {
  BinaryNotFound,
  BinaryUnusable,
  DirectoryInUse,
  PostgresUnavailable,
  ProcessNotReady,
  WrongCrashOrder,
  WrongServerState,
} from './errors';
export type { Attempt } from './errors';
export { freePort } from './free-port';
export { PostgresFaultProxy } from './postgres/fault-proxy';
export type { PostgresFaultProxyOptions } from './postgres/fault-proxy';
export type { Fault, InjectedFault, Injection, StruckStatement } from './postgres/faults';
export { PostgresServer } from './postgres/server';
export { makePostgresTemplate } from './postgres/template';
export type { DatabaseAddress, PostgresServerOptions } from './postgres/server';
export type { Answer } from './postgres/wire';
export { lockDirectory } from './processes/directory-lock';
export type { DirectoryLock } from './processes/directory-lock';
export { outputFromNow } from './processes/output';
export { GuardedProcess, spawnGuarded } from './processes/spawn';
export type { Exit, SpawnGuardedOptions } from './processes/spawn';
export { TemporalDevServer } from './temporal/dev-server';
export type { TemporalDevServerOptions } from './temporal/dev-server';
export { registerSearchAttributes } from './temporal/search-attributes';
export type { SearchAttribute } from './temporal/search-attributes';
export { startTimeSkipping } from './temporal/time-skipping';
export type { TimeSkippingOptions } from './temporal/time-skipping';
