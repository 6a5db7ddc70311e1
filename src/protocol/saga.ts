/**
 * What a saga has done so far and what that amounts to: the fate of each step and of its compensation, and the report
 * that callers, operators and the Web UI see.
 */
import type { Refusal } from './branch';
import type { BranchId, TransactionId } from './words';

/** What kind of promise a step makes to the saga. */
export type StepRole =
  /** Can be undone: runs before the pivot. */
  | 'compensatable'
  /** The go/no-go point: once it is done the saga goes forward only. */
  | 'pivot'
  /** Runs after the pivot and is retried until it succeeds. */
  | 'retriable';

/** What is known of a step. */
export type StepFate =
  | { readonly kind: 'running' }
  | { readonly kind: 'done'; readonly answer: 'applied' | 'applied-before' | 'read-only' }
  /** It did nothing and never will. */
  | { readonly kind: 'not-done'; readonly refusal: Refusal }
  /** It timed out, its worker was lost, or it was cancelled: it may have happened. */
  | { readonly kind: 'unknown'; readonly cause: string }
  /** It waits for a person. */
  | { readonly kind: 'held'; readonly cause: string }
  /** A person said what became of it. */
  | { readonly kind: 'resolved'; readonly as: 'done' | 'not-done'; readonly by: string; readonly reason: string }
  /** A person let the saga go on without it. */
  | { readonly kind: 'skipped'; readonly by: string; readonly reason: string };

/** What is known of a step's compensation. */
export type CompensationFate =
  /** The step did nothing, is read-only or a pivot, or the saga committed. */
  | { readonly kind: 'not-needed' }
  /** The step may have to be undone. */
  | { readonly kind: 'armed' }
  | { readonly kind: 'running' }
  | { readonly kind: 'compensated' }
  /** The step turned out never to have happened, and now cannot happen any more. */
  | { readonly kind: 'nothing-to-compensate' }
  /** It keeps failing and waits for a person. A retryable failure goes on being retried meanwhile. */
  | { readonly kind: 'held'; readonly cause: string }
  /** A person undid the step by other means. */
  | { readonly kind: 'resolved'; readonly by: string; readonly reason: string }
  /** A person gave it up: the step's effect stays. */
  | { readonly kind: 'skipped'; readonly by: string; readonly reason: string };

/** One line of a {@link SagaReport}. */
export interface StepReport {
  readonly branch: BranchId;
  readonly role: StepRole;
  /** Absent for a free-form step. */
  readonly participant?: string;
  readonly operation: string;
  readonly fate: StepFate;
  readonly compensation: CompensationFate;
}

/** Why a saga did not commit. */
export interface SagaCause {
  readonly kind: 'refused' | 'failed' | 'cancelled' | 'timed-out';
  readonly message: string;
  /** The business "no", when that was the cause. */
  readonly refusal?: Refusal;
  /** The step that failed, when one did. */
  readonly branch?: BranchId;
}

interface SagaReportBase {
  readonly id: TransactionId;
  readonly protocol: 'saga';
  /** In the order in which they began. */
  readonly steps: readonly StepReport[];
}

/** How a saga ended. Every step and compensation is listed with its fate. */
export type SettledSagaReport<R> =
  | (SagaReportBase & { readonly outcome: 'committed'; readonly result: R })
  | (SagaReportBase & { readonly outcome: 'compensated' | 'mixed'; readonly cause: SagaCause });

/** How a saga stands, or ended. */
export type SagaReport<R = unknown> =
  | SettledSagaReport<R>
  | (SagaReportBase & { readonly outcome: 'running' | 'compensating' | 'held'; readonly cause?: SagaCause });
