/**
 * Activities as Temporal runs them, at least once: an attempt may die between any two questions, be given up for dead and go on
 * beside its retry, or have its completion lost.
 *
 * A step that only the attempt itself can notice is taken together with the one before it: whatever else happens in between
 * could as well happen before or after both.
 */
import type { Ack, Decision } from '../../src/protocol';
import type { Position, Result } from './automaton';
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
  SLOTS,
  unset,
} from './state';
import type { SlotNumber } from './state';
import type { World } from './world';

const ATTEMPTS: Record<SlotNumber, string> = {
  [Slot.preparing]: 'the attempt to prepare',
  [Slot.givenUp]: 'the attempt to prepare that was given up',
  [Slot.finishing]: 'the attempt to finish',
  [Slot.finishingGivenUp]: 'the attempt to finish that was given up',
  [Slot.recovering]: 'recovery',
};

type Asking = Extract<Position, { readonly ask: string }>;

export class Attempts {
  constructor(private readonly world: World) {}

  steps(state: Uint8Array, branch: number, take: TakeStep): void {
    this.#begin(state, branch, take);
    for (const slot of SLOTS) if (get(state, positionAt(branch, slot)) > 0) this.#goOn(state, branch, slot, take);
  }

  /** Whether a branch has nothing to finish. */
  mayRest(state: Uint8Array, branch: number): boolean {
    return this.world.ballotsOf(state).at(get(state, At.ballot)).votes[branch] === 'read-only';
  }

  /** With the attempts that have been asked for and not begun, which may begin whatever happens now. Undefined if there are none. */
  underWay(state: Uint8Array): Uint8Array | undefined {
    let begun: Uint8Array | undefined;
    for (const branch of this.world.branches)
      for (const slot of [Slot.preparing, Slot.finishing] as const)
        begun = this.#begun(begun ?? state, branch, slot) ?? begun;
    return begun;
  }

