/**
 * Two-phase commit with everything that can happen to it: the shipped programs of the branches, the shipped ballot and the
 * shipped judgement of recovery, over databases that behave as PostgreSQL does and activities that behave as Temporal's do.
 *
 * There is no clock: a timeout, a grace period and a delay may end at any moment. Databases keep what they acknowledged, unless
 * `hands` lets people and failovers interfere.
 *
 * @see Gray, Lamport: "Consensus on Transaction Commit", TODS 2006, whose appendix does the same in TLA+
 */
import { Attempts } from './attempts';
import { Coordinator } from './coordinator';
import type { System, TakeStep } from './engine';
import type { Mechanisms } from './mechanisms';
import { brokenPromise } from './promises';
import { Recovery } from './recovery';
import { At, at, Bit, bitsAt, get, has, Of, Phase, put, Slot, SLOTS, sortBranches, sortSlots } from './state';
import { World } from './world';
import type { Circumstances } from './world';

export class TwoPhaseCommit implements System {
  readonly #world: World;
  readonly #attempts: Attempts;
  readonly #coordinator: Coordinator;
  readonly #recovery: Recovery;

  constructor(circumstances: Circumstances, mechanisms?: Mechanisms) {
    this.#world = new World(circumstances, mechanisms);
    this.#attempts = new Attempts(this.#world);
    this.#coordinator = new Coordinator(this.#world, this.#attempts);
    this.#recovery = new Recovery(this.#world);
  }

  get size(): number {
    return this.#world.size;
  }

  start(): Uint8Array {
    const state = new Uint8Array(this.size);
    const { faults, moods, terminations, resets, forgeries, hands } = this.#world.circumstances;
    put(state, At.faultsLeft, faults);
    put(state, At.moodsLeft, moods);
    put(state, At.terminationsLeft, terminations);
    put(state, At.resetsLeft, resets);
    put(state, At.forgeriesLeft, forgeries);
    put(state, At.handsLeft, hands);
    return state;
  }

  expand(state: Uint8Array, take: TakeStep): void {
    this.#coordinator.steps(state, take);
    for (const branch of this.#world.branches) {
      this.#attempts.steps(state, branch, take);
      this.#recovery.steps(state, branch, take);
    }
  }

  brokenBy(state: Uint8Array): string | undefined {
    return brokenPromise(this.#world, state);
  }

  /** The coordinator is through, or waits for nothing but a person, and no database holds anything for it. */
  isEnd(state: Uint8Array): boolean {
    const phase = get(state, At.phase);
    const isHeld = this.#world.circumstances.hands > 0 && phase >= Phase.Committing;
    if (phase <= Phase.Aborting && !(isHeld && this.#coordinator.allFollowed(state, 'or held'))) return false;
    return this.#world.branches.every(
      (branch) =>
        get(state, at(branch, Of.prepared)) === 0 && SLOTS.every((slot) => !has(state, bitsAt(branch, slot), Bit.open)),
    );
  }

  /** Attempts that nobody waits for are alike, and so are two branches of which neither is the primary. */
  canonize(state: Uint8Array): void {
    const { kinds, branches } = this.#world;
    const phase = get(state, At.phase);
    for (const branch of branches) {
      if (phase !== Phase.Collecting) sortSlots(state, branch, Slot.preparing);
      if (phase > Phase.Aborting) sortSlots(state, branch, Slot.finishing);
    }
    if (branches.length === 3 && kinds[1] === kinds[2] && sortBranches(state, 1))
      put(state, At.ballot, this.#world.ballotsOf(state).swapped(get(state, At.ballot), 1, 2));
  }
}
