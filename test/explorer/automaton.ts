/**
 * Turns a program of `src/protocol` into a finite automaton, so that where an attempt stands is one small number.
 *
 * The program is run afresh for every list of answers that it can be given, as Temporal replays a workflow; what it asks or
 * returns at the end of the list is the state. Lists after which it asks the same questions and comes to the same results,
 * whatever it is answered, lead to one state.
 */
import type { Decision, Finished, Prepared } from '../../src/protocol';

/** Every answer that the environment may give. What the programs do with other ones is a matter of their unit tests. */
const ANSWERS = {
  fence: ['inserted', 'taken', 'blocked'],
  look: ['none', 'applied', 'refused', 'fenced'],
  findPrepared: ['ours', 'none'],
  register: ['none', 'commit', 'abort'],
  work: ['done', 'refused'],
  prepare: ['PREPARE', 'ROLLBACK', 'refused'],
  rollback: ['done'],
  refuse: ['stored', 'taken', 'blocked'],
  commitPrepared: ['done', 'unknown'],
  rollbackPrepared: ['done', 'unknown'],
  transactionStatus: ['committed', 'aborted', 'in progress', 'unknown'],
  tombstone: ['inserted', 'taken', 'blocked'],
  decide: ['commit', 'abort'],
} as const;

export type QuestionName = keyof typeof ANSWERS;
export type AnswerTo<Name extends QuestionName> = (typeof ANSWERS)[Name][number];

/** A program of the protocol, or a change of one. */
export type AnyProgram = Generator<{ readonly ask: string; readonly about?: unknown }, Result, never>;

/** What the programs come to. */
export type Result =
  Prepared | { readonly vote: 'read-only' } | Finished | { readonly decision: Decision; readonly ack: Finished };

/** Where an attempt stands: what it asks next, or what it has come to. */
export type Position =
  | {
      readonly id: number;
      readonly ask: QuestionName;
      /** What a proposal to decide says. */
      readonly propose?: Decision;
      readonly on: Readonly<Record<string, number>>;
    }
  | { readonly id: number; readonly result: Result };

const REASON = { code: 'refused', message: 'No.' };

/** The positions of all programs. Number 0 is no position: it stands for an attempt that is not there. */
export class Automata {
  readonly #positions: Position[] = [];
  readonly #known = new Map<string, number>();

  at(id: number): Position {
    const position = this.#positions[id - 1];
    if (!position) throw new Error(`There is no position ${id}.`);
    return position;
  }

  /** Where the program begins. */
  add(program: () => AnyProgram): number {
    return this.#after(program, []);
  }

  #after(program: () => AnyProgram, answers: readonly unknown[]): number {
    const running = program();
    let next = running.next();
    for (const answer of answers) next = running.next(answer as never); // Cast: the program asked for it.
    if (next.done) return this.#intern({ result: next.value });
    const { ask, about } = next.value;
    if (!isKnown(ask)) throw new Error(`The explorer cannot answer ${ask}.`);
    const propose = (about as { readonly propose?: Decision } | undefined)?.propose;
    const on = Object.fromEntries(
      ANSWERS[ask].map((answer) => [answer, this.#after(program, [...answers, spelledOut(ask, answer)])]),
    );
    return this.#intern({ ask, ...(propose === undefined ? {} : { propose }), on });
  }

  #intern(position: object): number {
    const key = JSON.stringify(position);
    const id = this.#known.get(key) ?? this.#positions.length + 1;
    if (id > 255) throw new Error('A position must fit into a byte.');
    if (!this.#known.has(key)) this.#positions.push({ id, ...position } as Position); // Cast: one of the two above.
    this.#known.set(key, id);
    return id;
  }
}

const isKnown = (ask: string): ask is QuestionName => ask in ANSWERS;

/** An answer as the driver gives it. */
function spelledOut(ask: QuestionName, answer: string): unknown {
  if (ask === 'decide') return { decision: answer, by: 'somebody' };
  return answer === 'refused' ? { refused: REASON } : answer;
}
