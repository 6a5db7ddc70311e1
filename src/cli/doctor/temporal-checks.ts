/** What the doctor asks Temporal. */
import type { Connection } from '@temporalio/client';
import { inspectSearchAttributes } from '../../client';
import { isLoopback } from '../../protocol';
import { count, printable } from '../printable';
import type { TemporalAccess } from '../temporal';
import { ok, problem, warning } from './check';
import type { Check, Result } from './check';
import { temporalClock } from './clock';
import { judgeTemporalVersion } from './server-version';

export interface TemporalFacts extends TemporalAccess {
  /** Where coordinators are started. */
  readonly taskQueue: string;
}

const DAY_S = 24 * 60 * 60;

/** Of the server and the namespace. */
export const TEMPORAL_CHECKS: readonly Check<TemporalFacts>[] = [
  {
    name: 'version',
    look: async ({ connection }) =>
      judgeTemporalVersion((await connection.workflowService.getSystemInfo({})).serverVersion),
  },
  {
    name: 'connection',
    look: async ({ address, secured }) => {
      if (secured) return ok('Encrypted.');
      if (isLoopback(address.replace(/:\d+$/, ''))) return ok('In plain text, on this machine only.');
      return warning(
        `In plain text over a network, allowed by TXN_ALLOW_INSECURE: whoever is on it can steer transactions.`,
        'Configure TLS (TEMPORAL_TLS, TEMPORAL_TLS_CLIENT_CERT_PATH and the like) or TEMPORAL_API_KEY.',
      );
    },
  },
  { name: 'namespace', look: lookAtNamespace },
  { name: 'search attributes', look: lookAtAttributes },
  {
    name: 'coordinators',
    look: ({ connection, namespace, taskQueue }) =>
      lookAtQueue(connection, namespace, taskQueue, 'workflow', {
        remedy: `Start a worker with runCoordinator; if its task queue is called otherwise, say so with --task-queue.`,
      }),
  },
  { name: 'clock', look: ({ connection, namespace }) => temporalClock(connection, namespace) },
];

async function lookAtNamespace({ connection, namespace }: TemporalFacts): Promise<Result> {
  const name = printable(namespace);
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const retentionS = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
    const told = `${name} keeps what has ended for ${Math.round((retentionS / DAY_S) * 10) / 10} days.`;
    return retentionS >= DAY_S
      ? ok(told)
      : warning(
          `${told} Who asks for a result later is told that there was no such transaction.`,
          `temporal operator namespace update --namespace ${name} --retention 72h`,
        );
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return problem(
      `There is no namespace ${name}.`,
      `Name the right one with --namespace or TEMPORAL_NAMESPACE, or: temporal operator namespace create --namespace ${name} --retention 72h`,
    );
  }
}

const NOT_FOUND = 5;
const isNotFound = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === NOT_FOUND;

async function lookAtAttributes({ connection, namespace }: TemporalFacts): Promise<Result> {
  const { present, missing, conflicting } = await inspectSearchAttributes(connection, namespace);
  if (conflicting.length > 0)
    return problem(
      `Of another type than ours: ${conflicting.map(({ name, found }) => `${name} (${found})`).join(', ')}. A workflow that sets it stalls.`,
      'temporal operator search-attribute remove, if nothing else uses it; then temporal-txn setup',
    );
  return missing.length === 0
    ? ok(`All ${present.length} are registered.`)
    : problem(`Not registered: ${missing.join(', ')}. A workflow that sets one stalls.`, 'temporal-txn setup');
}

const QUEUE_TYPES = { workflow: 1, activity: 2 } as const;

/** Whether any worker polls a task queue. Temporal remembers a poller for five minutes. */
export async function lookAtQueue(
  connection: Connection,
  namespace: string,
  name: string,
  kind: keyof typeof QUEUE_TYPES,
  { remedy }: { readonly remedy: string },
): Promise<Result> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name },
    taskQueueType: QUEUE_TYPES[kind],
  });
  const workers = new Set((pollers ?? []).map(({ identity }) => identity)).size;
  return workers > 0
    ? ok(`${count(workers, 'worker')} polled ${name} for ${kind} tasks in the last minutes.`)
    : problem(`No worker polls ${name} for ${kind} tasks: what is sent there waits.`, remedy);
}
