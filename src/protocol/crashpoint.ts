/**
 * Named points at which a fault test stops, delays or kills the process. They are the vocabulary that code, tests and docs
 * share; for users each one is a look at an empty slot.
 */

/** Every point there is, in the order in which a transaction passes them. */
export const CRASHPOINTS = [
  /** The branch-log row is inserted, the business statements have not run. */
  'branch.logged-before-work',
  /** All is written, nothing is committed. */
  'branch.before-commit',
  /** Committed, and nobody has been told. */
  'branch.committed-before-report',
  'compensation.before-commit',
  'compensation.committed-before-report',
  /** The work is done, PREPARE TRANSACTION is not sent. */
  'two-phase.before-prepare',
  /** Prepared, and nobody has been told. */
  'two-phase.prepared-before-vote',
  /** The vote is sent as a signal, and not yet given as an answer. */
  'two-phase.voted-before-answer',
  /** The branch is refused for ever, and nobody has been told. */
  'two-phase.refused-before-vote',
  /** The decision is in the register, and no branch has followed it. */
  'two-phase.decided-before-finish',
  /** At the primary: its own branch has followed the decision, and nobody has been told. */
  'two-phase.finished-before-report',
  /** Another branch has committed or is rolled back, and nobody has been told. */
  'two-phase.committed-before-ack',
  'two-phase.rolled-back-before-tombstone',
  'two-phase.aborted-before-ack',
  /** Recovery has finished a branch, and nobody has been told. */
  'two-phase.recovered-before-report',
  /** Three-phase commit: a branch is pre-committed, and nobody has been told. */
  'three-phase.pre-committed-before-ack',
  /** Try-confirm-cancel: the branch-log row is inserted, the try has not run. */
  'try.logged-before-work',
  /** Reserved, and nobody has been told. */
  'try.committed-before-vote',
  'confirm.before-commit',
  'confirm.committed-before-report',
  'cancel.before-commit',
  'cancel.committed-before-report',
  /** Many branches are done, and nobody has been told of any. */
  'many.done-before-report',
  /** Outbox: events are read, nothing is published. */
  'outbox.claimed-before-publish',
  /** Published, and not marked: they will be published again. */
  'outbox.published-before-mark',
] as const;

export type CrashpointName = (typeof CRASHPOINTS)[number];

type Hook = (name: CrashpointName) => Promise<void> | void;

const slot = globalThis as { [key: symbol]: Hook | undefined };
const HOOK = Symbol.for('temporal-txn.crashpoint');

/** Passes a crash point. */
export async function crashpoint(name: CrashpointName): Promise<void> {
  const hook = slot[HOOK];
  if (hook) await hook(name);
}

/** Installs what happens at crash points, or takes it away. For the test kit. */
export function onCrashpoint(hook: Hook | undefined): void {
  slot[HOOK] = hook;
}
