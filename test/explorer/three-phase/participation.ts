/**
 * Turns a participant's program into a finite automaton, although it may be told to pre-commit again and again for ever.
 *
 * As in `automaton.ts` the program is run afresh for every list of answers. Two lists count as one position when the program asks
 * the same for the next few questions, whatever it is answered; each time that is used, one question more is tried.
 */
import type { Decision, ParticipantState, Participation } from '../../../src/protocol';
import { STATES } from './state';

/** A program of a participant, or a change of one. */
export type AnyParticipant = Generator<
  { readonly ask: string; readonly about?: unknown },
  Participation,
  never // What it is answered is a matter of its questions.
>;

/** Every answer that the environment may give. To `peers` and `spread` it is a list of states. */
const ANSWERS = {
  prepare: ['commit', 'abort', 'unknown', 'read-only'],
  vote: ['sent'],
  next: ['pre-commit', 'commit', 'abort', 'silence'],
  preCommit: ['done', 'commit', 'abort'],
  acknowledge: ['sent'],
  register: ['none', 'commit', 'abort'],
  peers: [],
  spread: [],
  decide: ['commit', 'abort'],
  finish: ['done'],
} as const;

type QuestionName = keyof typeof ANSWERS;

/** Where a participant stands in its program: what it asks next, or what it has come to. */
export type Position =
  | { readonly id: number; readonly ask: QuestionName; readonly about: unknown; readonly on: Map<string, number> }
  | { readonly id: number; readonly result: Participation };

/** Where it waits for an answer. */
export type Asking = Extract<Position, { readonly ask: QuestionName }>;

/** Questions. */
const FAR = 4;

export class ParticipationAutomaton {
  readonly root: number;
  readonly #positions: Position[] = [];
  readonly #byOutlook = new Map<number, { readonly id: number; readonly farther: number }>();
  readonly #outlooks = new Map<string, number>();
  readonly #known = new Map<string, number>();
  readonly #lists: readonly string[];

  constructor(
    private readonly program: () => AnyParticipant,
    peers: number,
  ) {
    this.#lists = listsOf(peers);
    this.root = this.#after([]);
  }

  /** Number 0 is no position: it stands for a participant that has not been asked. */
  at(id: number): Position {
    const position = this.#positions[id - 1];
    if (!position) throw new Error(`There is no position ${id}.`);
    return position;
  }

  #after(answers: readonly string[]): number {
    const outlook = this.#outlook(answers, FAR);
    const farther = this.#outlook(answers, FAR + 1);
    const known = this.#byOutlook.get(outlook);
    if (known) {
      if (known.farther !== farther) throw new Error(`The program remembers more than ${FAR} questions can tell.`);
      return known.id;
    }
    const id = this.#positions.length + 1;
    if (id > 255) throw new Error('A position must fit into a byte.');
    this.#byOutlook.set(outlook, { id, farther });
    const next = this.#run(answers);
    if (next.done) {
      this.#positions.push({ id, result: next.value });
      return id;
    }
    const { ask, about } = next.value;
    if (!isKnown(ask)) throw new Error(`The explorer cannot answer ${ask}.`);
    const on = new Map<string, number>();
    this.#positions.push({ id, ask, about, on });
    for (const answer of this.#answersTo(ask)) on.set(answer, this.#after([...answers, answer]));
    return id;
  }

  /** Equal numbers for equal questions and results, so many questions ahead. */
  #outlook(answers: readonly string[], depth: number): number {
    const at = `${depth} ${answers.join('/')}`;
    const known = this.#known.get(at);
    if (known !== undefined) return known;
    const next = this.#run(answers);
    const seen: unknown[] = next.done ? ['result', next.value] : [next.value.ask, next.value.about];
    if (!next.done && depth > 0 && isKnown(next.value.ask))
      for (const answer of this.#answersTo(next.value.ask)) seen.push(this.#outlook([...answers, answer], depth - 1));
    const key = JSON.stringify(seen);
    const outlook = this.#outlooks.get(key) ?? this.#outlooks.size;
    this.#outlooks.set(key, outlook);
    this.#known.set(at, outlook);
    return outlook;
  }

  #run(answers: readonly string[]): ReturnType<AnyParticipant['next']> {
    const running = this.program();
    let next = running.next();
    for (const answer of answers) {
      const isList = !next.done && (next.value.ask === 'peers' || next.value.ask === 'spread');
      next = running.next((isList ? answer.split(',').filter(Boolean) : answer) as never); // Cast: the program asked for it.
    }
    return next;
  }

  #answersTo(ask: QuestionName): readonly string[] {
    return ask === 'peers' || ask === 'spread' ? this.#lists : ANSWERS[ask];
  }
}

const isKnown = (ask: string): ask is QuestionName => ask in ANSWERS;

/** What so many others may answer, or not answer, in the order of their states: the program looks at no other. */
function listsOf(peers: number): string[] {
  const lists: (readonly ParticipantState[])[] = [[]];
  for (let length = 0, from = 0; length < peers; length++) {
    const longer = lists
      .slice(from)
      .flatMap((list) =>
        STATES.filter((state) => STATES.indexOf(state) >= STATES.indexOf(list.at(-1) ?? 'initial')).map((state) => [
          ...list,
          state,
        ]),
      );
    from = lists.length;
    lists.push(...longer);
  }
  return lists.map(keyOf);
}

/** A list of states as it is written in {@link Position}. */
export const keyOf = (states: readonly ParticipantState[]): string =>
  [...states].sort((a, b) => STATES.indexOf(a) - STATES.indexOf(b)).join(',');

/** Where an answer leads. */
export function follow(position: Asking, answer: string): number {
  const to = position.on.get(answer);
  if (to === undefined) throw new Error(`${position.ask} is not answered by ${answer}.`);
  return to;
}

/** The decision that a question is about. */
export const decisionOf = ({ about }: Asking): Decision => (about === 'commit' ? 'commit' : 'abort');
