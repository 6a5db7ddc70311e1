/** Changes of the shipped programs: a question that a mutant does not ask, or whose answer it takes for another. */
import { abortBranch, commitBranch, decideAndFinish, prepareBranch } from '../../src/protocol';
import type { AnyProgram, QuestionName } from './automaton';
import type { Mechanisms } from './mechanisms';

type Change = (program: AnyProgram) => AnyProgram;

/** A change of how a branch prepares. */
export const preparing = (change: Change): Pick<Mechanisms, 'prepare'> => ({
  prepare: (attempt) => change(prepareBranch(attempt)),
});

/** The same change wherever a branch is committed. */
export const committing = (change: Change): Pick<Mechanisms, 'commit' | 'decide'> => ({
  commit: () => change(commitBranch()),
  decide: (propose) => change(decideAndFinish(propose)),
});

/** The same change wherever a branch is aborted. */
export const aborting = (change: Change): Pick<Mechanisms, 'abort' | 'decide'> => ({
  abort: () => change(abortBranch()),
  decide: (propose) => change(decideAndFinish(propose)),
});

/** Takes `taken` for the answer wherever it is one of `heard`; `refusal` stands for any that has a reason. */
export const taking = (question: QuestionName, heard: readonly string[], taken: string): Change =>
  function* (program) {
    let next = program.next();
    while (!next.done) {
      const reply: unknown = yield next.value;
      const matches = next.value.ask === question && heard.includes(typeof reply === 'string' ? reply : 'refusal');
      next = program.next((matches ? taken : reply) as never); // Cast: an answer to the question.
    }
    return next.value;
  };

/** Does not ask, and goes on as if it had been answered so. */
export const leavingOut = (question: QuestionName, reply: string): Change =>
  function* (program) {
    let next = program.next();
    while (!next.done) next = program.next(next.value.ask === question ? (reply as never) : yield next.value);
    return next.value;
  };
