/**
 * Publishes an event by starting a workflow. The id of the workflow is made of the event, and an id is taken for as long as Temporal
 * remembers the workflow, so an event that comes again starts nothing. The memory is the retention of the namespace: it must be
 * longer than an event can be on its way, which is as long as relays may stand still between publishing it and noting so.
 */
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import type { Client, WorkflowStartOptions } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';

import { toCloudEvent } from '../cloud-event';
import { NotYetPublishedError } from '../errors';
import type { OutboxEvent } from '../event';
import type { Publisher } from '../publisher';
import { eventName } from './event-name';
import { permanently } from './refused-by-temporal';

export interface StartWorkflowOptions extends Omit<
  WorkflowStartOptions,
  'args' | 'workflowId' | 'workflowIdConflictPolicy' | 'workflowIdReusePolicy'
> {
  /** The type of the workflow, or the workflow function. */
  readonly workflow: string | Workflow;
  /**
   * The id of the workflow. Two events that get the same one start a single workflow, and both count as published.
   *
   * @default made of the event's source and id: `event:/orders:5f0c…`
   */
  readonly workflowId?: (event: OutboxEvent) => string;
  /** What the workflow is called with. @default the event as a CloudEvent */
  readonly args?: (event: OutboxEvent) => unknown[];
  /**
   * When an event counts as published. `start`: its workflow runs, and those of a key's next events may overtake it. `completion`:
   * its workflow has completed, so what the workflows of a key do is in order too; one that failed is started again by the next
   * attempt, until the key is parked. One that still runs after `publishTimeoutMs` is waited for again, however long it takes, and
   * keeps its key: bound it by a `workflowExecutionTimeout`.
   *
   * @default 'start'
   */
  readonly waitFor?: 'start' | 'completion';
}

/**
 * Starts a workflow for each event, once. Other options of `client.workflow.start` are taken too.
 *
 * @example
 * const publisher = startWorkflow(client, { workflow: 'reserveInventory', taskQueue: 'inventory' });
 */
export function startWorkflow(client: Client, options: StartWorkflowOptions): Publisher {
  const { workflow, workflowId = eventName, args = (event) => [toCloudEvent(event)], waitFor, ...others } = options;
  const start = async (event: OutboxEvent): Promise<void> => {
    try {
      await client.workflow.start(workflow, {
        ...others,
        workflowId: workflowId(event),
        args: args(event),
        // Running: it is this event's. Closed: it was, and where it has to complete, one that failed was in vain.
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: waitFor === 'completion' ? 'ALLOW_DUPLICATE_FAILED_ONLY' : 'REJECT_DUPLICATE',
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw permanently(error);
    }
  };
  const completion = async (id: string, signal: AbortSignal): Promise<void> => {
    try {
      await client.workflow.getHandle(id).result();
    } catch (error) {
      if (!signal.aborted || error instanceof WorkflowFailedError) throw error;
      throw new NotYetPublishedError(`its workflow ${id} has not ended`);
    }
  };
  return {
    publish: (event, signal) =>
      client.withAbortSignal(signal, async () => {
        // The client only sees it being aborted.
        signal.throwIfAborted();
        await start(event);
        if (waitFor === 'completion') await completion(workflowId(event), signal);
      }),
  };
}
