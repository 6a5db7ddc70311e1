/**
 * What is kept for a workflow beside its variables. Workers load the modules of this room once for all workflows of a thread, because each
 * would spend much of its memory and of its first task on modules of its own (see `workflowBundleOptions` of temporal-txn/worker). So a
 * module keeps nothing itself: it would be everybody's.
 */

// Temporal gives each workflow global properties of its own, and takes them away with it.
const slot = globalThis as { [key: symbol]: Map<symbol, object> | undefined };
const KEPT = Symbol.for('temporal-txn.kept');

/**
 * Keeps one object for each workflow.
 *
 * @param make makes it, when the workflow first asks for it
 * @returns what gives that of the workflow whose code runs now
 * @example const kept = perWorkflow(() => ({ open: false }));
 */
export function perWorkflow<T extends object>(make: () => T): () => T {
  const key = Symbol('kept');
  return () => {
    const all = (slot[KEPT] ??= new Map());
    const known = all.get(key) as T | undefined; // Cast: this function has put it there.
    if (known) return known;
    const made = make();
    all.set(key, made);
    return made;
  };
}
