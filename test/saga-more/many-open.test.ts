/**
 * What an open saga costs the others that are open in the same thread. Before version 24, Node.js has each promise carry the values of
 * every AsyncLocalStorage in use: with one for each workflow, ten times as many would need a hundred times the memory.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Worker } from '@temporalio/worker';
import { expect, it, onTestFinished, vi } from 'vitest';
import { bundleWorkflows } from '../bundle';
import { startServer } from '../real-server';
import { compiledWorkflows } from './environment';

/** What Node.js calls when one is used for the first time. */
const used = AsyncLocalStorage.prototype as unknown as { _enable?: () => void };

it('ten open sagas use as many AsyncLocalStorages as one', async () => {
  const server = await startServer();
  onTestFinished(() => server.stop());
  const worker = await Worker.create({
    connection: server.native,
    taskQueue: 'sagas',
    workflowBundle: await bundleWorkflows(compiledWorkflows('saga-more')),
    debugMode: true, // In this thread, where they can be counted.
  });
  const stopped = worker.run();
  onTestFinished(async () => {
    worker.shutdown();
    await stopped;
  });
  if (used._enable === undefined) return expect(Number(process.versions.node.split('.')[0])).toBeGreaterThanOrEqual(24);
  const storages = new Set<unknown>();
  const enable = used._enable;
  vi.spyOn(used as { _enable: () => void }, '_enable').mockImplementation(function (this: unknown) {
    storages.add(this);
    enable.call(this);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const open = async (id: string): Promise<void> => {
    const handle = await server.client.workflow.start('waiting', { workflowId: id, taskQueue: 'sagas' });
    await expect
      .poll(async () => (await handle.fetchHistory()).events?.some((event) => event.timerStartedEventAttributes))
      .toBe(true);
  };
  await open('first');
  const byOne = storages.size;
  for (let i = 0; i < 9; i++) await open(`another-${i}`);
  expect(byOne).toBeGreaterThan(0);
  expect(storages.size).toBe(byOne);
}, 60_000);
