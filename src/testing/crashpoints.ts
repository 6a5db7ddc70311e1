/**
 * What happens at the named crash points of the code under test: the process is killed, the attempt fails, or it is held up.
 * Loaded into a worker process before anything else (`node --require …/crashpoints-preload`), it takes its orders from
 * TXN_CRASHPOINT, so that the code under test has no line for it.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { onCrashpoint } from '../protocol';
import type { CrashpointName } from '../protocol';

/** What to do at a crash point. */
export type CrashAction =
  /** SIGKILL: nothing is cleaned up. */
  | { readonly kind: 'kill' }
  /** The attempt fails with an error. */
  | { readonly kind: 'fail' }
  /** The attempt waits, in milliseconds, and goes on: a zombie, when others have given it up. */
  | { readonly kind: 'delay'; readonly ms: number };

export interface CrashOrder {
  readonly at: CrashpointName;
  readonly action: CrashAction;
  /** At which passage of the point, counted from 1. Other passages are left alone. @default 1 */
  readonly passage?: number;
}

/**
 * Sets what happens at crash points in this process. Returns the way back.
 *
 * @example const disarm = armCrashpoints([{ at: 'branch.before-commit', action: { kind: 'fail' } }]);
 */
export function armCrashpoints(orders: readonly CrashOrder[]): () => void {
  const passages = new Map<CrashpointName, number>();
  onCrashpoint(async (name) => {
    const passage = (passages.get(name) ?? 0) + 1;
    passages.set(name, passage);
    const order = orders.find((candidate) => candidate.at === name && (candidate.passage ?? 1) === passage);
    if (order) await carryOut(order);
  });
  return () => onCrashpoint(undefined);
}

async function carryOut({ at, action }: CrashOrder): Promise<void> {
  switch (action.kind) {
    case 'kill':
      note(at);
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => undefined); // The signal comes; nothing after this line may run.
    case 'fail':
      throw new Error(`crash point ${at}`);
    case 'delay':
      await sleep(action.ms);
  }
}

/** Leaves word in the file that TXN_CRASHPOINT_LOG names: a test must know that its process was killed where it meant to. */
function note(at: CrashpointName): void {
  const file = process.env['TXN_CRASHPOINT_LOG'];
  if (file !== undefined) appendFileSync(file, `${at}\n`);
}

/** Reads orders from the environment: a JSON list of {@link CrashOrder}. */
export function crashOrdersFrom(text: string | undefined): readonly CrashOrder[] {
  return text === undefined || text === '' ? [] : (JSON.parse(text) as CrashOrder[]);
}
