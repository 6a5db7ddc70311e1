/**
 * A state of everything at once, in a few bytes: the coordinator, then each branch with its database, its votes under way
 * and the attempts at work on it.
 */
import { get, put } from './bytes';

export { get, has, put, set, unset } from './bytes';

/** Where the coordinator is. */
export const Phase = {
  Collecting: 0,
  ProposingCommit: 1,
  ProposingAbort: 2,
  Committing: 3,
  Aborting: 4,
  ClosedCommitted: 5,
  ClosedAborted: 6,
  Terminated: 7,
} as const;

/** What is committed under a branch's key, by the number that is stored. */
export const ROWS = ['none', 'applied', 'refused', 'fenced'] as const;
export const DECISIONS = ['none', 'commit', 'abort'] as const;

/** The bytes of the coordinator, and what may still happen to it. */
export const At = {
  phase: 0,
  /** 1 after a reset. */
  run: 1,
  /** Index into {@link DECISIONS}. */
  register: 2,
  ballot: 3,
  /** Bits: the client was told `committed`, `aborted`. */
  told: 4,
  faultsLeft: 5,
  moodsLeft: 6,
  terminationsLeft: 7,
  resetsLeft: 8,
  forgeriesLeft: 9,
  handsLeft: 10,
} as const;
const COORDINATOR_BYTES = 11;

/** The bytes of a branch. */
export const Of = {
  /** Index into {@link ROWS}. */
  row: 0,
  /** Which gids are prepared, a bit each. */
  prepared: 1,
  /** How often the work has been committed. */
  effects: 2,
  /** Votes under way, bits of {@link Mail}. */
  mail: 3,
  /** Bits of {@link Flag}. */
  flags: 4,
} as const;

/** Votes under way, of the current run of the coordinator and of the one before a reset. */
export const Mail = { commit: 1, abort: 2, staleCommit: 4, staleAbort: 8 } as const;

export const Flag = {
  /** The next attempt to prepare is not the first. */
  later: 1,
  /** The activity that prepares has completed. */
  answered: 2,
  /** The branch has followed the decision. */
  acked: 4,
  /** It has voted `abort`. */
  objected: 8,
  /** It has recorded that it is being prepared. */
  recorded: 16,
  /** It waits for a person. */
  held: 32,
} as const;

/** Attempts that can be at work on a branch. One that was given up goes on beside its retry. */
export const Slot = { preparing: 0, givenUp: 1, finishing: 2, finishingGivenUp: 3, recovering: 4 } as const;
export const SLOTS = [0, 1, 2, 3, 4] as const;
export type SlotNumber = (typeof SLOTS)[number];
/** A slot has the position in its program, and these bits. */
export const Bit = {
  /** It has an open transaction with the branch's row. */
  open: 1,
  /** A statement has failed in that one. */
  failed: 2,
  /** It has signalled its vote. */
  signalled: 4,
  /** It was asked by the run before the reset. */
  stale: 8,
  /** Its number among the attempts, where that is part of the gid: 0 or 1. */
  second: 16,
} as const;

const FIRST_SLOT = 5;
const BRANCH_BYTES = FIRST_SLOT + 2 * SLOTS.length;

export const bytesOf = (branches: number): number => COORDINATOR_BYTES + branches * BRANCH_BYTES;
export const at = (branch: number, field: number): number => COORDINATOR_BYTES + branch * BRANCH_BYTES + field;
export const positionAt = (branch: number, slot: number): number => at(branch, FIRST_SLOT + 2 * slot);
export const bitsAt = (branch: number, slot: number): number => positionAt(branch, slot) + 1;

export function clearSlot(state: Uint8Array, branch: number, slot: number): void {
  state[positionAt(branch, slot)] = 0;
  state[bitsAt(branch, slot)] = 0;
}
export function moveSlot(state: Uint8Array, branch: number, from: number, to: number): void {
  state[positionAt(branch, to)] = get(state, positionAt(branch, from));
  state[bitsAt(branch, to)] = get(state, bitsAt(branch, from));
  clearSlot(state, branch, from);
}

/** Puts two branches, or two neighbouring slots, into order. Returns whether they changed places. */
export function sortBranches(state: Uint8Array, one: number): boolean {
  return sortBlocks(state, at(one, 0), BRANCH_BYTES);
}
export function sortSlots(state: Uint8Array, branch: number, one: number): void {
  sortBlocks(state, positionAt(branch, one), 2);
}

/** Of two blocks side by side, the smaller one first. */
function sortBlocks(state: Uint8Array, first: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    const difference = get(state, first + i) - get(state, first + length + i);
    if (difference < 0) return false;
    if (difference === 0) continue;
    for (let j = i; j < length; j++) {
      const kept = get(state, first + j);
      put(state, first + j, get(state, first + length + j));
      put(state, first + length + j, kept);
    }
    return true;
  }
  return false;
}
