/** What the Web UI shows of a workflow as its Current Details, without the space that only its page needs. */
import type { WorkflowHandle } from '@temporalio/client';

export async function currentDetails(workflow: WorkflowHandle): Promise<string> {
  const metadata = await workflow.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  const { currentDetails: details = '' } = metadata;
  return details
    .replaceAll(/\| \u00a0+ (?=\|)/g, '')
    .replaceAll(/\u00a0+ \|/g, ' |')
    .replaceAll('\u00a0', ' ');
}
