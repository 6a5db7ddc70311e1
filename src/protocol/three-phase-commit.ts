/**
 * A participant of three-phase commit, as a program that runs in its workflow and in the explorer alike. Between the vote and
 * the decision there is a phase in which everybody learns that everybody can commit, so that nobody who is left behind by the
 * coordinator needs it: whoever hears nothing asks the others, and all come to one decision.
 *
 * Skeen's rule, by which timers and those who still answer decide, holds where processes crash and messages always arrive in
 * time. Over a network that can be cut in two it splits the transaction, and timers fire late and all at once after an outage.
 * So here a timer is a request to terminate and nothing more: what is proposed then goes through the register, like every other
 * decision.
 *
 * @see Skeen: "Nonblocking Commit Protocols", SIGMOD 1981, and "A Quorum-Based Commit Protocol", 1982, for what a partition does
 * @see Bernstein, Hadzilacos, Goodman: "Concurrency Control and Recovery in Database Systems", 1987, section 7.5
 */
import { ask } from './program';
import type { Program } from './program';
import type { Decision, Vote } from './words';

/**
 * How a participant that hears nothing comes to a decision.
 *
 * `register`: it asks the others for what they know, proposes, and obeys the register. Blocks while that is unreachable.
 *
 * `classic-unsafe`: Skeen's timer rule, without a register: who hears nothing decides with those who still answer. It never
 * blocks, and **it can commit one branch and abort another** when the network is cut, a signal is late, or timers fire late. For
 * comparison, not for money.
 */
export type TerminationMode = 'register' | 'classic-unsafe';

/** Where a participant stands. */
export type ParticipantState =
  /** It has not voted. */
  | 'initial'
  /** It has voted `commit` and cannot know what the others did. */
  | 'uncertain'
  /** It knows that all have voted `commit`. */
  | 'pre-committed'
  | 'committed'
  | 'aborted';

/** The questions of {@link participate}. */
export interface ParticipantReplies {
  /** Does the work and prepares it. `abort`: it never will be prepared. `unknown`: it cannot be said whether it is. */
  readonly prepare: Vote | 'unknown';
  /** Tells the coordinator the vote, which is its `about`. */
  readonly vote: 'sent';
  /** The next thing that happens, in the state that is its `about`: a message of the coordinator, or the end of its patience. */
  readonly next: 'pre-commit' | Decision | 'silence';
  /** Writes down that all have voted `commit`. Something else than `done` when the branch has been finished meanwhile. */
  readonly preCommit: 'done' | Decision;
  /** Tells the coordinator that it is pre-committed. */
  readonly acknowledge: 'sent';
  /** What the register says, before any peer is asked: whoever was away for long has old beliefs. */
  readonly register: Decision | 'none';
  /** Where the others stand, as far as they answer. */
  readonly peers: readonly ParticipantState[];
  /** Pre-commits those of the others who still answer and are uncertain, and hears where they stand then. */
  readonly spread: readonly ParticipantState[];
  /** Proposes the decision that is its `about`, and learns what is decided. */
  readonly decide: Decision;
  /** Makes the branch what was decided, its `about`. */
  readonly finish: 'done';
}

/** What became of it. `read-only`: it had nothing to finish. */
export type Participation = Decision | 'read-only';

type ParticipantProgram<Result> = Program<ParticipantReplies, Result>;

/** Takes part in one transaction, from the question whether it can commit to the end of its branch. */
export function* participate(mode: TerminationMode): ParticipantProgram<Participation> {
  const vote = yield* ask<ParticipantReplies, 'prepare'>('prepare');
  if (vote === 'read-only') {
    yield* ask<ParticipantReplies, 'vote'>('vote', 'read-only');
    return 'read-only';
  }
  if (vote === 'abort') {
    // Its own row says so, and nobody can commit without its vote: it needs nobody's leave to abort.
    yield* ask<ParticipantReplies, 'vote'>('vote', 'abort');
    return yield* finish('abort');
  }
  if (vote === 'unknown') {
    yield* ask<ParticipantReplies, 'vote'>('vote', 'abort');
    // An earlier run of this workflow, before it was reset, may have voted otherwise, and all may have committed on that.
    return yield* finish(mode === 'register' ? yield* ask<ParticipantReplies, 'decide'>('decide', 'abort') : 'abort');
  }
  yield* ask<ParticipantReplies, 'vote'>('vote', 'commit');
  return yield* finish(yield* learnDecision(mode));
}

function* learnDecision(mode: TerminationMode): ParticipantProgram<Decision> {
  let state: 'uncertain' | 'pre-committed' = 'uncertain';
  for (;;) {
    const next = yield* ask<ParticipantReplies, 'next'>('next', state);
    switch (next) {
      case 'commit':
      case 'abort':
        return next;
      case 'silence':
        return yield* mode === 'classic-unsafe' ? terminateAlone(state) : terminate(state);
      case 'pre-commit': {
        // Durable before it is told (T2). A second request is answered again: the first answer may be lost.
        const written: ParticipantReplies['preCommit'] =
          state === 'pre-committed' ? 'done' : yield* ask<ParticipantReplies, 'preCommit'>('preCommit');
        if (written !== 'done') return written;
        state = 'pre-committed';
        yield* ask<ParticipantReplies, 'acknowledge'>('acknowledge');
      }
    }
  }
}

/** Comes to a decision without the coordinator. Two who do so at once come to the same one: the register takes the first. */
function* terminate(state: 'uncertain' | 'pre-committed'): ParticipantProgram<Decision> {
  const decided = yield* ask<ParticipantReplies, 'register'>('register');
  if (decided !== 'none') return decided;
  const peers = state === 'pre-committed' ? [] : yield* ask<ParticipantReplies, 'peers'>('peers');
  return yield* ask<ParticipantReplies, 'decide'>('decide', proposalOf(state, peers));
}

/** `commit` once anybody knows that all have voted for it: nobody can have aborted then of its own accord. */
export const proposalOf = (own: ParticipantState, peers: readonly ParticipantState[]): Decision =>
  [own, ...peers].some((state) => state === 'pre-committed' || state === 'committed') ? 'commit' : 'abort';

/**
 * The same without a register. Whoever is pre-committed sees to it that those who still answer are too, before it commits: the
 * last one of them must not be left uncertain (T1). Those who do not answer are taken for crashed, and that is the flaw.
 */
function* terminateAlone(state: 'uncertain' | 'pre-committed'): ParticipantProgram<Decision> {
  const peers = yield* ask<ParticipantReplies, 'peers'>('peers');
  if (peers.includes('aborted')) return 'abort';
  if (peers.includes('committed')) return 'commit';
  if (proposalOf(state, peers) === 'abort') return 'abort';
  if (state === 'uncertain') {
    const written = yield* ask<ParticipantReplies, 'preCommit'>('preCommit');
    if (written !== 'done') return written;
  }
  const spread = yield* ask<ParticipantReplies, 'spread'>('spread');
  return spread.includes('aborted') ? 'abort' : 'commit';
}

function* finish(decision: Decision): ParticipantProgram<Decision> {
  yield* ask<ParticipantReplies, 'finish'>('finish', decision);
  return decision;
}
