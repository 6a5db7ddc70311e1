/**
 * What a coordinator and a branch say to each other in an atomic commitment: the request to prepare, the vote, the
 * decision, the acknowledgement. The messages appear in the Temporal Web UI, so they are small and read well there.
 */
import type { BranchRequest, Refusal } from './branch';
import type { BranchId, Decision, TransactionId, Vote } from './words';

/** Why a branch cannot commit, or why a transaction was aborted. `code` is stable, for programs. */
export type AbortReason = Refusal;

/** Codes of reasons that are not a business "no". */
export const AbortCode = {
  /** Another transaction held a lock for too long: the whole transaction may be tried again under a new id. */
  Contention: 'contention',
  /** The branch was compensated or given up before this request came. */
  Fenced: 'fenced',
  /** The branch, or the transaction, exists with another input. */
  InputMismatch: 'input-mismatch',
  /** The register had `abort` already when the primary was asked. */
  DecidedBefore: 'decided-before',
  /** PostgreSQL cannot prepare what the operation did, or does not prepare at all: the message says what to change. */
  NotPreparable: 'not-preparable',
  /** A constraint that is checked at the end of the transaction does not hold. */
  ConstraintViolated: 'constraint-violated',
  /** Something that the branch calls, or its participant, is known to be away. */
  CircuitOpen: 'circuit-open',
  /** No vote came in time. */
  TimedOut: 'timed-out',
  /** The caller withdrew. */
  Cancelled: 'cancelled',
  /** What was reserved was not wanted any more. */
  Declined: 'declined',
  /** The branch could not be asked, or failed for good. */
  Failed: 'failed',
  /** Recovery or a person found no decision and no coordinator at work. */
  Recovered: 'recovered',
} as const;

/** Asks a branch to do its work, to prepare it, and to vote. */
export interface PrepareRequest extends BranchRequest {
  /** Comes back in the vote: one that lacks it answers some other request. */
  readonly token: string;
  /** Name of the participant in whose database the decision will be. */
  readonly register: string;
  /** Whether the vote is also sent as a signal, or only returned as the answer. */
  readonly votes: 'signal' | 'answer';
}

/** Asks a branch to reserve, and to vote. */
export interface TryRequest extends Omit<PrepareRequest, 'votes' | 'token'> {
  /** How long the coordinator means to hold the reservation, in milliseconds: until then recovery leaves it alone. */
  readonly holdMs?: number;
}

/** The vote as it comes off the wire, in the signal `vote`. */
export interface VoteMessage {
  readonly transaction: TransactionId;
  readonly branch: BranchId;
  readonly token: string;
  readonly vote: Vote;
  readonly reason?: AbortReason;
}

/** The answer to `prepare`: the vote, from a worker that has read it in its own database. */
export type PrepareAnswer =
  | {
      readonly vote: 'commit';
      /** Absent where an earlier attempt prepared: its result can be read once it is committed. */
      readonly result?: unknown;
      /** Transaction id of PostgreSQL: evidence, should the prepared transaction be gone later. Absent once that is committed. */
      readonly xid?: string;
    }
  | { readonly vote: 'read-only'; readonly result: unknown }
  | { readonly vote: 'abort'; readonly reason: AbortReason };

/** Tells a branch what was decided. */
export interface FinishRequest extends BranchRequest {
  readonly register: string;
  /** As the vote said. */
  readonly xid?: string;
  /** Whether the coordinator still lacks the operation's result. */
  readonly wantsResult?: true;
}

/** Asks the primary to write the decision, or to read the one that is there, and to finish its own branch by it. */
export interface DecideRequest extends FinishRequest {
  readonly propose: Decision;
  /** Why, when it proposes to abort. */
  readonly reason?: AbortReason;
  /** All branches, for those who have to look into it later. */
  readonly branches: readonly RegisteredBranch[];
}

/** A branch as the register remembers it. */
export interface RegisteredBranch {
  readonly branch: BranchId;
  /** Absent for a branch that is not ours. */
  readonly participant?: string;
  /** As it was known when the decision was proposed. */
  readonly vote: Vote | 'none';
}

/** How a branch followed the decision. */
export type Ack =
  /** It did, now or in an earlier attempt. */
  | { readonly kind: 'applied'; readonly result?: unknown }
  /** Somebody finished it by hand, and the evidence says how. */
  | { readonly kind: 'heuristic'; readonly took: Decision; readonly evidence: string }
  /** Its prepared transaction is gone and nothing says what became of it. */
  | { readonly kind: 'lost'; readonly evidence: string }
  /** Under its key stands the branch of another request, which is not ours to finish. */
  | { readonly kind: 'foreign'; readonly evidence: string };

/** What the register says. */
export interface Decided {
  readonly decision: Decision;
  /** Why it was aborted, by the one who wrote it. */
  readonly reason?: AbortReason;
  /** `coordinator`, `recovery`, or the name of a person. */
  readonly by: string;
}

/** The answer to `decide`. */
export interface DecideAnswer extends Decided {
  /** Absent when it is decided and the primary's own branch has not followed yet: it is asked like the others then. */
  readonly ack?: Ack;
}
