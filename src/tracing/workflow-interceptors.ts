/**
 * What traces inside workflows: Temporal's interceptors, which connect and export the spans, with what this package knows of its branches.
 * Loaded into the sandbox by the bundler, and nowhere else.
 *
 * Three things are ours. Ids of spans are drawn from numbers of their own: with those of the workflow, the tokens of votes would be
 * others than in the history, and no transaction could go on when tracing is switched on or off. What comes as trace context and is
 * none is dropped: it would fail every workflow task of a coordinator. And endless workflows draw nothing.
 */
import { trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Headers } from '@temporalio/common';
import {
  OpenTelemetryInboundInterceptor,
  OpenTelemetryInternalsInterceptor,
  OpenTelemetryOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry/lib/workflow';
import { getRandomStream, workflowInfo } from '@temporalio/workflow';
import type {
  ActivityInput,
  LocalActivityInput,
  Next,
  SignalInput,
  WorkflowInboundCallsInterceptor,
  WorkflowInterceptors,
  WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';
import { installTracing } from '../observability';
import type { SpanAttributes } from '../observability';
import { askedBy } from '../protocol';
import { branchAskedOf, branchOfVote, outcomeOf, outcomeOfFailure } from './branch-attributes';
import { drawWith } from './drawing';
import { isEndless } from './endless';

export function interceptors(): WorkflowInterceptors {
  if (isEndless(workflowInfo().workflowType)) return {};
  const numbers = getRandomStream('temporal-txn/tracing');
  const apart = <T extends object>(interceptor: T): T => beside(interceptor, (call) => numbers.with(call));
  const inbound = apart(new SignalSpans());
  const outbound = apart(new BranchSpans());
  installTracing(drawWith(trace.getTracer('temporal-txn'), (draw) => numbers.with(draw)));
  return { inbound: [inbound], outbound: [outbound], internals: [new OpenTelemetryInternalsInterceptor()] };
}

class SignalSpans extends OpenTelemetryInboundInterceptor {
  override handleSignal(
    input: SignalInput,
    next: Next<WorkflowInboundCallsInterceptor, 'handleSignal'>,
  ): Promise<void> {
    return super.handleSignal(input, (handled) => {
      describe(branchOfVote(handled.signalName, handled.args[0]));
      return next(handled);
    });
  }
}

class BranchSpans extends OpenTelemetryOutboundInterceptor {
  override scheduleActivity(
    input: ActivityInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'scheduleActivity'>,
  ): Promise<unknown> {
    const asked = askedIn(input);
    return super.scheduleActivity(input, asked ? telling(asked, next) : next);
  }

  override scheduleLocalActivity(
    input: LocalActivityInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'scheduleLocalActivity'>,
  ): Promise<unknown> {
    const asked = askedIn(input);
    return super.scheduleLocalActivity(input, asked ? telling(asked, next) : next);
  }
}

function askedIn({ activityType, args, ...input }: ActivityInput | LocalActivityInput): SpanAttributes | undefined {
  const { taskQueue } = input.options as { readonly taskQueue?: string };
  const { participant, question } = askedBy(activityType, taskQueue ?? workflowInfo().taskQueue);
  return branchAskedOf(participant, question, args[0]);
}

const telling =
  <Input>(asked: SpanAttributes, next: (input: Input) => Promise<unknown>) =>
  async (scheduled: Input): Promise<unknown> => {
    const span = describe(asked);
    try {
      const answer = await next(scheduled);
      span?.setAttributes(outcomeOf(answer));
      return answer;
    } catch (error) {
      span?.setAttributes(outcomeOfFailure(error));
      throw error;
    }
  };

function describe(attributes: SpanAttributes | undefined): Span | undefined {
  const span = trace.getActiveSpan();
  if (attributes) span?.setAttributes(attributes);
  return span;
}

type Method = (input: unknown, next: (given: unknown) => unknown) => unknown;

/**
 * Has an interceptor see what goes on without being waited for: it calls `next` at once, and the workflow gets what came of that. Its own
 * promise is fulfilled some turns later, and a workflow that waited for it would go on in another order than without it.
 *
 * @param around what its methods run in; `next` runs outside again: the SDK sees to that
 */
function beside<T extends object>(interceptor: T, around: (call: () => unknown) => unknown): T {
  return new Proxy(interceptor, {
    get(target, name) {
      const method = Reflect.get(target, name) as Method | undefined; // Cast: fields of theirs are not asked for.
      if (typeof method !== 'function') return method;
      const watching: Method = (input, next) => {
        let outcome: unknown;
        const seen = around(() => method.call(target, withReadableContext(input), (given) => (outcome = next(given))));
        if (!(outcome instanceof Promise) || !(seen instanceof Promise)) return seen;
        // The workflow hears of it by the outcome.
        seen.catch(() => undefined);
        return outcome;
      };
      return watching;
    },
  });
}

/** As the interceptors call it; they export its name to nobody. */
const TRACE_HEADER = '_tracer-data';

function withReadableContext(input: unknown): unknown {
  const { headers } = input as { readonly headers?: Headers };
  const header = headers?.[TRACE_HEADER];
  if (header === undefined || isCarrier(header)) return input;
  const { [TRACE_HEADER]: _, ...others } = headers ?? {};
  return { ...(input as object), headers: others };
}

function isCarrier(header: Headers[string]): boolean {
  try {
    const carrier: unknown = defaultPayloadConverter.fromPayload(header);
    return typeof carrier === 'object' && Object.values(carrier ?? {}).every((value) => typeof value === 'string');
  } catch {
    return false;
  }
}
