/**
 * What Temporal knows of a workflow and tells by no function of its own. The one place that looks for it; where a later version keeps it
 * elsewhere, there is nothing to be seen.
 */
import type { WorkflowOutboundCallsInterceptor } from '@temporalio/workflow';

interface Inside {
  isConfiguredFailureException?(error: unknown): boolean;
  recordWorkflowTaskError?(error: unknown): void;
  readonly interceptors?: { readonly outbound?: WorkflowOutboundCallsInterceptor[] };
}

const inside = (): Inside | undefined =>
  // Cast: its type promises to nobody that it stays as it is.
  (globalThis as { readonly __TEMPORAL_ACTIVATOR__?: unknown }).__TEMPORAL_ACTIVATOR__ as Inside | undefined;

/**
 * Whether the workflow fails with an error that is no Temporal failure, rather than its task: by `failureExceptionTypes` of the workflow or
 * `workflowFailureErrorTypes` of the worker.
 */
export const isConfiguredFailure = (error: unknown): boolean =>
  inside()?.isConfiguredFailureException?.(error) === true;

/** Has the task of the workflow fail with an error, as with one that the workflow function has not caught. @returns whether it does */
export function failsTaskWith(error: unknown): boolean {
  const known = inside();
  if (known?.recordWorkflowTaskError === undefined) return false;
  try {
    known.recordWorkflowTaskError(error);
  } catch {
    // Thrown here as well where Temporal has called this code itself: whoever could catch it must not.
  }
  return true;
}

/** Hears of all that the workflow begins from now on, and what it hears of goes its way. @returns whether it does */
export function overhear(interceptor: WorkflowOutboundCallsInterceptor): boolean {
  const outbound = inside()?.interceptors?.outbound;
  outbound?.push(interceptor);
  return outbound !== undefined;
}
