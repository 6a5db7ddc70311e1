/**
 * What a coordinator and a participant say to each other about one branch. The messages appear as activity inputs and
 * results in the Temporal Web UI, so they are small and read well there.
 */
import type { BranchId, TransactionId } from './words';

/** Asks a participant for one operation of one transaction. */
export interface BranchRequest {
  readonly transaction: TransactionId;
  readonly branch: BranchId;
  readonly input: unknown;
  /**
   * Hash of the input of the whole transaction, when its starter gave one. Two requests under one transaction id with
   * different hashes are two different business operations that collide: the second one is refused.
   */
  readonly request?: string;
  /** Workflow id of the coordinator, where somebody else asks for it: as long as it is open, nobody may forget the branch. */
  readonly coordinator?: string;
  /** Rather refuse than wait, where something that the operation calls is known to be away. */
  readonly failFast?: true;
  /** The branch may have been asked for before, so an attempt looks for what that left before it begins. */
  readonly again?: true;
  /** Id of the group that has handed the transaction over to whoever asks: what that has done is theirs now. */
  readonly inherits?: string;
}

/** A business "no". Stored in the branch log, so that it is final: no later attempt of the branch can take effect. */
export interface Refusal {
  /** Stable, for programs: `insufficient-funds`. */
  readonly code: string;
  /** For people. No personal data: it is shown in the Web UI. */
  readonly message: string;
  readonly details?: unknown;
}

/**
 * The answer to `execute`. A late action, whose branch was compensated meanwhile, hears neither: it fails with
 * {@link FailureType.BranchFenced}.
 */
export interface ExecuteAnswer {
  /** `read-only`: the operation changes nothing, so nothing was logged and there is nothing to undo. */
  readonly answer: 'applied' | 'applied-before' | 'read-only';
  readonly result: unknown;
  /** The branch took semantic locks: the coordinator has them released when the transaction completes. */
  readonly locks?: true;
  /** With `applied-before`: the workflow that had asked for it, when that was another one. */
  readonly by?: string;
  /** With `applied-before`: the run of the same workflow that had asked for it, when that was an earlier one. */
  readonly earlier?: string;
}

/** The answer to `compensate`. */
export interface CompensateAnswer {
  readonly answer: 'compensated' | 'compensated-before' | 'nothing-to-compensate';
}

/** The answer to `query`, which settles an unknown outcome: what has not happened by now is fenced off for ever. */
export type QueryAnswer =
  | (Pick<ExecuteAnswer, 'result' | 'locks' | 'by' | 'earlier'> & { readonly answer: 'applied' })
  | { readonly answer: 'refused'; readonly refusal: Refusal }
  | { readonly answer: 'never-applied' };

/** The `type` of each failure that crosses from a participant or a coordinator to its caller. */
export const FailureType = {
  /** A business "no"; the details hold the {@link Refusal}. The branch did nothing and never will. */
  Refusal: 'Refusal',
  /** A late action: its branch was compensated or given up before it came. It did nothing. */
  BranchFenced: 'BranchFenced',
  /** The branch, or the transaction, exists with another input. This request changed nothing; the earlier one stands. */
  InputMismatch: 'InputMismatch',
  /** The request is malformed or the operation cannot run as it is written. It did nothing; retrying cannot help. */
  BadRequest: 'BadRequest',
  /** Another attempt of the same branch is under way, or a row is locked. Retried. */
  InProgress: 'InProgress',
  /** Another transaction holds a semantic lock. Retried. */
  ResourceLocked: 'ResourceLocked',
  /** Something that the operation calls, or the participant itself, is known to be away: this attempt did nothing. Retried. */
  CircuitOpen: 'CircuitOpen',
  /** The transaction was not begun, because a participant is known to be away. */
  NotAttempted: 'NotAttempted',
  /** Whatever else the operation threw. The attempt was rolled back. Retried. */
  OperationFailed: 'OperationFailed',
  /** A saga failed and everything it did was undone; the details hold the report. */
  TransactionCompensated: 'TransactionCompensated',
  /** Nothing took effect: a branch voted `abort`, or no vote came; the details hold the report. */
  TransactionAborted: 'TransactionAborted',
  /** A branch did otherwise than the register says; the details hold the evidence. */
  HeuristicOutcome: 'HeuristicOutcome',
  /** The branch was committed by a group that has told its caller so, or of which nobody knows any more: it is not undone. */
  CommittedByGroup: 'CommittedByGroup',
  /** The same, where an earlier run of the workflow has committed it. */
  CommittedEarlier: 'CommittedEarlier',
  /** A prepared branch is gone without a trace. */
  PreparedLost: 'PreparedLost',
  /** A transaction ended with some branches in effect and others not; the details hold the report. */
  TransactionMixed: 'TransactionMixed',
} as const;

export type FailureType = (typeof FailureType)[keyof typeof FailureType];
