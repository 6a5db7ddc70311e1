/** Changes of the shipped program of a participant: what a mutant asks otherwise, does not ask, or takes an answer for. */
import { participate } from '../../../src/protocol';
import type { ParticipantReplies, ParticipantState } from '../../../src/protocol';
import type { AnyParticipant } from './participation';
import type { Mechanisms } from './world';

type Change = (program: AnyParticipant) => AnyParticipant;
type Question = keyof ParticipantReplies;
type Reply<Name extends Question> = ParticipantReplies[Name];

export const participating = (...changes: readonly Change[]): Pick<Mechanisms, 'participate'> => ({
  participate: (mode) => changes.reduce<AnyParticipant>((program, change) => change(program), participate(mode)),
});

/** Does not ask, and goes on as if it had been answered so. */
export const leavingOut = <Name extends Question>(question: Name, reply: (about: unknown) => Reply<Name>): Change =>
  function* (program) {
    let next = program.next();
    while (!next.done) {
      const { ask, about } = next.value;
      next = program.next((ask === question ? reply(about) : yield next.value) as never); // Cast: an answer to the question.
    }
    return next.value;
  };

/** The same, but only right after another question. */
export const leavingOutAfter = <Name extends Question>(before: Question, question: Name, reply: Reply<Name>): Change =>
  function* (program) {
    let next = program.next();
    let last: string | undefined;
    while (!next.done) {
      const { ask } = next.value;
      next = program.next((ask === question && last === before ? reply : yield next.value) as never); // Cast: an answer to it.
      last = ask;
    }
    return next.value;
  };

/** Makes something else of the answer. */
export const hearing = <Name extends Question>(
  question: Name,
  take: (reply: Reply<Name>, about: unknown) => Reply<Name>,
): Change =>
  function* (program) {
    let next = program.next();
    while (!next.done) {
      const { ask, about } = next.value;
      const reply = yield next.value;
      next = program.next((ask === question ? take(reply, about) : reply) as never); // Cast: an answer to the question.
    }
    return next.value;
  };

/** Hears of no other in that state. */
export const deafTo = (question: 'peers' | 'spread', ...states: readonly ParticipantState[]): Change =>
  hearing(question, (heard) => heard.filter((state) => !states.includes(state)));

/** Proposes something else than the program. */
export const proposing = (propose: 'commit' | 'abort'): Change =>
  function* (program) {
    let next = program.next();
    while (!next.done)
      next = program.next(yield next.value.ask === 'decide' ? { ask: 'decide', about: propose } : next.value);
    return next.value;
  };

/** Takes no silence for an answer. */
export const waitingForEver: Change = function* (program) {
  let next = program.next();
  while (!next.done) {
    const reply: unknown = yield next.value;
    if (reply !== 'silence') next = program.next(reply as never); // Cast: an answer to the question.
  }
  return next.value;
};

/** Acknowledges, and writes then. */
export const acknowledgingFirst: Change = function* (program) {
  let next = program.next();
  while (!next.done) {
    const isEarly = next.value.ask === 'preCommit';
    if (isEarly) yield { ask: 'acknowledge' };
    next = program.next(yield next.value);
    if (isEarly && !next.done && next.value.ask === 'acknowledge') next = program.next('sent' as never); // Cast: it was.
  }
  return next.value;
};
