/** The spans of calls to Temporal, as its interceptor draws them, with what this package knows of votes. */
import { trace } from '@opentelemetry/api';
import type {
  Next,
  WorkflowClientInterceptor,
  WorkflowSignalInput,
  WorkflowSignalWithStartInput,
} from '@temporalio/client';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry';
import { branchOfVote } from './branch-attributes';
import { isEndless } from './endless';

export class ClientSpans extends OpenTelemetryWorkflowClientInterceptor {
  override signal(input: WorkflowSignalInput, next: Next<WorkflowClientInterceptor, 'signal'>): Promise<void> {
    return super.signal(input, (sent) => {
      const branch = branchOfVote(sent.signalName, sent.args[0]);
      if (branch) trace.getActiveSpan()?.setAttributes(branch);
      return next(sent);
    });
  }

  override signalWithStart(
    input: WorkflowSignalWithStartInput,
    next: Next<WorkflowClientInterceptor, 'signalWithStart'>,
  ): Promise<string> {
    return isEndless(input.workflowType) ? next(input) : super.signalWithStart(input, next);
  }
}