  #begin(state: Uint8Array, branch: number, take: TakeStep): void {
    for (const slot of [Slot.preparing, Slot.finishing] as const) {
      const begun = this.#begun(state, branch, slot);
      if (begun) this.#goOn(begun, branch, slot, take);
    }
  }

  #begun(state: Uint8Array, branch: number, slot: SlotNumber): Uint8Array | undefined {
    const { mechanisms, roots } = this.world;
    const root = slot === Slot.preparing ? this.#prepareRoot(state, branch) : this.#finishRoot(state, branch);
    if (root === 0) return undefined;
    const begun = state.slice();
    put(begun, positionAt(branch, slot), root);
    if (slot === Slot.finishing) return begun;
    const flags = at(branch, Of.flags);
    if (mechanisms.gid === 'of the attempt' && has(state, flags, Flag.later))
      set(begun, bitsAt(branch, slot), Bit.second);
    if (root !== roots.prepare.readOnly) set(begun, flags, Flag.recorded);
    return begun;
  }

  #prepareRoot(state: Uint8Array, branch: number): number {
    if (get(state, At.phase) !== Phase.Collecting || get(state, positionAt(branch, Slot.preparing)) > 0) return 0;
    const flags = at(branch, Of.flags);
    if (has(state, flags, Flag.answered)) return 0;
    const { prepare } = this.world.roots;
    if (this.world.kinds[branch] === 'read-only') return prepare.readOnly;
    return has(state, flags, Flag.later) ? prepare.later : prepare.first;
  }

  /** The program that the coordinator has run at the branch now, or 0. */
  #finishRoot(state: Uint8Array, branch: number): number {
    if (get(state, positionAt(branch, Slot.finishing)) > 0) return 0;
    const { finish, finishReadOnly, decide } = this.world.roots;
    const phase = get(state, At.phase);
    if (phase === Phase.ProposingCommit) return branch === 0 ? decide.commit : 0;
    if (phase === Phase.ProposingAbort) return branch === 0 ? decide.abort : 0;
    if (phase !== Phase.Committing && phase !== Phase.Aborting) return 0;
    if (has(state, at(branch, Of.flags), Flag.acked | Flag.held) || this.mayRest(state, branch)) return 0;
    if (this.world.kinds[branch] === 'read-only' && this.world.mechanisms.readOnlyBranch === 'answers that it is done')
      return finishReadOnly;
    return phase === Phase.Committing ? finish.commit : finish.abort;
  }

  #goOn(state: Uint8Array, branch: number, slot: SlotNumber, take: TakeStep): void {
    const position = this.world.automata.at(get(state, positionAt(branch, slot)));
    if ('ask' in position) this.#ask(state, branch, slot, position, take);
    else this.#answer(state, branch, slot, position.result, take);
    if (get(state, At.faultsLeft) === 0) return;
    this.#die(state, branch, slot, take);
    this.#giveUp(state, branch, slot, take);
  }

  #die(state: Uint8Array, branch: number, slot: SlotNumber, take: TakeStep): void {
    const next = this.world.spending(state, At.faultsLeft);
    this.#end(next, branch, slot);
    take(next, 'fault', () => `${this.#who(state, branch, slot)} dies, and its session with it.`);
  }

  #giveUp(state: Uint8Array, branch: number, slot: SlotNumber, take: TakeStep): void {
    if (slot !== Slot.preparing && slot !== Slot.finishing) return;
    const to = slot === Slot.preparing ? Slot.givenUp : Slot.finishingGivenUp;
    if (!this.#isLive(state, slot) || get(state, positionAt(branch, to)) > 0) return;
    const next = this.world.spending(state, At.faultsLeft);
    moveSlot(next, branch, slot, to);
    if (slot === Slot.preparing) set(next, at(branch, Of.flags), Flag.later);
    take(next, 'fault', () => `${this.#who(state, branch, slot)} is given up for dead, but goes on.`);
  }

  /** Whether the coordinator still waits for what the attempt comes to. */
  #isLive(state: Uint8Array, slot: SlotNumber): boolean {
    const phase = get(state, At.phase);
    if (slot === Slot.preparing) return phase === Phase.Collecting;
    return slot === Slot.finishing && phase > Phase.Collecting && phase <= Phase.Aborting;
  }

  #ask(state: Uint8Array, branch: number, slot: SlotNumber, position: Asking, take: TakeStep): void {
    this.world.databases.ask(state, branch, slot, position, ({ answer, event, mood, broken }, next) => {
      if (mood) put(next, At.moodsLeft, get(state, At.moodsLeft) - 1);
      const { after, events } = this.#alone(next, branch, slot, follow(position, answer), [event]);
      put(next, positionAt(branch, slot), after);
      const reached = this.world.automata.at(after);
      const told: TakeStep = (to, kind, narrate, worse) =>
        take(
          to,
          mood ? 'fault' : kind,
          () => `${this.#who(state, branch, slot)} ${events.join(', ')}${narrate()}.`,
          broken ?? worse,
        );
      if ('ask' in reached) told(next, 'progress', () => '');
      else this.#reach(next, branch, slot, reached.result, told);
    });
  }

  /** Goes on as long as nobody else can tell. */
  #alone(
    next: Uint8Array,
    branch: number,
    slot: SlotNumber,
    from: number,
    events: readonly string[],
  ): { readonly after: number; readonly events: readonly string[] } {
    const position = this.world.automata.at(from);
    if (!('ask' in position)) return { after: from, events };
    switch (position.ask) {
      case 'register':
        return branch === 0
          ? { after: from, events }
          : this.#alone(next, branch, slot, follow(position, 'none'), events);
      case 'work':
        return get(next, At.moodsLeft) > 0
          ? { after: from, events }
          : this.#alone(next, branch, slot, follow(position, 'done'), [...events, 'does the work']);
      case 'rollback':
        unset(next, bitsAt(branch, slot), Bit.open | Bit.failed);
        return this.#alone(next, branch, slot, follow(position, 'done'), [...events, 'rolls back']);
      default:
        return { after: from, events };
    }
  }

  /** The program has come to its result, which the coordinator may hear of, now, later or never. */
  #reach(next: Uint8Array, branch: number, slot: SlotNumber, result: Result, take: TakeStep): void {
    if (typeof result === 'object' && 'vote' in result) return this.#vote(next, branch, slot, result.vote, take);
    const ack = ackOf(result);
    const live = this.#isLive(next, slot);
    clearSlot(next, branch, slot);
    const bad =
      ack === undefined || ack === 'again' || ack.kind === 'applied' || this.world.circumstances.hands > 0
        ? undefined
        : `a branch answers "${ack.kind}", and nobody had touched it`;
    if (!live || ack === undefined || ack === 'again') return take(next, 'progress', () => '', bad);
    if (get(next, At.faultsLeft) > 0) {
      put(next, At.faultsLeft, get(next, At.faultsLeft) - 1);
      take(next, 'fault', () => ', and its answer is lost', bad);
      put(next, At.faultsLeft, get(next, At.faultsLeft) + 1);
    }
    if (typeof result === 'object' && 'decision' in result) this.#obey(next, result.decision);
    const decision = get(next, At.phase) === Phase.Committing ? 'commit' : 'abort';
    const followed = ack.kind === 'applied' || (ack.kind === 'heuristic' && ack.took === decision);
    set(next, at(branch, Of.flags), followed ? Flag.acked : Flag.held);
    take(next, 'progress', () => `, and answers: ${followed ? 'done' : ack.kind}`, bad);
  }

  #obey(next: Uint8Array, decided: Decision): void {
    const proposed = get(next, At.phase) === Phase.ProposingCommit ? 'commit' : 'abort';
    const decision = this.world.mechanisms.coordinator.obeys === 'the register' ? decided : proposed;
    put(next, At.phase, decision === 'commit' ? Phase.Committing : Phase.Aborting);
  }

  /** It signals its vote. What it has to answer waits in its slot. */
  #vote(
    next: Uint8Array,
    branch: number,
    slot: SlotNumber,
    vote: 'commit' | 'abort' | 'read-only' | 'again',
    take: TakeStep,
  ): void {
    const live = this.#isLive(next, slot);
    if (vote === 'again') {
      this.#end(next, branch, slot);
      return take(next, 'progress', () => ', and has to be tried again');
    }
    const heard = get(next, At.phase) === Phase.Collecting || get(next, At.resetsLeft) > 0;
    const signals = heard && vote !== 'read-only' && this.world.circumstances.votes === 'signal';
    if (!signals) {
      if (!live) clearSlot(next, branch, slot);
      return take(next, 'progress', () => '');
    }
    if (get(next, At.faultsLeft) > 0) this.#dieBeforeVote(next, branch, slot, take);
    const stale = has(next, bitsAt(branch, slot), Bit.stale);
    if (get(next, At.phase) <= Phase.Aborting)
      set(next, at(branch, Of.mail), stale ? Mail[vote === 'commit' ? 'staleCommit' : 'staleAbort'] : Mail[vote]);
    if (vote === 'abort') set(next, at(branch, Of.flags), Flag.objected);
    if (!live) clearSlot(next, branch, slot);
    take(next, 'progress', () => `, and signals its vote: ${vote}`);
  }

  #dieBeforeVote(next: Uint8Array, branch: number, slot: SlotNumber, take: TakeStep): void {
    const dead = next.slice();
    put(dead, At.faultsLeft, get(next, At.faultsLeft) - 1);
    this.#end(dead, branch, slot);
    take(dead, 'fault', () => ', and dies before it votes');
  }

  /** The attempt that has voted completes, unless the coordinator has given up waiting. */
  #answer(state: Uint8Array, branch: number, slot: SlotNumber, result: Result, take: TakeStep): void {
    if (typeof result !== 'object' || !('vote' in result) || result.vote === 'again')
      return this.#reach(state.slice(), branch, slot, result, (next, kind, narrate, broken) =>
        take(next, kind, () => `${this.#who(state, branch, slot)} has nothing to do${narrate()}.`, broken),
      );
    const { vote } = result;
    const next = this.world.copied(state);
    clearSlot(next, branch, slot);
    if (this.#isLive(state, slot)) {
      set(next, at(branch, Of.flags), vote === 'abort' ? Flag.answered | Flag.objected : Flag.answered);
      if (this.world.kinds[branch] !== 'external') this.world.receive(next, { by: 'answer', branch, vote });
    }
    take(next, 'progress', () => `${this.#who(state, branch, slot)} completes and answers: ${vote}.`);
  }

  /** Without a result that counts. */
  #end(next: Uint8Array, branch: number, slot: SlotNumber): void {
    if (slot === Slot.preparing && this.#isLive(next, slot)) set(next, at(branch, Of.flags), Flag.later);
    clearSlot(next, branch, slot);
  }

  #who(state: Uint8Array, branch: number, slot: SlotNumber): string {
    const isRetry = slot === Slot.preparing && has(state, at(branch, Of.flags), Flag.later);
    return `At ${this.world.name(branch)} ${isRetry ? 'the next attempt to prepare' : ATTEMPTS[slot]}`;
  }
}

function follow(position: Asking, answer: string): number {
  const to = position.on[answer];
  if (to === undefined) throw new Error(`${position.ask} is not answered by ${answer}.`);
  return to;
}

function ackOf(result: Result): Ack | 'again' | undefined {
  if (result === 'again') return result;
  if ('ack' in result) return result.ack;
  return 'kind' in result ? result : undefined;
}
