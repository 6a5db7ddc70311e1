/** Temporal's development server and workers on it, in the process of a test: everything by the real clock. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { TransactionClient } from '../src/client';
import { searchAttributeList } from '../src/observability';
import { TemporalDevServer } from '../src/testing';
import type { Activities } from '../src/testing';
import { startRecovery } from '../src/worker/recovery';
import type { RecoverySettings } from '../src/worker/recovery';
import { bundleWorkflows } from './bundle';
import { compiledWorkflows, packageRoot, quiet } from './saga-more/environment';

export interface RealServer {
  readonly client: Client;
  readonly native: NativeConnection;
  readonly namespace: string;
  stop(): Promise<void>;
}

/** What a participant's worker runs besides activities. The build makes it; bundling it for every file would cost seconds. */
export const PARTICIPANT_BUNDLE = {
  workflowBundle: { codePath: join(packageRoot, 'dist/src/worker/participant-workflows.bundle.js') },
};

export async function startServer(): Promise<RealServer> {
  quiet();
  const endings: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  try {
    const server = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
    endings.push(() => server.stop());
    const { address, namespace } = server;
    const connection = await Connection.connect({ address });
    endings.push(() => connection.close());
    const native = await NativeConnection.connect({ address });
    endings.push(() => native.close());
    return { client: new Client({ connection, namespace }), native, namespace, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts workers: one for the workflows of a test directory, and one for each participant. @returns what stops them */
export async function startWorkers(
  { native, namespace }: RealServer,
  directory: string,
  participants: Readonly<Record<string, Activities>>,
  own: Partial<WorkerOptions> = {},
): Promise<() => Promise<unknown>> {
  const create = (options: Partial<WorkerOptions> & { readonly taskQueue: string }): Promise<Worker> =>
    Worker.create({ connection: native, namespace, ...options });
  const workers = [
    await create({
      taskQueue: 'transactions',
      workflowBundle: await bundleWorkflows(compiledWorkflows(directory)),
      stickyQueueScheduleToStartTimeout: '1 second',
    }),
    ...(await Promise.all(
      Object.entries(participants).map(([taskQueue, activities]) => create({ taskQueue, activities, ...own })),
    )),
  ];
  const stopped = workers.map((worker) => worker.run());
  return () => {
    for (const worker of workers) worker.shutdown();
    return Promise.all(stopped);
  };
}

export interface RealTimeEnvironment {
  readonly client: Client;
  readonly transactions: TransactionClient;
  stop(): Promise<void>;
}

/**
 * As the test kit's environment, by the real clock. For what the time-skipping server cannot do: when an activity ends in the same
 * moment in which it is cancelled, that server loses count of who waits, and its clock stands still from then on.
 */
export async function startRealTimeEnvironment(
  directory: string,
  participants: Readonly<Record<string, Activities>>,
  own: Partial<WorkerOptions> = {},
): Promise<RealTimeEnvironment> {
  const server = await startServer();
  const { client } = server;
  try {
    const stopWorkers = await startWorkers(server, directory, participants, own);
    const stop = async (): Promise<void> => {
      await stopWorkers();
      await server.stop();
    };
    return { client, transactions: new TransactionClient({ client }), stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

type Run = (request: { readonly transaction?: string }) => Promise<unknown>;

/** A server with workers whose activities dwell, so that there is a moment to act at every event, and with recovery at work. */
export class SlowServer {
  /** How many activities of a transaction are under way. */
  readonly inFlight = new Map<string, number>();

  private constructor(
    readonly server: RealServer,
    private readonly dwellMs: number,
  ) {}

  static async start(
    directory: string,
    participants: Readonly<Record<string, Activities>>,
    { dwellMs, ...patience }: RecoverySettings & { readonly dwellMs: number },
  ): Promise<SlowServer> {
    const server = await startServer();
    const slow = new SlowServer(server, dwellMs);
    const dwelling = Object.entries(participants).map(
      ([name, activities]) => [name, slow.#slowly(activities)] as const,
    );
    slow.#stopWorkers = await startWorkers(server, directory, Object.fromEntries(dwelling), PARTICIPANT_BUNDLE);
    for (const participant of Object.keys(participants)) {
      await startRecovery(server.client, { participant, everyMs: 200, ...patience });
      slow.#recoveries.push(participant);
    }
    return slow;
  }

  readonly #recoveries: string[] = [];
  #stopWorkers: () => Promise<unknown> = async () => undefined;

  async stop(): Promise<void> {
    for (const name of this.#recoveries) await this.server.client.workflow.getHandle(`recovery:${name}`).terminate();
    await this.#stopWorkers();
    await this.server.stop();
  }

  async eventsOf(id: string): Promise<Events> {
    const { events } = await this.server.client.workflow.getHandle(id).fetchHistory();
    return events ?? [];
  }

  /**
   * Resets a workflow to the end of one of its tasks, the last one unless told otherwise.
   *
   * @param reapply whether signals and updates that came later are applied again
   */
  async reset(id: string, reapply: boolean, task?: number): Promise<void> {
    const at = task ?? tasksIn(await this.eventsOf(id)).at(-1);
    if (at === undefined) return;
    await resetTo(this.server, id, at, reapply);
  }

  #slowly(activities: Activities): Activities {
    const slow = Object.entries(activities).map(([name, activity]) => {
      const run = activity as Run; // Cast: requests name their transaction.
      const dwelling: Run = (request) => this.#dwell(request.transaction ?? '', () => run(request));
      return [name, name.startsWith('recovery.') ? run : dwelling] as const;
    });
    return Object.fromEntries(slow);
  }

  async #dwell(id: string, work: () => Promise<unknown>): Promise<unknown> {
    this.inFlight.set(id, (this.inFlight.get(id) ?? 0) + 1);
    try {
      await sleep(this.dwellMs);
      const answer = await work();
      await sleep(this.dwellMs);
      return answer;
    } finally {
      this.inFlight.set(id, (this.inFlight.get(id) ?? 0) - 1);
    }
  }
}

/** Of `temporal.api.enums.v1.ResetReapplyType`, which the SDK exports only from its internals. */
const REAPPLY_NONE = 2;
const REAPPLY_ALL = 3;

/**
 * @param task where one of its workflow tasks ends
 * @param reapply whether signals, updates and requests to cancel that came later are applied again
 */
export async function resetTo(
  { client, namespace }: RealServer,
  id: string,
  task: number,
  reapply: boolean,
): Promise<void> {
  await client.connection.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: id },
    workflowTaskFinishEventId: task as never, // Cast: of a number its Long is made.
    requestId: `${id}-${task}-${reapply}`,
    reason: 'by a test',
    resetReapplyType: reapply ? REAPPLY_ALL : REAPPLY_NONE,
  });
}

type History = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>;
export type Events = NonNullable<History['events']>;

/** The ends of workflow tasks: to each of them a workflow can be reset. */
export const tasksIn = (events: Events): number[] =>
  events.filter((event) => event.workflowTaskCompletedEventAttributes).map(({ eventId }) => Number(eventId));

/** What an operator's act may find: it had ended a moment before. */
export const endedBefore = (error: unknown): boolean => /already completed|not found|not running/i.test(String(error));
