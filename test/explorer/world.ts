/** What an exploration is about: the branches, how much may happen, and the programs as automata. */
import type { Decision } from '../../src/protocol';
import { Automata } from './automaton';
import type { AnyProgram } from './automaton';
import { BallotStates, TRANSACTION } from './ballots';
import type { BallotMessage } from './ballots';
import { Databases } from './database';
import { SHIPPED } from './mechanisms';
import type { Mechanisms } from './mechanisms';
import { At, bytesOf, get, put } from './state';

/** `read-only`: changes nothing and has nothing to finish. `external`: there is nobody to answer, its vote is all. */
export type Kind = 'ordinary' | 'read-only' | 'external';

/** How much may happen in one exploration. */
export interface Circumstances {
  /** The first is the primary. */
  readonly branches: readonly Kind[];
  /** Attempts that die, attempts that are given up and go on, completions that are lost, signals that come twice. */
  readonly faults: number;
  /** Refusals, and statements that fail. */
  readonly moods?: number;
  readonly terminations?: number;
  /** At most one. */
  readonly resets?: number;
  /** Votes from somebody who may signal: for our own branches with the token, for external ones without. */
  readonly forgeries?: number;
  /** Prepared transactions that are lost in a failover, or finished by hand. */
  readonly hands?: number;
  /** Whether votes are signalled, or come as answers only. */
  readonly votes?: 'signal' | 'answer';
  /** `never`: the vote does not end before all have voted. */
  readonly timeout?: 'any time' | 'never';
  /** `impatient`: it gives up on coordinators that are running, as after the hard limit. */
  readonly recovery?: 'at work' | 'impatient' | 'down';
}

const NAMES = ['the primary', 'branch 2', 'branch 3'];

/** What the worker does where an operation is declared to be read-only: the questions of `prepare.ts` never arise. */
// eslint-disable-next-line require-yield
function* readOnly(): AnyProgram {
  return { vote: 'read-only' };
}

/** The same for what it is told to finish. */
// eslint-disable-next-line require-yield
function* nothingToFinish(): AnyProgram {
  return { kind: 'applied' };
}

export class World {
  readonly circumstances: Required<Circumstances>;
  readonly kinds: readonly Kind[];
  readonly branches: readonly number[];
  readonly automata = new Automata();
  /** Where the programs begin. */
  readonly roots: {
    readonly prepare: Readonly<Record<'first' | 'later' | 'readOnly', number>>;
    readonly finish: Readonly<Record<Decision, number>>;
    readonly finishReadOnly: number;
    readonly decide: Readonly<Record<Decision, number>>;
  };
  readonly databases: Databases;
  readonly size: number;
  readonly #ballots: readonly BallotStates[];
  readonly #next: Uint8Array;

  constructor(
    circumstances: Circumstances,
    readonly mechanisms: Mechanisms = SHIPPED,
  ) {
    this.circumstances = {
      moods: 0,
      terminations: 0,
      resets: 0,
      forgeries: 0,
      hands: 0,
      votes: 'signal',
      timeout: 'any time',
      recovery: 'at work',
      ...circumstances,
    };
    this.kinds = circumstances.branches;
    this.branches = this.kinds.map((_, branch) => branch);
    this.size = bytesOf(this.kinds.length);
    this.#next = new Uint8Array(this.size);
    const add = (program: () => AnyProgram): number => this.automata.add(program);
    this.roots = {
      prepare: {
        first: add(() => mechanisms.prepare('first')),
        later: add(() => mechanisms.prepare('later')),
        readOnly: add(readOnly),
      },
      finish: { commit: add(mechanisms.commit), abort: add(mechanisms.abort) },
      finishReadOnly: add(nothingToFinish),
      decide: { commit: add(() => mechanisms.decide('commit')), abort: add(() => mechanisms.decide('abort')) },
    };
    const evidence = this.kinds.map((kind) => (kind === 'external' ? 'vote' : 'answer'));
    this.#ballots = [0, 1].map(
      (run) => new BallotStates((voters) => mechanisms.ballot(TRANSACTION, voters), evidence, run),
    );
    this.databases = new Databases(this);
  }

  name(branch: number): string {
    return NAMES[branch] ?? `branch ${branch + 1}`;
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

  ballotsOf(state: Uint8Array): BallotStates {
    const ballots = this.#ballots[get(state, At.run)];
    if (!ballots) throw new Error('There are two runs at most.');
    return ballots;
  }

  receive(next: Uint8Array, message: BallotMessage): void {
    put(next, At.ballot, this.ballotsOf(next).receive(get(next, At.ballot), message));
  }
}
