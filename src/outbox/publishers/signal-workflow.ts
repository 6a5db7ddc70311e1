/** Publishes an event by signalling a workflow, which is started first if one likes. */
import type { Client, WorkflowStartOptions } from '@temporalio/client';
import type { SignalDefinition, Workflow } from '@temporalio/common';

import { toCloudEvent } from '../cloud-event';
import type { OutboxEvent } from '../event';
import type { Publisher } from '../publisher';
import { permanently } from './refused-by-temporal';

export interface SignalWorkflowOptions {
  /** Which workflow to signal. */
  readonly workflowId: (event: OutboxEvent) => string;
  readonly signal: string | SignalDefinition<unknown[]>;
  /** What the signal carries. @default the event as a CloudEvent */
  readonly args?: (event: OutboxEvent) => unknown[];
  /**
   * Starts the workflow, in the same step, where none of that id runs; also one that has completed, unless `workflowIdReusePolicy`
   * says otherwise. @default nothing is started: an event whose workflow does not run is tried again
   */
  readonly start?: Omit<WorkflowStartOptions, 'args' | 'workflowId'> & {
    readonly workflow: string | Workflow;
    /** What the workflow is called with. @default nothing */
    readonly args?: (event: OutboxEvent) => unknown[];
  };
}

/**
 * Signals a workflow for each event. The same signal may come twice, so its handler must know the event again: by `source` and `id`
 * of the CloudEvent that it gets. With the versions of a key, which come in order, the last `sequence` is all there is to remember.
 *
 * @example
 * const publisher = signalWorkflow(client, { workflowId: (event) => `order-${event.key}`, signal: 'inventoryReserved' });
 */
export function signalWorkflow(client: Client, options: SignalWorkflowOptions): Publisher {
  const { workflowId, signal, start, args = (event) => [toCloudEvent(event)] } = options;
  const send = async (event: OutboxEvent): Promise<unknown> => {
    const id = workflowId(event);
    if (start === undefined) return client.workflow.getHandle(id).signal(signal, ...args(event));
    const { workflow, args: startArgs = () => [], ...others } = start;
    return client.workflow.signalWithStart(workflow, {
      ...others,
      workflowId: id,
      args: startArgs(event),
      signal,
      signalArgs: args(event),
    });
  };
  return {
    publish: (event, abort) =>
      client.withAbortSignal(abort, async () => {
        // The client only sees it being aborted.
        abort.throwIfAborted();
        try {
          await send(event);
        } catch (error) {
          throw permanently(error);
        }
      }),
  };
}
