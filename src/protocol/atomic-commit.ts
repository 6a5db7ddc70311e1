/** What an atomic commitment has come to so far: the vote and acknowledgement of each branch, and the report that people see. */
import type { AbortReason, Decided } from './voting';
import type { BranchId, Decision, TransactionId, Vote } from './words';

/** What is known of how a branch follows the decision. */
export type FinishFate =
  /** Nothing is decided yet. */
  | { readonly kind: 'waiting' }
  /** The decision is on its way. */
  | { readonly kind: 'running' }
  /** The same, for longer than the timeout: it goes on being tried. */
  | { readonly kind: 'overdue'; readonly cause: string }
  /** It committed or rolled back, as decided. */
  | { readonly kind: 'done' }
  /** It voted `read-only` or was never asked. */
  | { readonly kind: 'not-needed' }
  /** It waits for a person: it did otherwise than decided, or nobody knows what it did. */
  | { readonly kind: 'held'; readonly cause: string }
  /** A person made it what the decision says. */
  | { readonly kind: 'resolved'; readonly by: string; readonly reason: string }
  /** A person let it stand: the outcome is mixed. */
  | { readonly kind: 'skipped'; readonly by: string; readonly reason: string; readonly evidence: string };

/** One line of a {@link TwoPhaseCommitReport}. */
export interface BranchReport {
  readonly branch: BranchId;
  /** Absent for a branch that is not ours. */
  readonly participant?: string;
  readonly operation: string;
  readonly vote: Vote | 'none';
  /** Why it voted `abort`. */
  readonly reason?: AbortReason;
  readonly finish: FinishFate;
}

/** Why a transaction was aborted. */
export interface AbortCause {
  readonly kind: 'refused' | 'failed' | 'cancelled' | 'timed-out' | 'contention' | 'recovered';
  readonly message: string;
  readonly reason: AbortReason;
  /** The branch that voted `abort`, when one did. */
  readonly branch?: BranchId;
}

/** The protocols by which branches follow one decision. */
export type CommitProtocol = 'two-phase-commit' | 'three-phase-commit' | 'try-confirm-cancel';

interface CommitReportBase<Protocol extends CommitProtocol> {
  readonly id: TransactionId;
  readonly protocol: Protocol;
  /** The first one is the primary: the decision is in its database. */
  readonly branches: readonly BranchReport[];
  /** How often the whole transaction was tried, because of contention. */
  readonly attempts: number;
}

/** How a transaction of atomic commitment ended. */
export type SettledCommitReport<Protocol extends CommitProtocol = CommitProtocol, R = readonly unknown[]> =
  | (CommitReportBase<Protocol> & {
      readonly outcome: 'committed';
      readonly decision: 'commit';
      readonly results: R;
    })
  | (CommitReportBase<Protocol> & {
      readonly outcome: 'aborted';
      readonly decision: 'abort';
      readonly cause: AbortCause;
    })
  /** A branch did otherwise than decided, and a person has let that stand. */
  | (CommitReportBase<Protocol> & {
      readonly outcome: 'mixed';
      readonly decision: Decision;
      readonly cause?: AbortCause;
    });

/** What is being done in a transaction that has not ended. */
export type CommitPhase =
  | 'preparing'
  /** Three-phase commit: all have voted `commit`, and learn that of each other. */
  | 'pre-committing'
  /** Try-confirm-cancel: everything is reserved, and the caller has not yet said whether it is wanted. */
  | 'reserved'
  | 'deciding'
  | 'committing'
  | 'aborting';

/** How a transaction of atomic commitment stands, or ended. */
export type CommitReport<Protocol extends CommitProtocol = CommitProtocol, R = readonly unknown[]> =
  | SettledCommitReport<Protocol, R>
  | (CommitReportBase<Protocol> & {
      readonly outcome: CommitPhase | 'overdue' | 'held';
      readonly decision?: Decision;
      readonly cause?: AbortCause;
    });

export type TwoPhaseCommitReport<R = readonly unknown[]> = CommitReport<'two-phase-commit', R>;
export type ThreePhaseCommitReport<R = readonly unknown[]> = CommitReport<'three-phase-commit', R>;
export type TryConfirmCancelReport<R = readonly unknown[]> = CommitReport<'try-confirm-cancel', R>;

/** The decision as whoever waits for it hears it. */
export type DecisionNotice = Omit<Decided, 'by'> & {
  readonly transaction: TransactionId;
  /** Who decided. Absent where the transaction has ended and only its report is left. */
  readonly by?: string;
};

/** The decision stands only where every branch obeyed it; whatever else makes the outcome `mixed`. */
export function outcomeOfBranches(
  decision: Decision,
  branches: readonly BranchReport[],
): 'committed' | 'aborted' | 'mixed' {
  if (branches.some(({ finish }) => finish.kind === 'skipped')) return 'mixed';
  return decision === 'commit' ? 'committed' : 'aborted';
}
