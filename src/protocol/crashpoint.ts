/**
 * Named points at which a fault test stops, delays or kills the process. They are the vocabulary that code, tests and docs
 * share; for users each one is a look at an empty slot.
 */

type Hook = (name: CrashpointName) => Promise<void> | void;

/** Every point there is, in the order in which a transaction passes them. */
export type CrashpointName =
  /** The branch-log row is inserted, the business statements have not run. */
  | 'branch.logged-before-work'
  /** All is written, nothing is committed. */
  | 'branch.before-commit'
  /** Committed, and nobody has been told. */
  | 'branch.committed-before-report'
  | 'compensation.before-commit'
  | 'compensation.committed-before-report';

const slot = globalThis as { [key: symbol]: Hook | undefined };
const HOOK = Symbol.for('temporal-txn.crashpoint');

/** Passes a crash point. */
export async function crashpoint(name: CrashpointName): Promise<void> {
  await slot[HOOK]?.(name);
}

/** Installs what happens at crash points, or takes it away. For the test kit. */
export function onCrashpoint(hook: Hook | undefined): void {
  slot[HOOK] = hook;
}
