/** The spans of activities, as Temporal's interceptor draws them, with what this package knows of their branches. */
import { context, createContextKey, trace } from '@opentelemetry/api';
import type { Tracer } from '@opentelemetry/api';
import {
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry';
import type {
  ActivityExecuteInput,
  ActivityInboundCallsInterceptor,
  ActivityInterceptorsFactory,
  Next,
} from '@temporalio/worker';
import { askedBy } from '../protocol';
import { branchAskedOf, outcomeOf, outcomeOfFailure } from './branch-attributes';
import { isEndless } from './endless';

/** @param tracer for Temporal's interceptor */
export const activityInterceptors =
  (tracer: Tracer): ActivityInterceptorsFactory =>
  (activity) =>
    isEndless(activity.info.workflowType)
      ? { inbound: UNTRACED }
      : {
          inbound: new BranchSpans(activity, { tracer }),
          outbound: new OpenTelemetryActivityOutboundInterceptor(activity),
        };

/** As `suppressTracing` of `@opentelemetry/core` calls it, whose one function is not worth a dependency. */
const SUPPRESSED = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** What an endless workflow has done asks Temporal again and again, and each call would begin a trace, whatever the sampler is. */
const UNTRACED: ActivityInboundCallsInterceptor = {
  execute: (input, next) => context.with(context.active().setValue(SUPPRESSED, true), () => next(input)),
};

class BranchSpans extends OpenTelemetryActivityInboundInterceptor {
  override execute(
    input: ActivityExecuteInput,
    next: Next<ActivityInboundCallsInterceptor, 'execute'>,
  ): Promise<unknown> {
    const { taskQueue, activityType } = this.ctx.info;
    const { participant, question } = askedBy(activityType, taskQueue);
    const asked = branchAskedOf(participant, question, input.args[0]);
    if (asked === undefined) return super.execute(input, next);
    return super.execute(input, async (executed) => {
      const span = trace.getActiveSpan()?.setAttributes(asked);
      try {
        const answer = await next(executed);
        span?.setAttributes(outcomeOf(answer));
        return answer;
      } catch (error) {
        span?.setAttributes(outcomeOfFailure(error));
        throw error;
      }
    });
  }
}
