/** A workflow that a service's workers keep going, such as its recovery: whether it is there, and gets on. */
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { printable } from '../printable';

/** Once may be a worker that was killed. */
const IN_A_ROW = 2;

export type Standing =
  | { readonly kind: 'never started' }
  | { readonly kind: 'running' }
  | { readonly kind: 'ended'; readonly status: string }
  /** Its workers take its task, and fail each time. `failure`: the type of what the first one failed with, if it has one. */
  | { readonly kind: 'stuck'; readonly attempts: number; readonly failure?: string };

export async function standingOf(client: Client, workflowId: string): Promise<Standing> {
  const described = await describe(client, workflowId);
  if (described === undefined) return { kind: 'never started' };
  if (described.status.name !== 'RUNNING') return { kind: 'ended', status: described.status.name };
  const attempts = (described.raw.pendingWorkflowTask?.attempt ?? 1) - 1;
  if (attempts < IN_A_ROW) return { kind: 'running' };
  const failure = await lastFailure(client, described);
  return { kind: 'stuck', attempts, ...(failure === undefined ? {} : { failure }) };
}

async function describe(client: Client, workflowId: string): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** The type alone: messages may be encrypted, and quote what they should not. */
async function lastFailure(
  { workflowService, options }: Client,
  { workflowId, runId }: WorkflowExecutionDescription,
): Promise<string | undefined> {
  const { history } = await workflowService.getWorkflowExecutionHistoryReverse({
    namespace: options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 20,
  });
  const failed = history?.events?.find((event) => event.workflowTaskFailedEventAttributes);
  const type = failed?.workflowTaskFailedEventAttributes?.failure?.applicationFailureInfo?.type;
  return type ? printable(type) : undefined;
}
