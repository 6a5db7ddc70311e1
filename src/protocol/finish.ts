/**
 * How a branch follows a decision, and how the primary takes one, as programs over its database.
 *
 * COMMIT PREPARED and ROLLBACK PREPARED answer 42704 whether the gid was finished before, by us or by hand, was lost, or
 * never was. What happened is read from the branch's row: it was written inside the prepared transaction, so it is there
 * exactly when that committed.
 *
 * @see PostgreSQL manual, COMMIT PREPARED, ROLLBACK PREPARED
 * @see Mohan, Lindsay, Obermarck: "Transaction Management in the R* Distributed Database Management System", TODS 1986
 */
import type { Row } from './prepare';
import { ask } from './program';
import type { Program } from './program';
import type { Ack, AbortReason, Decided } from './voting';
import type { Decision } from './words';

/** The questions of {@link commitBranch} and {@link abortBranch}. */
export interface FinishReplies {
  readonly commitPrepared: 'done' | 'unknown';
  readonly rollbackPrepared: 'done' | 'unknown';
  readonly look: Row;
  /** What PostgreSQL knows of the transaction that was prepared: evidence where the row is missing. */
  readonly transactionStatus: 'committed' | 'aborted' | 'in progress' | 'unknown';
  /** Commits a row that forbids the branch for ever. `blocked`: a late attempt has the key. */
  readonly tombstone: 'inserted' | 'taken' | 'blocked';
}

/** The questions of {@link decideAndFinish}. */
export interface DecideReplies extends FinishReplies {
  /** Inserts the proposal, or reads what is there. */
  readonly decide: Decided;
}

/** `again`: a late attempt still has the branch's key; the question is repeated until it has not. */
export type Finished = Ack | 'again';

type FinishProgram = Program<FinishReplies, Finished>;

/** Commits a branch. */
export function* commitBranch(): FinishProgram {
  if ((yield* ask<FinishReplies, 'commitPrepared'>('commitPrepared')) === 'done') return { kind: 'applied' };
  const row = yield* ask<FinishReplies, 'look'>('look');
  switch (row) {
    case 'applied':
      return { kind: 'applied' };
    case 'none':
      return yield* whatBecameOfIt();
    case 'other-request':
      return FOREIGN;
    case 'compensated':
    case 'fenced':
    default:
      return { kind: 'heuristic', took: 'abort', evidence: 'Its branch-log row says that it was given up.' };
  }
}

/** The prepared transaction is gone without a trace in the branch log: by hand, or with a failover. */
function* whatBecameOfIt(): FinishProgram {
  const status = yield* ask<FinishReplies, 'transactionStatus'>('transactionStatus');
  switch (status) {
    case 'in progress':
      return 'again';
    case 'aborted':
      // A late attempt could still prepare, and what is told here would become untrue.
      if ((yield* ask<FinishReplies, 'tombstone'>('tombstone')) !== 'inserted') return 'again';
      return {
        kind: 'heuristic',
        took: 'abort',
        evidence: 'Its prepared transaction was rolled back, and not by this package, which leaves a row.',
      };
    case 'committed':
      return { kind: 'lost', evidence: 'Its transaction committed, and its branch-log row has been deleted.' };
    case 'unknown':
      return {
        kind: 'lost',
        evidence:
          'PostgreSQL knows neither its prepared transaction nor its branch-log row, as after a failover or a restore.',
      };
  }
}

/** A late attempt is waited for this often within one activity attempt, a lock timeout each. */
const ROUNDS = 3;

/**
 * Aborts a branch: rolls back what is prepared, then sees to it that nothing can be prepared any more. Only the committed
 * tombstone counts: before it, a late attempt could still prepare (P8), and "unknown gid" proves nothing.
 */
export function* abortBranch(): FinishProgram {
  for (let round = 0; round < ROUNDS; round++) {
    yield* ask<FinishReplies, 'rollbackPrepared'>('rollbackPrepared');
    const tombstone = yield* ask<FinishReplies, 'tombstone'>('tombstone');
    if (tombstone === 'blocked') continue;
    if (tombstone === 'inserted') return { kind: 'applied' };
    const row = yield* ask<FinishReplies, 'look'>('look');
    switch (row) {
      case 'none':
        continue;
      case 'applied':
        return { kind: 'heuristic', took: 'commit', evidence: 'Its branch-log row says that it took effect.' };
      case 'other-request':
        return FOREIGN;
      case 'compensated':
      case 'fenced':
      default:
        return { kind: 'applied' };
    }
  }
  return 'again';
}

/** Takes the decision at the primary and obeys it, in whatever way it came out. */
export function* decideAndFinish(
  propose: Decision,
  reason?: AbortReason,
): Program<DecideReplies, Decided & { readonly ack: Finished }> {
  const decided = yield* ask<DecideReplies, 'decide'>('decide', { propose, reason });
  // Cast: it asks some of the questions that this program may ask.
  const finish = (decided.decision === 'commit' ? commitBranch() : abortBranch()) as Program<DecideReplies, Finished>;
  return { ...decided, ack: yield* finish };
}

const FOREIGN: Ack = { kind: 'foreign', evidence: 'Its branch-log row belongs to another operation or input.' };
