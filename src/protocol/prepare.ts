/**
 * How a branch prepares and votes, as a program over its database.
 *
 * The branch-log row, the fence, comes first, in the transaction of the work: an attempt that was given up for dead holds its
 * key until it ends or is prepared, and a decision to abort waits for that. A `commit` is voted only when PostgreSQL said
 * `PREPARE`; an `abort` only when a row that forbids the branch for ever is committed (P10).
 *
 * @see PostgreSQL manual, PREPARE TRANSACTION
 */
import { ask } from './program';
import type { Program } from './program';
import { AbortCode } from './voting';
import type { AbortReason } from './voting';
import type { Decision } from './words';

/** What stands committed under a branch's key. */
export type Row =
  | 'none'
  | 'applied'
  /** With the reason that was stored. */
  | { readonly refused: AbortReason }
  | 'fenced'
  | 'compensated'
  /** The key belongs to another operation or input. */
  | 'other-request';

/** The questions of {@link prepareBranch}. */
export interface PrepareReplies {
  /** BEGIN and a plain INSERT of the branch's row. `taken`: 23505; `blocked`: 55P03, another session or a prepared transaction has the key. */
  readonly fence: 'inserted' | 'taken' | 'blocked';
  /** The committed row, read outside any transaction. */
  readonly look: Row;
  /** Whether our gid is listed in `pg_prepared_xacts`, in this database, or one of the same branch with another input. */
  readonly findPrepared: 'ours' | 'other-request' | 'none';
  /** At the primary: what the register says; `other-request`: it is about another input. Elsewhere `none`. */
  readonly register: Decision | 'none' | 'other-request';
  /** The operation. An error that says nothing for certain is thrown, and the attempt is retried. */
  readonly work: 'done' | { readonly refused: AbortReason };
  /** PREPARE TRANSACTION: the command tag, or the error when it proves that nothing was prepared. */
  readonly prepare: 'PREPARE' | 'ROLLBACK' | 'again' | { readonly refused: AbortReason };
  readonly rollback: 'done';
  /** Commits a row that forbids the branch for ever, with the reason as its `about`. */
  readonly refuse: 'stored' | 'taken' | 'blocked';
}

/** How an attempt to prepare ended. */
export type Prepared =
  | { readonly vote: 'commit'; readonly how: 'prepared' | 'prepared-before' | 'committed-before' }
  | { readonly vote: 'abort'; readonly reason: AbortReason }
  /** Nothing is known for certain: another attempt of this branch is under way, or PostgreSQL is saturated. Try again. */
  | { readonly vote: 'again' };

type PrepareProgram = Program<PrepareReplies, Prepared>;

/**
 * One attempt.
 *
 * @param attempt a later one looks for what an earlier one prepared before it waits for the key of it
 */
export function* prepareBranch(attempt: 'first' | 'later' = 'first'): PrepareProgram {
  if (attempt === 'later' && (yield* ask<PrepareReplies, 'findPrepared'>('findPrepared')) === 'ours')
    return { vote: 'commit', how: 'prepared-before' };
  switch (yield* ask<PrepareReplies, 'fence'>('fence')) {
    case 'blocked':
      return yield* whoHasTheKey();
    case 'taken':
      return voteByRow(yield* ask<PrepareReplies, 'look'>('look'));
    case 'inserted':
      return yield* work();
  }
}

function* work(): PrepareProgram {
  // A coordinator that starts late, after somebody had its transaction aborted, stops here (C0b), and so does one whose
  // transaction's id was used for another input before (P11).
  const decided = yield* ask<PrepareReplies, 'register'>('register');
  if (decided === 'abort' || decided === 'other-request') {
    yield* ask<PrepareReplies, 'rollback'>('rollback');
    return yield* refuse(decided === 'abort' ? DECIDED_BEFORE : DECIDED_OTHERWISE);
  }
  const done = yield* ask<PrepareReplies, 'work'>('work');
  if (done !== 'done') {
    yield* ask<PrepareReplies, 'rollback'>('rollback');
    return yield* refuse(done.refused);
  }
  const tag = yield* ask<PrepareReplies, 'prepare'>('prepare');
  switch (tag) {
    case 'PREPARE':
      return { vote: 'commit', how: 'prepared' };
    case 'again':
      return { vote: 'again' };
    case 'ROLLBACK':
      // Of a transaction in which a statement had failed PostgreSQL prepares nothing, and raises no error (P3).
      return yield* refuse(SWALLOWED);
    default:
      return yield* refuse(tag.refused);
  }
}

/** Votes `abort` once that is final: until the row is committed, a slow attempt could still prepare. */
function* refuse(reason: AbortReason): PrepareProgram {
  switch (yield* ask<PrepareReplies, 'refuse'>('refuse', reason)) {
    case 'stored':
      return { vote: 'abort', reason };
    case 'taken':
      return voteByRow(yield* ask<PrepareReplies, 'look'>('look'));
    case 'blocked':
      return yield* whoHasTheKey();
  }
}

/** A prepared transaction of an earlier attempt is adopted; an open one is waited for. */
function* whoHasTheKey(): PrepareProgram {
  switch (yield* ask<PrepareReplies, 'findPrepared'>('findPrepared')) {
    case 'ours':
      return { vote: 'commit', how: 'prepared-before' };
    case 'other-request':
      return { vote: 'abort', reason: MISMATCH };
    case 'none':
      return { vote: 'again' };
  }
}

function voteByRow(row: Row): Prepared {
  switch (row) {
    case 'applied':
      return { vote: 'commit', how: 'committed-before' };
    case 'fenced':
    case 'compensated':
      return { vote: 'abort', reason: FENCED };
    case 'other-request':
      return { vote: 'abort', reason: MISMATCH };
    case 'none':
      return { vote: 'again' };
    default:
      return { vote: 'abort', reason: row.refused };
  }
}

const FENCED: AbortReason = {
  code: AbortCode.Fenced,
  message: 'The branch was given up before this request came, and can never take effect any more.',
};

const DECIDED_BEFORE: AbortReason = {
  code: AbortCode.DecidedBefore,
  message: 'The register had abort before the branch was asked.',
};

const DECIDED_OTHERWISE: AbortReason = {
  code: AbortCode.InputMismatch,
  message: 'The register has a decision about another input under this id, and that one stands.',
};

const MISMATCH: AbortReason = {
  code: AbortCode.InputMismatch,
  message: 'The branch exists with another operation or input, and that one stands.',
};

const SWALLOWED: AbortReason = {
  code: AbortCode.NotPreparable,
  message:
    'A statement had failed and its error was caught, and of such a transaction PostgreSQL prepares nothing. Let database errors leave the operation, or wrap the statement in a savepoint.',
};
