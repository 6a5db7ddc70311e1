/**
 * The coordinator around its ballot, as in `src/workflow/commit-run.ts` and `two-phases.ts`, and the operators who terminate and reset it. What
 * it has the branches do is in `attempts.ts`.
 */
import type { Attempts } from './attempts';
import { tokenOf } from './ballots';
import type { BallotMessage } from './ballots';
import type { TakeStep } from './engine';
import {
  At,
  at,
  Bit,
  bitsAt,
  clearSlot,
  Flag,
  get,
  has,
  Mail,
  moveSlot,
  Of,
  Phase,
  positionAt,
  put,
  set,
  Slot,
  unset,
} from './state';
import type { SlotNumber } from './state';
import type { World } from './world';

const MAIL = [
  [Mail.commit, 'commit', false],
  [Mail.abort, 'abort', false],
  [Mail.staleCommit, 'commit', true],
  [Mail.staleAbort, 'abort', true],
] as const;

export class Coordinator {
  constructor(
    private readonly world: World,
    private readonly attempts: Attempts,
  ) {}

  steps(state: Uint8Array, take: TakeStep): void {
    const phase = get(state, At.phase);
    if (phase === Phase.Collecting) for (const branch of this.world.branches) this.#receive(state, branch, take);
    if (phase === Phase.Committing || phase === Phase.Aborting) this.#close(state, take);
    this.#turns(state, take);
    // What it gives up on may have been asked for and not begun: then it begins late, or never.
    const underWay = this.attempts.underWay(state);
    if (underWay)
      this.#turns(underWay, (next, kind, narrate, broken) =>
        take(next, kind, () => `${narrate()} What it had asked for is still under way.`, broken),
      );
  }

  /** What makes it give up on attempts. */
  #turns(state: Uint8Array, take: TakeStep): void {
    const phase = get(state, At.phase);
    if (phase === Phase.Collecting) this.#closeBallot(state, take);
    if (phase === Phase.Committing && this.world.mechanisms.coordinator.heedsCancel === 'always')
      this.#turnBack(state, take);
    if (get(state, At.terminationsLeft) > 0 && phase <= Phase.Aborting) this.#terminate(state, take);
    if (get(state, At.resetsLeft) > 0) this.#reset(state, take);
  }

  /** Whether every branch has followed, or, where that is enough, waits for a person. */
  allFollowed(state: Uint8Array, orHeld: 'or held' | 'all'): boolean {
    const enough = orHeld === 'all' ? Flag.acked : Flag.acked | Flag.held;
    return this.world.branches.every(
      (branch) => this.attempts.mayRest(state, branch) || has(state, at(branch, Of.flags), enough),
    );
  }

  #receive(state: Uint8Array, branch: number, take: TakeStep): void {
    const { world } = this;
    const mail = get(state, at(branch, Of.mail));
    const run = get(state, At.run);
    for (const [bit, vote, stale] of MAIL) {
      if ((mail & bit) === 0) continue;
      const message: BallotMessage = { by: 'signal', branch, vote, token: tokenOf(stale ? run - 1 : run) };
      const what = `The coordinator receives the vote ${vote} of ${world.name(branch)}${stale ? ', of before the reset' : ''}`;
      const next = world.copied(state);
      unset(next, at(branch, Of.mail), bit);
      world.receive(next, message);
      take(next, 'progress', () => `${what}.`);
      if (get(state, At.faultsLeft) === 0) continue;
      const twice = world.spending(state, At.faultsLeft);
      world.receive(twice, message);
      take(twice, 'fault', () => `${what}; it will come once more.`);
    }
    if (get(state, At.forgeriesLeft) === 0) return;
    const next = world.spending(state, At.forgeriesLeft);
    const external = world.kinds[branch] === 'external';
    world.receive(next, { by: 'signal', branch, vote: 'commit', token: external ? 'guessed' : tokenOf(run) });
    const token = external ? 'a wrong token' : 'the right token';
    take(next, 'fault', () => `Somebody signals a vote to commit for ${world.name(branch)}, with ${token}.`);
  }

  #closeBallot(state: Uint8Array, take: TakeStep): void {
    const { world } = this;
    const { tally, close } = world.ballotsOf(state).at(get(state, At.ballot));
    if (tally === 'pending' && world.circumstances.timeout === 'never') return;
    const next = world.copied(state);
    const { aborts, tells } = world.mechanisms.coordinator;
    if (tells === 'before it decides') set(next, At.told, close === 'commit' ? 1 : 2);
    const atOnce = close === 'abort' && aborts === 'at once';
    const proposing = close === 'commit' ? Phase.ProposingCommit : Phase.ProposingAbort;
    put(next, At.phase, atOnce ? Phase.Aborting : proposing);
    // From here on no vote means anything, but that of a branch which has nothing to finish.
    if (!world.kinds.includes('read-only')) put(next, At.ballot, 0);
    this.#forgetProgress(next);
    if (get(next, At.resetsLeft) === 0) this.#forgetVotes(next);
    const does = `${tells === 'before it decides' ? 'tells the client, and ' : ''}${atOnce ? 'aborts' : `proposes to ${close}`}`;
    take(next, 'progress', () =>
      tally === 'pending'
        ? `The vote times out or the caller withdraws, and the coordinator ${does}.`
        : `The votes say ${tally}, and the coordinator ${does}.`,
    );
  }

  #close(state: Uint8Array, take: TakeStep): void {
    if (this.world.mechanisms.coordinator.closes === 'when all have followed' && !this.allFollowed(state, 'all'))
      return;
    const committed = get(state, At.phase) === Phase.Committing;
    const next = this.world.copied(state);
    put(next, At.phase, committed ? Phase.ClosedCommitted : Phase.ClosedAborted);
    set(next, At.told, committed ? 1 : 2);
    this.#forgetProgress(next);
    const outcome = committed ? 'committed' : 'aborted';
    take(next, 'progress', () => `The coordinator tells the client "${outcome}" and closes.`);
  }

  #turnBack(state: Uint8Array, take: TakeStep): void {
    const next = this.world.copied(state);
    put(next, At.phase, Phase.Aborting);
    this.#forgetProgress(next);
    this.#giveUpAll(next, Slot.finishing, Slot.finishingGivenUp);
    take(next, 'fault', () => 'The caller cancels, and the coordinator turns to aborting.');
  }

  #terminate(state: Uint8Array, take: TakeStep): void {
    const next = this.world.spending(state, At.terminationsLeft);
    put(next, At.phase, Phase.Terminated);
    this.#forgetProgress(next);
    if (get(next, At.resetsLeft) === 0) this.#forgetVotes(next);
    take(next, 'fault', () => 'An operator terminates the coordinator.');
  }

  #reset(state: Uint8Array, take: TakeStep): void {
    const next = this.world.spending(state, At.resetsLeft);
    put(next, At.phase, Phase.Collecting);
    put(next, At.run, 1);
    put(next, At.ballot, 0);
    this.#forgetProgress(next);
    this.#giveUpAll(next, Slot.preparing, Slot.givenUp);
    this.#giveUpAll(next, Slot.finishing, Slot.finishingGivenUp);
    for (const branch of this.world.branches) {
      if (get(next, positionAt(branch, Slot.givenUp)) > 0) set(next, bitsAt(branch, Slot.givenUp), Bit.stale);
      put(next, at(branch, Of.mail), get(state, at(branch, Of.mail)) << 2);
      this.#forgetVote(next, branch, Slot.givenUp);
    }
    take(next, 'fault', () => 'An operator resets the coordinator to its beginning.');
  }

  #forgetProgress(next: Uint8Array): void {
    for (const branch of this.world.branches)
      unset(next, at(branch, Of.flags), Flag.later | Flag.answered | Flag.acked | Flag.held);
  }

  /** Nobody will hear them any more. */
  #forgetVotes(next: Uint8Array): void {
    for (const branch of this.world.branches) {
      put(next, at(branch, Of.mail), 0);
      this.#forgetVote(next, branch, Slot.preparing);
      this.#forgetVote(next, branch, Slot.givenUp);
    }
  }

  /** An attempt that has voted and nobody waits for has nothing left to do. */
  #forgetVote(next: Uint8Array, branch: number, slot: SlotNumber): void {
    const position = get(next, positionAt(branch, slot));
    if (position > 0 && 'result' in this.world.automata.at(position)) clearSlot(next, branch, slot);
  }

  /** What is at work goes on, and nobody waits for it. Where one goes on already, that one dies. */
  #giveUpAll(next: Uint8Array, from: SlotNumber, to: SlotNumber): void {
    for (const branch of this.world.branches)
      if (get(next, positionAt(branch, from)) > 0) moveSlot(next, branch, from, to);
  }
}
