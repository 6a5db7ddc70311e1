/** What the doctor asks Temporal about one participant: whether its workers, its recovery and its relays are at work. */
import type { Client, Connection } from '@temporalio/client';
import { ok, problem } from './check';
import type { Check, Result } from './check';
import { lookAtQueue } from './temporal-checks';
import { standingOf } from './workflow-of-workers';
import type { Standing } from './workflow-of-workers';

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
  { name: 'relays', look: lookAtRelays },
];

async function lookAtRecovery({ client, participant, connection, namespace }: WorkerFacts): Promise<Result> {
  const workflowId = `recovery:${participant}`;
  const remedy = START(participant);
  const without = 'What its coordinator leaves in doubt or reserved stays so.';
  const standing = await standingOf(client, workflowId);
  if (standing.kind === 'never started')
    return problem(`Its workflow ${workflowId} was never started. ${without}`, remedy);
  if (standing.kind !== 'running') return stopped(workflowId, standing, without, remedy);
  const queue = await lookAtQueue(connection, namespace, participant, 'workflow', { remedy });
  return queue.status === 'ok' ? ok(`Its workflow ${workflowId} is running. ${queue.found}`) : queue;
}

/** A backlog is another check's. A service that publishes nothing has no relays. */
async function lookAtRelays({ client, participant }: WorkerFacts): Promise<Result> {
  const workflowId = `outbox:${participant}`;
  const standing = await standingOf(client, workflowId);
  if (standing.kind === 'never started')
    return ok('Nobody has ever relayed its outbox: well, as long as nothing is put into it.');
  if (standing.kind === 'running') return ok(`Its workflow ${workflowId} is running.`);
  return stopped(
    workflowId,
    standing,
    'What is put into its outbox is not published.',
    `Start a relay of ${participant}: runOutboxRelay, with TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE as here.`,
  );
}

function stopped(
  workflowId: string,
  standing: Extract<Standing, { readonly kind: 'ended' | 'stuck' }>,
  without: string,
  start: string,
): Result {
  if (standing.kind === 'ended')
    return problem(`Its workflow ${workflowId} has ended: ${standing.status}. ${without}`, start);
  const { attempts, failure } = standing;
  return problem(
    `Its workflow ${workflowId} is running and does not get on: its task has failed ${attempts} times in a row${failure === undefined ? '' : ` (${failure})`}. ${without}`,
    failure === 'EncryptionKeyMissing'
      ? `Give its workers the key again that their log names. If it is lost: ${ANEW(workflowId)}`
      : `The log of its workers says why. If that cannot be mended: ${ANEW(workflowId)}`,
  );
}

/** What it knows it has from the database, and looks there anew. */
const ANEW = (workflowId: string): string =>
  `temporal workflow terminate --workflow-id ${workflowId}; its workers start another within ten minutes, and nothing is lost.`;
