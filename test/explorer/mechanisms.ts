/**
 * What the promises of two-phase commit rest on. The shipped programs and cores are the default; a mutant replaces one of
 * them, or one rule of what is around them.
 */
import { abortBranch, Ballot, commitBranch, decideAndFinish, prepareBranch } from '../../src/protocol';
import type { BranchId, Decision, PrepareAnswer, TransactionId, VoteMessage } from '../../src/protocol';
import type { AnyProgram } from './automaton';

/** The part of a `Ballot` that a coordinator uses. */
export interface VoteKeeper {
  readonly tally: Decision | 'pending';
  voteOf(branch: BranchId): 'commit' | 'abort' | 'read-only' | 'none';
  stands(branch: BranchId): boolean;
  receive(message: VoteMessage): unknown;
  answer(branch: BranchId, answer: PrepareAnswer): void;
  close(): Decision;
  /** What else there is to know about its state. Nothing, for the shipped one. */
  readonly more?: unknown;
}

export type Voters = ConstructorParameters<typeof Ballot>[1];

export interface Mechanisms {
  readonly prepare: (attempt: 'first' | 'later') => AnyProgram;
  readonly commit: () => AnyProgram;
  readonly abort: () => AnyProgram;
  readonly decide: (propose: Decision) => AnyProgram;
  readonly ballot: (transaction: TransactionId, voters: Voters) => VoteKeeper;
  /** Where the branch-log row of a branch is inserted. */
  readonly fence: 'with the work' | 'before the work' | 'excludes nobody';
  /** What the name of a prepared transaction, and the key of its row, are made of. */
  readonly gid: 'of the branch' | 'of the attempt';
  readonly register: 'written once' | 'overwritten' | 'none';
  readonly coordinator: {
    readonly obeys: 'the register' | 'its proposal';
    readonly aborts: 'through the register' | 'at once';
    readonly closes: 'when all have followed' | 'when it is decided';
    readonly tells: 'at the end' | 'before it decides';
    readonly heedsCancel: 'before the decision' | 'always';
  };
  /** What a branch that only reads does when it is told to commit, because nobody knows its vote any more. */
  readonly readOnlyBranch: 'looks for what it prepared' | 'answers that it is done';
  readonly recovery: 'asks the register' | 'presumes abort' | 'presumes commit' | 'none';
}

export const SHIPPED: Mechanisms = {
  prepare: (attempt) => prepareBranch(attempt),
  commit: () => commitBranch(),
  abort: () => abortBranch(),
  decide: (propose) => decideAndFinish(propose),
  ballot: (transaction, voters) => new Ballot(transaction, voters),
  fence: 'with the work',
  gid: 'of the branch',
  register: 'written once',
  coordinator: {
    obeys: 'the register',
    aborts: 'through the register',
    closes: 'when all have followed',
    tells: 'at the end',
    heedsCancel: 'before the decision',
  },
  readOnlyBranch: 'answers that it is done',
  recovery: 'asks the register',
};
