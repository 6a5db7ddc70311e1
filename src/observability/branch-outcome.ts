/** What an answer about a branch comes to, in a word: read by its fields, whichever protocol has asked. Of input and result nothing is taken. */
import type {
  Ack,
  CompensateAnswer,
  Decision,
  ExecuteAnswer,
  ParticipantReplies,
  QueryAnswer,
  Vote,
} from '../protocol';

export interface BranchOutcome {
  /** What the participant says: `applied`, `refused`, a vote, the decision, … */
  readonly outcome?: string;
  /** Why it says no: the code, which is for programs. The message is for people, and the details may hold anything. */
  readonly reason?: string;
}

/** How a question about a branch was answered. Nothing, where that is in no words of ours. */
export function outcomeOfAnswer(answer: unknown): BranchOutcome {
  const fields = (answer ?? {}) as Readonly<Record<string, unknown>>;
  // Three-phase commit answers with a word: `done`, or the decision that was there before.
  const word =
    typeof answer === 'string' ? answer : (fields['vote'] ?? fields['answer'] ?? fields['decision'] ?? fields['kind']);
  return isOurs(word) ? { outcome: word, ...codeOf(fields['reason'] ?? fields['refusal']) } : {};
}

type Answers =
  | Vote
  | Ack['kind']
  | Decision
  | ParticipantReplies['preCommit']
  | ExecuteAnswer['answer']
  | CompensateAnswer['answer']
  | QueryAnswer['answer'];

const ANSWERS: Readonly<Record<Answers, true>> = {
  commit: true,
  abort: true,
  'read-only': true,
  done: true,
  applied: true,
  'applied-before': true,
  compensated: true,
  'compensated-before': true,
  'nothing-to-compensate': true,
  refused: true,
  'never-applied': true,
  heuristic: true,
  lost: true,
  foreign: true,
};

/** A word of the protocols: an activity of the application may look like one of ours, and return anything. */
const isOurs = (word: unknown): word is Answers => typeof word === 'string' && Object.hasOwn(ANSWERS, word);

/** Of a refusal, or of the reason of a vote. */
export function codeOf(reason: unknown): Pick<BranchOutcome, 'reason'> {
  const { code } = (reason ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? { reason: code } : {};
}
