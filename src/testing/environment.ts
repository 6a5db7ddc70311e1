/**
 * Sagas under test: Temporal's time-skipping server, a strict worker for the workflows, and a worker for each participant.
 * Days of timeouts pass in moments, and a misplaced step is an error on the happy path already.
 */
import { join } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import type { Duration } from '@temporalio/common';
import { TransactionClient } from '../client';
import { searchAttributeList } from '../observability';
import { startTimeSkipping } from './temporal/time-skipping';

const TASK_QUEUE = 'transactions';

/** Activities by type, as `participantActivities` makes them, or hand-written ones that answer as a participant would. */
// The arguments of an activity are its own affair: only the worker calls it.
export type Activities = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;

export interface TransactionTestEnvironmentOptions {
  /** The workflows: the path of their module, or a bundle from {@link bundleWorkflows}. */
  readonly workflows: string | WorkflowBundleWithSourceMap;
  /** Activities of each participant, by the name of the participant. */
  readonly participants: Readonly<Record<string, Activities>>;
}

/** Bundles workflow code once, for several environments. */
export const bundleWorkflows = (workflowsPath: string): Promise<WorkflowBundleWithSourceMap> =>
  bundleWorkflowCode({ workflowsPath, workflowInterceptorModules: [strictModule()] });

// Without an extension, so that the bundler finds it among the sources too, where a test runner has loaded this file.
const strictModule = (): string => join(__dirname, 'strict-workflows');

export class TransactionTestEnvironment {
  private constructor(
    /** The SDK's own environment, for everything that this one does not offer. */
    readonly temporal: TestWorkflowEnvironment,
    /** Starts transactions. */
    readonly transactions: TransactionClient,
    private readonly workers: readonly { worker: Worker; stopped: Promise<void> }[],
  ) {}

  /**
   * Starts everything. End it with {@link stop}.
   *
   * @example
   * const env = await TransactionTestEnvironment.start({
   *   workflows: require.resolve('../workflows'),
   *   participants: { 'north-bank': participantActivities(accounts, { pool }) },
   * });
   * const receipt = await env.transactions.execute(transferMoney, { id: 'transfer-1', input });
   */
  static async start({
    workflows,
    participants,
  }: TransactionTestEnvironmentOptions): Promise<TransactionTestEnvironment> {
    const temporal = await startTimeSkipping({ searchAttributes: searchAttributeList() });
    const workers: { worker: Worker; stopped: Promise<void> }[] = [];
    const environment = new TransactionTestEnvironment(
      temporal,
      new TransactionClient({ client: temporal.client, taskQueue: TASK_QUEUE }),
      workers,
    );
    try {
      const workflowBundle = typeof workflows === 'string' ? await bundleWorkflows(workflows) : workflows;
      const connection = temporal.nativeConnection;
      const start = (worker: Worker): void => void workers.push({ worker, stopped: worker.run() });
      start(await Worker.create({ connection, taskQueue: TASK_QUEUE, workflowBundle }));
      for (const [taskQueue, activities] of Object.entries(participants)) {
        start(await Worker.create({ connection, taskQueue, activities, maxHeartbeatThrottleInterval: '1 second' }));
      }
      return environment;
    } catch (error) {
      await environment.stop();
      throw error;
    }
  }

  /** Lets time pass, in the server and so in the workflows. */
  async sleep(duration: Duration): Promise<void> {
    await this.temporal.sleep(duration);
  }

  /** Stops workers and server. */
  async stop(): Promise<void> {
    for (const { worker } of this.workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(this.workers.map(({ stopped }) => stopped));
    await this.temporal.teardown();
  }
}
