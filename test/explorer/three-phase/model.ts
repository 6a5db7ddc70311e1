/**
 * Three-phase commit with everything that can happen to it: the shipped program of the participants, around it a coordinator, a
 * register, databases and a network.
 *
 * There is no clock. In an asynchronous network a timer may fire at any moment, so that several do at once, and what is told may
 * come at any moment, once, twice or never. Nothing may depend on what comes from the coordinator: its steps and its messages
 * count as faults there, and from every state the participants must come to an end without them.
 *
 * @see Lamport, Gray: "Consensus on Transaction Commit", TODS 2006, whose messages, once sent, can be received for ever
 */
import type { System, TakeStep } from '../engine';
import { Coordinator } from './coordinator';
import { Participants } from './participants';
import { brokenPromise } from './promises';
import type { Strictness } from './promises';
import { get, Heard, Of, put, Trouble } from './state';
import { Troubles } from './troubles';
import { World } from './world';
import type { Circumstances, Mechanisms } from './world';

export class ThreePhaseCommit implements System {
  readonly world: World;
  readonly participants: Participants;
  readonly #coordinator: Coordinator;
  readonly #troubles: Troubles;

  constructor(
    circumstances: Circumstances,
    mechanisms?: Mechanisms,
    private readonly strictness: Strictness = 'harm',
  ) {
    this.world = new World(circumstances, mechanisms);
    this.participants = new Participants(this.world);
    this.#coordinator = new Coordinator(this.world, this.participants);
    this.#troubles = new Troubles(this.world, this.participants);
  }

  get size(): number {
    return this.world.size;
  }

  start(): Uint8Array {
    return this.world.start();
  }

  expand(state: Uint8Array, take: TakeStep): void {
    this.#coordinator.steps(state, take);
    for (const who of this.world.everybody) this.participants.steps(state, who, take);
    this.#troubles.steps(state, take);
  }

  brokenBy(state: Uint8Array): string | undefined {
    return brokenPromise(this.world, state, this.strictness);
  }

  /** Everybody who was asked has ended, and is there. */
  isEnd(state: Uint8Array): boolean {
    return this.world.everybody.every(
      (who) =>
        this.participants.askingOf(state, who) === undefined &&
        !this.participants.has(state, who, Of.trouble, Trouble.down),
    );
  }

  /** Whoever has ended hears nothing more; and participants differ in their names only. */
  canonize(state: Uint8Array): void {
    const { everybody, layout } = this.world;
    for (const who of everybody) {
      if (get(state, layout.at(who, Of.position)) === 0 || this.participants.askingOf(state, who) !== undefined)
        continue;
      put(state, layout.at(who, Of.mail), 0);
      for (const peer of everybody) put(state, layout.heardAt(who, peer), Heard.nothing);
    }
    layout.sort(state);
  }
}
