/**
 * A state of three-phase commit, in a few bytes: the coordinator and the register, then each participant with its database, its
 * messages, and what it has heard of the others.
 */
import type { Decision, ParticipantState } from '../../../src/protocol';
import { get, put } from '../bytes';

export { get, has, put, set, unset } from '../bytes';

/** Where the coordinator is. */
export const Phase = {
  Collecting: 0,
  PreCommitting: 1,
  ProposingCommit: 2,
  ProposingAbort: 3,
  TellingCommit: 4,
  TellingAbort: 5,
  /** Closed, terminated or crashed: who hears nothing cannot tell. */
  Gone: 6,
} as const;

export const DECISIONS = ['none', 'commit', 'abort'] as const;
export const STATES = [
  'initial',
  'uncertain',
  'pre-committed',
  'committed',
  'aborted',
] as const satisfies readonly ParticipantState[];

/** A branch in its database. */
export const Db = { nothing: 0, prepared: 1, preCommitted: 2, committed: 3, aborted: 4 } as const;

/** The bytes of the coordinator, the register and the network. */
export const At = {
  phase: 0,
  /** Index into {@link DECISIONS}. */
  register: 1,
  /** 1: unreachable for everybody. */
  registerDown: 2,
  crashesLeft: 3,
  cutsLeft: 4,
  lateLeft: 5,
} as const;
const HEAD_BYTES = 6;

/** The bytes of a participant. Behind them there is one for each participant: what it heard of that one. */
export const Of = {
  /** Number of a position of the program; 0: it has not been asked. */
  position: 0,
  /** Index into {@link STATES}: what it answers when it is asked. */
  stand: 1,
  /** One of {@link Db}. */
  db: 2,
  /** Messages to it, bits of {@link Mail}. */
  mail: 3,
  /** What it has told the coordinator, bits of {@link Said}. */
  said: 4,
  /** 1: in a synchronous network, what the coordinator sends in this phase has been sent to it. */
  sent: 5,
  /** Bits of {@link Trouble}. */
  trouble: 6,
} as const;
const OWN_BYTES = 7;

/** Messages under way to a participant. */
export const Mail = { preCommit: 1, commit: 2, abort: 4, preCommitOfPeer: 8 } as const;
export const Said = { commit: 1, abort: 2, readOnly: 4, acknowledged: 8 } as const;
/** `crashed`: it was down once. `cut`: no message passes between it and anybody else. */
export const Trouble = { down: 1, crashed: 2, cut: 4 } as const;

/** Of a peer that was asked: nothing yet, no answer, or 2 + index into {@link STATES}. */
export const Heard = { nothing: 0, noAnswer: 1, state: 2 } as const;

const blockBytes = (count: number): number => OWN_BYTES + count;
export const bytesOf = (count: number): number => HEAD_BYTES + count * blockBytes(count);

/** Where the bytes are, for a number of participants. */
export class Layout {
  readonly #block: number;
  readonly #spare: Uint8Array;
  readonly #order: number[];

  constructor(readonly count: number) {
    this.#block = blockBytes(count);
    this.#spare = new Uint8Array(bytesOf(count));
    this.#order = Array.from({ length: count }, (_, i) => i);
  }

  at(who: number, field: number): number {
    return HEAD_BYTES + who * this.#block + field;
  }

  heardAt(who: number, peer: number): number {
    return this.at(who, OWN_BYTES + peer);
  }

  /** Participants differ in their names only: puts them into the order of their bytes. */
  sort(state: Uint8Array): void {
    const order = this.#order;
    let moved = false;
    for (let i = 0; i < this.count; i++) {
      let to = i;
      while (to > 0 && this.#isBefore(state, i, order[to - 1] ?? 0)) {
        order[to] = order[to - 1] ?? 0;
        to--;
        moved = true;
      }
      order[to] = i;
    }
    if (!moved) return;
    this.#spare.set(state);
    order.forEach((from, to) => {
      for (let field = 0; field < OWN_BYTES; field++)
        put(state, this.at(to, field), get(this.#spare, this.at(from, field)));
      order.forEach((peer, as) => put(state, this.heardAt(to, as), get(this.#spare, this.heardAt(from, peer))));
    });
  }

  #isBefore(state: Uint8Array, one: number, other: number): boolean {
    for (let field = 0; field < OWN_BYTES; field++) {
      const difference = get(state, this.at(one, field)) - get(state, this.at(other, field));
      if (difference !== 0) return difference < 0;
    }
    return false;
  }
}

export const registerOf = (state: Uint8Array): Decision | 'none' => DECISIONS[get(state, At.register)] ?? 'none';
