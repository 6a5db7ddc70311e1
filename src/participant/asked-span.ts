/** The span of one question among many, in the trace of its transaction: what the span of an activity says of one that is asked alone. */
import { Context } from '@temporalio/activity';
import { codeOf, continuing, inSpan, isTraced, outcomeOfAnswer, SPAN_ATTRIBUTES, SPANS } from '../observability';
import type { SpanAttributes, SpanEnd } from '../observability';
import { FailureType, parseBranchId, parseTransactionId } from '../protocol';
import type { AskedOfMany, BranchRequest, ManyAnswer, ToldFailure } from '../protocol';

/** Answers a question inside its span. */
export function inAskedSpan(item: AskedOfMany, work: () => Promise<ManyAnswer>): Promise<ManyAnswer> {
  if (!isTraced()) return work();
  return inSpan(
    { name: `${SPANS.asked}${item.activity}`, attributes: attributesOf(item), ...continuing(item.trace) },
    work,
    endOf,
  );
}

function attributesOf({ activity, request }: AskedOfMany): SpanAttributes {
  const { taskQueue, workflowExecution } = Context.current().info;
  return {
    // The task queue of a participant is its name.
    [SPAN_ATTRIBUTES.participant]: taskQueue,
    [SPAN_ATTRIBUTES.operation]: activity,
    ...(workflowExecution ? { [SPAN_ATTRIBUTES.group]: workflowExecution.workflowId } : {}),
    ...branchIn(request),
  };
}

function branchIn(request: object): SpanAttributes {
  const { transaction, branch } = request as Partial<BranchRequest>;
  try {
    return {
      [SPAN_ATTRIBUTES.transaction]: parseTransactionId(transaction),
      // Locks are released for all of a transaction.
      ...(branch === undefined ? {} : { [SPAN_ATTRIBUTES.branch]: parseBranchId(branch) }),
    };
  } catch {
    // It is none, and its answer says so.
    return {};
  }
}

const endOf = (answer: ManyAnswer): SpanEnd => {
  // Together with others it was not done, and is asked by itself.
  if (answer === 'not-yet') return { outcome: 'alone' };
  return 'answer' in answer ? outcomeOfAnswer(answer.answer) : endOfFailure(answer.failure);
};

function endOfFailure({ type, details }: ToldFailure): SpanEnd {
  const errorType = type === undefined ? {} : { errorType: type };
  switch (type) {
    case FailureType.Refusal:
      return { outcome: 'refused', ...codeOf(details?.[0]), ...errorType };
    case FailureType.BranchFenced:
      return { outcome: 'fenced', ...errorType };
    default:
      return { outcome: 'failed', ...errorType, failed: true };
  }
}
