/**
 * Why participants are not asked by local activities while updates are under way: the trouble that this avoids, shown without
 * this package. The server takes ten updates of a workflow at a time, has the others come again, and SDK core 1.24 loses
 * workflow tasks in which they meet local activities.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleWorkflows } from '../bundle';
import { startServer } from '../real-server';
import type { RealServer } from '../real-server';
import { compiledWorkflows } from '../saga-more/environment';

const UPDATES = 30;
const ROUNDS = 8;

let server: RealServer;
let stopWorker: () => Promise<void>;
let count = 0;

beforeAll(async () => {
  server = await startServer();
  const worker = await Worker.create({
    connection: server.native,
    taskQueue: 'sleepy',
    workflowBundle: await bundleWorkflows(compiledWorkflows('colocated')),
    activities: { nap: () => sleep(20) },
  });
  const stopped = worker.run();
  stopWorker = async () => {
    worker.shutdown();
    await stopped;
  };
}, 60_000);

afterAll(async () => {
  await stopWorker?.();
  await server?.stop();
});

/** Sends updates to one workflow, all at once. @returns the errors of those that failed */
async function failuresOf(where: 'here' | 'anywhere'): Promise<readonly unknown[]> {
  const workflow = await server.client.workflow.start('sleepy', {
    workflowId: `sleepy-${count++}`,
    taskQueue: 'sleepy',
    args: [where],
    workflowTaskTimeout: '1 second',
  });
  const ends = await Promise.allSettled(Array.from({ length: UPDATES }, () => workflow.executeUpdate('nap')));
  await workflow.terminate();
  return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
}

/** Whether the worker has never answered it, as the server says. On a busy machine a call may fail by itself, which shows nothing. */
const isLost = (error: unknown): boolean =>
  error instanceof WorkflowUpdateFailedError &&
  error.cause instanceof ApplicationFailure &&
  error.cause.type === 'UnprocessedUpdate';

describe('many updates of one workflow at once', () => {
  it('are lost where they run local activities', async () => {
    let lost = 0;
    for (let round = 0; round < ROUNDS && lost === 0; round++) lost = (await failuresOf('here')).filter(isLost).length;
    expect(
      lost,
      'The SDK has been mended: let updates have local activities again in src/workflow/local-activities.ts, and take the warning out of docs/latency.md.',
    ).toBeGreaterThan(0);
  }, 60_000);

  it('are answered, all of them, where they run activities', async () => {
    expect(await failuresOf('anywhere')).toEqual([]);
  }, 30_000);
});
