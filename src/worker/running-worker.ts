/** A worker that runs: its health, and how it ends. */
import type { NativeConnection, Worker } from '@temporalio/worker';
import { serveHealth } from './health-server';
import type { HealthOptions, HealthServer } from './health-server';

/** Whether a worker that was made is about to stop, or has: what only waits then ends at once. */
export const isStopping = (worker: Worker | undefined): boolean =>
  worker !== undefined && worker.getState() !== 'RUNNING';

export interface RunningWorker {
  /** Where its health check answers. */
  readonly healthUrl: string;
  /** Resolves when it has stopped; rejects when it failed. SIGINT and SIGTERM stop it: it finishes what it has and takes nothing more. */
  readonly stopped: Promise<void>;
  /** Stops it. */
  stop(): Promise<void>;
}

export interface Running {
  readonly worker: Worker;
  readonly connection: NativeConnection;
  readonly health?: HealthOptions;
  /** What else the health check looks at. */
  readonly check: () => Promise<{ readonly healthy: boolean; readonly [detail: string]: unknown }>;
  /** What to close at the end. */
  readonly close: () => Promise<void>;
}

export async function runWorker({ worker, connection, health, check, close }: Running): Promise<RunningWorker> {
  const running = worker.run();
  let server: HealthServer;
  try {
    server = await serveHealth(async () => {
      const state = worker.getState();
      const more = await check();
      return { ...more, worker: state, healthy: more.healthy && state === 'RUNNING' };
    }, health);
  } catch (error) {
    worker.shutdown();
    await running;
    throw error;
  }
  const stopped = running.finally(async () => {
    await server.close();
    await close();
    await connection.close();
  });
  return {
    healthUrl: server.url,
    stopped,
    stop: async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await stopped;
    },
  };
}
