/** What the doctor asks Temporal about one participant: whether its workers and its recovery are at work. */
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client, Connection } from '@temporalio/client';
import { ok, problem } from './check';
import type { Check, Result } from './check';
import { lookAtQueue } from './temporal-checks';

export interface WorkerFacts {
  readonly client: Client;
  readonly connection: Connection;
  readonly namespace: string;
  readonly participant: string;
}

const START = (participant: string): string =>
  `Start a worker of ${participant}: runParticipant, with TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE as here.`;

export const WORKER_CHECKS: readonly Check<WorkerFacts>[] = [
  {
    name: 'task queue',
    look: ({ connection, namespace, participant }) =>
      lookAtQueue(connection, namespace, participant, 'activity', { remedy: START(participant) }),
  },
  { name: 'recovery', look: lookAtRecovery },
];

async function lookAtRecovery({ client, participant, ...rest }: WorkerFacts): Promise<Result> {
  const workflowId = `recovery:${participant}`;
  const state = await stateOf(client, workflowId);
  if (state !== 'RUNNING')
    return problem(
      `Its workflow ${workflowId} ${state === undefined ? 'was never started' : `has ended: ${state}`}. What its coordinator leaves in doubt or reserved stays so.`,
      START(participant),
    );
  const queue = await lookAtQueue(rest.connection, rest.namespace, participant, 'workflow', {
    remedy: START(participant),
  });
  return queue.status === 'ok' ? ok(`Its workflow ${workflowId} is running. ${queue.found}`) : queue;
}

async function stateOf(client: Client, workflowId: string): Promise<string | undefined> {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).status.name;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
