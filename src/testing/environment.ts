/**
 * Sagas under test: Temporal's time-skipping server, a strict worker for the workflows, and a worker for each participant.
 * Days of timeouts pass in moments, and a misplaced step is an error on the happy path already.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import type { Duration } from '@temporalio/common';
import { TransactionClient } from '../client';
import { searchAttributeList } from '../observability';
import { ParticipantCircuits, workflowBundleOptions } from '../worker';
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
  /** Whether participants run their part of three-phase commit, which is a workflow of theirs. @default false: they start sooner */
  readonly threePhaseCommit?: boolean;
  /** What the worker of the workflows knows of participants, for transactions that want to fail fast. @default it knows of nobody */
  readonly circuits?: ParticipantCircuits;
}

/** Bundles workflow code once, for several environments. */
export function bundleWorkflows(workflowsPath: string): Promise<WorkflowBundleWithSourceMap> {
  const usual = workflowBundleOptions();
  return bundleWorkflowCode({
    workflowsPath,
    ...usual,
    workflowInterceptorModules: [...usual.workflowInterceptorModules, strictModule()],
  });
}

// Without an extension, so that the bundler finds it among the sources too, where a test runner has loaded this file.
const strictModule = (): string => join(__dirname, 'strict-workflows');
// Compiled, or the source where a test runner has loaded this file.
const participantModule = (): string => {
  const module = join(__dirname, '../worker/participant-workflows');
  return existsSync(`${module}.js`) ? `${module}.js` : `${module}.ts`;
};

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
    threePhaseCommit = false,
    circuits = new ParticipantCircuits(),
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
      const { activities: asking, sinks } = circuits;
      start(await Worker.create({ connection, taskQueue: TASK_QUEUE, workflowBundle, activities: asking, sinks }));
      const own = threePhaseCommit ? { workflowBundle: await bundleWorkflows(participantModule()) } : {};
      for (const [taskQueue, activities] of Object.entries(participants)) {
        const options = { connection, taskQueue, activities, maxHeartbeatThrottleInterval: '1 second' } as const;
        start(await Worker.create({ ...options, ...own }));
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
