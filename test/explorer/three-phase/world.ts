/** What an exploration of three-phase commit is about: how many take part, what may happen, and the program as an automaton. */
import { participate } from '../../../src/protocol';
import type { TerminationMode } from '../../../src/protocol';
import { ParticipationAutomaton } from './participation';
import type { AnyParticipant } from './participation';
import { At, bytesOf, get, Layout, put } from './state';

/** What may happen. */
export interface Circumstances {
  readonly mode: TerminationMode;
  readonly participants: 2 | 3;
  /**
   * `asynchronous`: messages are lost, late, out of order and come twice; timers fire at any time; who is asked may not answer.
   * Whoever is cut off, or stopped for a while, looks like that to the others, so nothing else stands for it.
   *
   * `synchronous`: messages arrive, once and in time; a timer fires when what it waits for cannot come any more.
   */
  readonly network: 'asynchronous' | 'synchronous';
  /** What a branch may answer when it is asked to prepare, besides that it is prepared. @default abort */
  readonly refusals?: readonly ('abort' | 'unknown' | 'read-only')[];
  /** Whether activities run twice, because their completion is lost. */
  readonly completions?: 'arrive' | 'may be lost';
  /** Whether an operator resets the coordinator, any number of times. */
  readonly resets?: 'never' | 'at any time';
  /** Whether an operator resets participants, any number of times: they begin anew, and their databases do not. */
  readonly restarts?: 'never' | 'at any time';
  /** Whether the database of the register cannot be reached for a while, any number of times. */
  readonly register?: 'reachable' | 'fails for a while';
  /** The recovery of the participants' databases. */
  readonly recovery?: 'at work' | 'down';
  /** Participants that crash and come back, in a synchronous network. */
  readonly crashes?: number;
  /**
   * In a synchronous network: what a timer outlasts, once the coordinator has crashed. `everything`: also what is under way to
   * others, and their writing it down. `its own messages`: what is under way to the one whose timer it is.
   */
  readonly timersOutlast?: 'everything' | 'its own messages';
  /** In a synchronous network: whether those who have ended answer a participant that was down for long. */
  readonly ended?: 'answer' | 'have left';
  /** Cuts in a network that is synchronous otherwise: of one from everybody else, or of all from each other, for good. */
  readonly cuts?: number;
  /** Timers that fire although what they wait for still comes, in a network that is synchronous otherwise. */
  readonly late?: number;
}

/** What the promises of three-phase commit rest on. A mutant replaces one of them. */
export interface Mechanisms {
  readonly participate: (mode: TerminationMode) => AnyParticipant;
  readonly register: 'written once' | 'overwritten';
  readonly coordinator: {
    readonly preCommits: 'when all have voted' | 'when one has voted';
    /** What it proposes when a vote does not come. */
    readonly silence: 'is an abort' | 'is a consent';
    readonly waits: 'for acknowledgements' | 'for nothing';
    readonly decides: 'through the register' | 'alone';
    readonly obeys: 'the register' | 'its proposal';
  };
}

export const SHIPPED: Mechanisms = {
  participate: (mode) => participate(mode),
  register: 'written once',
  coordinator: {
    preCommits: 'when all have voted',
    silence: 'is an abort',
    waits: 'for acknowledgements',
    decides: 'through the register',
    obeys: 'the register',
  },
};

const NAMES = ['A', 'B', 'C'];

export class World {
  readonly circumstances: Required<Circumstances>;
  readonly everybody: readonly number[];
  readonly layout: Layout;
  readonly automaton: ParticipationAutomaton;
  readonly size: number;
  readonly isSynchronous: boolean;
  readonly #next: Uint8Array;

  constructor(
    circumstances: Circumstances,
    readonly mechanisms: Mechanisms = SHIPPED,
  ) {
    this.circumstances = {
      refusals: ['abort'],
      completions: 'arrive',
      resets: 'never',
      restarts: 'never',
      register: 'reachable',
      recovery: 'down',
      crashes: 0,
      timersOutlast: 'everything',
      ended: 'answer',
      cuts: 0,
      late: 0,
      ...circumstances,
    };
    const { mode, participants, network } = circumstances;
    this.everybody = Array.from({ length: participants }, (_, who) => who);
    this.layout = new Layout(participants);
    this.automaton = new ParticipationAutomaton(() => mechanisms.participate(mode), participants - 1);
    this.size = bytesOf(participants);
    this.isSynchronous = network === 'synchronous';
    this.#next = new Uint8Array(this.size);
  }

  start(): Uint8Array {
    const state = new Uint8Array(this.size);
    const { crashes, cuts, late } = this.circumstances;
    put(state, At.crashesLeft, crashes);
    put(state, At.cutsLeft, cuts);
    put(state, At.lateLeft, late);
    return state;
  }

  name(who: number): string {
    return NAMES[who] ?? `participant ${who + 1}`;
  }

  /** A copy to change. There is only one: the next copy overwrites it. */
  copied(state: Uint8Array): Uint8Array {
    this.#next.set(state);
    return this.#next;
  }

  /** The same, with one of what is limited used up. */
  spending(state: Uint8Array, budget: number): Uint8Array {
    const next = this.copied(state);
    put(next, budget, get(state, budget) - 1);
    return next;
  }
}
