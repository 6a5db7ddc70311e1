/** What a failure is, what it proves, and how it reads in a report. */
import { RetryState } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
  isCancellation,
} from '@temporalio/workflow';
import { FailureType } from '../protocol';
import type { Refusal, StepFate } from '../protocol';
import { isConfiguredFailure } from './sdk';

/** Whether a workflow may fail with it, or with several of them told as one. Anything else is a bug: its task fails, until the code is mended. */
export const isFailure = (error: unknown): boolean =>
  error instanceof TemporalFailure ||
  isConfiguredFailure(error) ||
  (isSeveral(error) && error.errors.every((each) => isFailure(each)));

/** Of several failures that were told as one, such as by `Promise.any`, the first. */
export const firstOf = (error: unknown): unknown => (isSeveral(error) ? firstOf(error.errors[0]) : error);

const isSeveral = (error: unknown): error is AggregateError & { readonly errors: readonly unknown[] } =>
  error instanceof AggregateError && error.errors.length > 0;

/**
 * What is known of a step that failed. Only these prove that it did nothing: a refusal and a fence, which the participant
 * has committed, a branch that belongs to another request, and a transaction of its own
 * that was undone, aborted or not begun. A timeout, a lost worker, a cancellation, any other error
 * proves nothing. Where a step consists of more than what failed, see {@link FreeStepScope}.
 */
export function fateOf(error: unknown): StepFate {
  const failure = applicationFailureIn(error);
  switch (failure?.type) {
    case FailureType.Refusal:
      return { kind: 'not-done', refusal: refusalOf(error) ?? { code: 'refused', message: failure.message } };
    case FailureType.BranchFenced:
      return { kind: 'not-done', refusal: { code: 'fenced', message: failure.message } };
    case FailureType.InputMismatch:
      return { kind: 'not-done', refusal: { code: 'input-mismatch', message: failure.message } };
    case FailureType.TransactionAborted:
      return { kind: 'not-done', refusal: { code: 'aborted', message: failure.message } };
    case FailureType.TransactionCompensated:
      return { kind: 'not-done', refusal: { code: 'compensated', message: failure.message } };
    case FailureType.NotAttempted:
      return { kind: 'not-done', refusal: { code: 'not-attempted', message: failure.message } };
    default:
      return { kind: 'unknown', cause: messageOf(error) };
  }
}

/** Whether it tells of a transaction that was not begun. */
export const isNotAttempted = (error: unknown): boolean =>
  applicationFailureIn(error)?.type === FailureType.NotAttempted;

/** Whether the branch log holds something else under this branch: what is there is not this saga's to undo. */
export const isMismatch = (error: unknown): boolean => applicationFailureIn(error)?.type === FailureType.InputMismatch;

/**
 * The business "no" inside a failed step, if that is what it was.
 *
 * @example
 * try { await s.step(payments.charge, { … }); }
 * catch (error) { if (refusalOf(error)?.code === 'card-declined') return s.step(wallet.charge, { … }); throw error; }
 */
export function refusalOf(error: unknown): Refusal | undefined {
  const failure = applicationFailureIn(error);
  if (failure?.type !== FailureType.Refusal) return undefined;
  const refusal: unknown = failure.details?.[0];
  return isRefusal(refusal) ? refusal : { code: 'refused', message: failure.message };
}

/** As an activity fails whose participant has said no for good, where it was not asked by one of its own. */
export const finalFailure = (activity: string, cause: ApplicationFailure): ActivityFailure =>
  new ActivityFailure('Activity task failed', activity, undefined, RetryState.NON_RETRYABLE_FAILURE, undefined, cause);

/** Whether trying again without changing anything is pointless. */
export function isFinal(error: unknown): boolean {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure)
    return error.retryState === RetryState.NON_RETRYABLE_FAILURE;
  return error instanceof ApplicationFailure && error.nonRetryable === true;
}

/** Reports travel as one payload, and some errors quote whole documents. */
const LONGEST_MESSAGE = 500;

/** The innermost reason, shortened. */
export function messageOf(error: unknown): string {
  const message = reasonOf(error);
  return message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE)}…`;
}

function reasonOf(error: unknown): string {
  if (isCancellation(error)) return 'It was cancelled.';
  if (isSeveral(error)) return error.errors.map(reasonOf).join(' ');
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure)
    return cause ? reasonOf(cause) : error.message;
  if (error instanceof TimeoutFailure)
    return cause ? `${timeoutMessage(error)} Last failure: ${reasonOf(cause)}` : timeoutMessage(error);
  return error instanceof Error ? error.message : String(error);
}

const timeoutMessage = ({ timeoutType }: TimeoutFailure): string =>
  `It timed out (${(timeoutType ?? 'unspecified').toLowerCase().replaceAll('_', '-')}).`;

function applicationFailureIn(error: unknown): ApplicationFailure | undefined {
  const cause = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? cause : undefined;
}

const isRefusal = (value: unknown): value is Refusal =>
  typeof value === 'object' &&
  value !== null &&
  'code' in value &&
  typeof value.code === 'string' &&
  'message' in value &&
  typeof value.message === 'string';
