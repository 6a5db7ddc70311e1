/**
 * What the span of an activity or of a vote says of its branch: which one it is, and what it came to. Read from requests and answers
 * of the protocols, by their fields; of others, and of input and result, nothing is taken.
 */
import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { codeOf, outcomeOfAnswer, SPAN_ATTRIBUTES } from '../observability';
import type { BranchOutcome, SpanAttributes } from '../observability';
import { FailureType, parseBranchId, parseTransactionId } from '../protocol';
import { errorTypeOf } from './errors';

/** The branch that a vote or an acknowledgement is about. `undefined`: it is neither, or about none of ours. */
export const branchOfVote = (signal: string, message: unknown): SpanAttributes | undefined =>
  VOTES.includes(signal) ? branchIn(message) : undefined;

const VOTES: readonly string[] = ['vote', 'ack'];

function branchIn(message: unknown): SpanAttributes | undefined {
  try {
    const { transaction, branch } = message as { readonly transaction?: unknown; readonly branch?: unknown };
    return {
      [SPAN_ATTRIBUTES.transaction]: parseTransactionId(transaction),
      [SPAN_ATTRIBUTES.branch]: parseBranchId(branch),
    };
  } catch {
    // Anybody may send anything, also what throws when it is looked at.
    return undefined;
  }
}

/** The branch that an activity is asked about. @param participant the task queue */
export function branchAskedOf(participant: string, activity: string, request: unknown): SpanAttributes | undefined {
  const branch = branchIn(request);
  // An activity of the application may call its own fields so; those of ours have an input beside them.
  if (branch === undefined || !Object.hasOwn(request as object, 'input')) return undefined;
  return { ...branch, [SPAN_ATTRIBUTES.participant]: participant, [SPAN_ATTRIBUTES.operation]: activity };
}

/** How a question about a branch was answered. */
export const outcomeOf = (answer: unknown): SpanAttributes => attributesOf(outcomeOfAnswer(answer));

const attributesOf = ({ outcome, reason }: BranchOutcome): SpanAttributes => ({
  ...(outcome === undefined ? {} : { [SPAN_ATTRIBUTES.outcome]: outcome }),
  ...(reason === undefined ? {} : { [SPAN_ATTRIBUTES.reason]: reason }),
});

/** Why it was not. */
export function outcomeOfFailure(error: unknown): SpanAttributes {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const failure = cause instanceof ApplicationFailure ? cause : undefined;
  return {
    [SPAN_ATTRIBUTES.outcome]:
      cause instanceof CancelledFailure ? OUTCOMES.cancelled : (NOES[failure?.type ?? ''] ?? 'failed'),
    [SPAN_ATTRIBUTES.errorType]: errorTypeOf(error),
    ...(failure?.type === FailureType.Refusal ? attributesOf(codeOf(failure.details?.[0])) : {}),
  };
}

const OUTCOMES = { refused: 'refused', fenced: 'fenced', cancelled: 'cancelled' } as const;

/** What a participant says when it is well and the answer is no. */
const NOES: Readonly<Record<string, string>> = {
  [FailureType.Refusal]: OUTCOMES.refused,
  [FailureType.BranchFenced]: OUTCOMES.fenced,
};

/** Whether a question that failed has an outcome that the protocols are made for. */
export const isOutcomeOfProtocol = (attributes: Readonly<Record<string, unknown>>): boolean =>
  Object.values<unknown>(OUTCOMES).includes(attributes[SPAN_ATTRIBUTES.outcome]);
