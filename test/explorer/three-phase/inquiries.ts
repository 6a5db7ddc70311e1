/**
 * What participants ask each other: where they stand, and before that, without a register, to pre-commit. Each answer is a step
 * of its own, so anything may happen between two of them.
 */
import type { TakeStep } from '../engine';
import type { Participants } from './participants';
import { keyOf } from './participation';
import type { Asking } from './participation';
import { At, get, Heard, Mail, Of, put, set, STATES, Trouble } from './state';
import type { World } from './world';

export class Inquiries {
  constructor(
    private readonly world: World,
    private readonly participants: Participants,
  ) {}

  /** Whoever spreads sends its messages at once. */
  open(next: Uint8Array, who: number, ask: 'peers' | 'spread'): string {
    if (ask === 'peers') return ', and asks the others where they stand';
    for (const peer of this.#peersOf(who))
      if (!this.#isCut(next, who, peer) && this.participants.of(next, peer, Of.position) > 0)
        set(next, this.world.layout.at(peer, Of.mail), Mail.preCommitOfPeer);
    return ', and tells the others that all can commit';
  }

  steps(state: Uint8Array, who: number, position: Asking, take: TakeStep): void {
    for (const peer of this.#peersOf(who))
      if (this.#heard(state, who, peer) === Heard.nothing) this.#hear(state, who, peer, position, take);
    if (this.#isOver(state, who)) this.#close(state, who, position, take);
  }

  #hear(state: Uint8Array, who: number, peer: number, { ask }: Asking, take: TakeStep): void {
    const { world, participants } = this;
    const next = world.copied(state);
    const where = world.layout.heardAt(who, peer);
    if (this.#isAway(state, who, peer)) {
      // It may be back before the others have answered.
      if (get(state, At.crashesLeft) === world.circumstances.crashes || world.everybody.length === 2) return;
      put(next, where, Heard.noAnswer);
      return take(next, 'progress', () => `${world.name(peer)} does not answer ${world.name(who)}.`);
    }
    const stand = participants.of(state, peer, Of.stand);
    // It was told to pre-commit, and answers when it has, or has ended.
    if (world.isSynchronous && ask === 'spread' && STATES[stand] === 'uncertain') return;
    put(next, where, Heard.state + stand);
    take(
      next,
      world.isSynchronous ? 'progress' : 'fault',
      () => `${world.name(peer)} answers ${world.name(who)} that it is ${STATES[stand] ?? ''}.`,
    );
  }

  #isOver(state: Uint8Array, who: number): boolean {
    if (!this.world.isSynchronous) return true;
    return this.#peersOf(who).every(
      (peer) => this.#heard(state, who, peer) !== Heard.nothing || this.#isAway(state, who, peer),
    );
  }

  #close(state: Uint8Array, who: number, position: Asking, take: TakeStep): void {
    const { world } = this;
    const states = this.#peersOf(who).flatMap((peer) => STATES[this.#heard(state, who, peer) - Heard.state] ?? []);
    const next = world.copied(state);
    const more = this.participants.answer(next, who, position, keyOf(states));
    const missing = world.everybody.length - 1 - states.length;
    const waited = missing === 0 ? 'has heard the others' : `waits for no more answers (${states.length} came)`;
    take(next, 'progress', () => `${world.name(who)} ${waited}${more}.`);
  }

  /** In a synchronous network, whoever can answer does. */
  #isAway(state: Uint8Array, who: number, peer: number): boolean {
    if (this.participants.of(state, peer, Of.position) === 0) return true;
    if (!this.world.isSynchronous) return false;
    if (this.participants.has(state, peer, Of.trouble, Trouble.down) || this.#isCut(state, who, peer)) return true;
    return (
      this.world.circumstances.ended === 'have left' &&
      this.participants.askingOf(state, peer) === undefined &&
      this.participants.has(state, who, Of.trouble, Trouble.crashed)
    );
  }

  #isCut(state: Uint8Array, one: number, other: number): boolean {
    return [one, other].some((who) => this.participants.has(state, who, Of.trouble, Trouble.cut));
  }

  #heard(state: Uint8Array, who: number, peer: number): number {
    return get(state, this.world.layout.heardAt(who, peer));
  }

  #peersOf(who: number): number[] {
    return this.world.everybody.filter((peer) => peer !== who);
  }
}
