/**
 * Many of a kind: sagas that are open in the same thread, and participants of one saga.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ApplicationFailure, defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { colocatedActivity } from '../../src/protocol';
import type { SettledSagaReport } from '../../src/protocol';
import { bundleWorkflows } from '../bundle';
import { startServer } from '../real-server';
import type { RealServer } from '../real-server';
import { compiledWorkflows } from './environment';

const PARTICIPANTS = defineSearchAttributeKey('TxnParticipants', SearchAttributeType.KEYWORD_LIST);
/** What Node.js calls when one is used for the first time. */
const used = AsyncLocalStorage.prototype as unknown as { _enable?: () => void };

let server: RealServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

async function startWorker(own: Partial<WorkerOptions>): Promise<void> {
  const worker = await Worker.create({
    connection: server.native,
    taskQueue: 'sagas',
    workflowBundle: await bundleWorkflows(compiledWorkflows('saga-more')),
    ...own,
  });
  const stopped = worker.run();
  onTestFinished(async () => {
    worker.shutdown();
    await stopped;
  });
}

// Before version 24, Node.js has each promise carry the values of every AsyncLocalStorage in use: with one for each workflow, ten times as
// many would need a hundred times the memory.
it('ten open sagas use as many AsyncLocalStorages as one', async () => {
  await startWorker({ debugMode: true }); // In this thread, where they can be counted.
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

// Temporal terminates a workflow that gives a search attribute more than 2 KB, and a terminated saga undoes nothing.
it('a saga of more participants than a search attribute has room for turns back, and can be found by the first of them', async () => {
  const participants = Array.from(
    { length: 45 },
    (_, i) => `a-shop-with-a-long-name-in-a-far-away-city-number-${100 + i}`,
  );
  const refuse = (): never => {
    throw ApplicationFailure.nonRetryable('It is shut.', 'Refusal', { code: 'shut', message: 'It is shut.' });
  };
  const undone: string[] = [];
  await startWorker({
    activities: {
      first: () => ({ answer: 'applied', result: 'done' }),
      'first.compensate': ({ branch }: { branch: string }) => {
        undone.push(branch);
        return { answer: 'compensated' };
      },
      ...Object.fromEntries(participants.map((name) => [colocatedActivity(name, 'first'), refuse])),
    },
  });
  const handle = await server.client.workflow.start('manyParticipants', {
    workflowId: 'many-participants',
    taskQueue: 'sagas',
    args: [participants],
  });
  const report = (await handle.result()) as SettledSagaReport<unknown>; // Cast: it settles.
  expect(report).toMatchObject({ outcome: 'compensated', cause: { branch: `${participants.at(-1)}.first` } });
  expect(undone).toEqual(['sagas.first']);
  expect(report.steps.map(({ participant }) => participant)).toEqual(['sagas', ...participants]);
  const { typedSearchAttributes } = await handle.describe();
  const shown = typedSearchAttributes.get(PARTICIPANTS) ?? [];
  expect(shown.length).toBeGreaterThan(30);
  expect(shown).toEqual(participants.slice(0, shown.length));
}, 60_000);
