/** Workflows that never end, by the clock of a server that skips time: each begins anew once a day. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { searchAttributeList } from '../../src/observability';
import { startTimeSkipping } from '../../src/testing/temporal/time-skipping';
import { PARTICIPANT_BUNDLE } from '../real-server';
import { quiet } from '../saga-more/environment';
import { surviveStandingClock } from '../standing-clock';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** An activity that takes some time of the server, and none of the test: its first attempt has the second one come so much later. */
const taking =
  (ms: number, answer: unknown = undefined) =>
  async (): Promise<unknown> => {
    if (Context.current().info.attempt > 1) return answer;
    throw ApplicationFailure.create({ message: 'later', nextRetryDelay: ms });
  };

class Servers {
  #temporal: TestWorkflowEnvironment | undefined;
  #worker: { readonly worker: Worker; readonly stopped: Promise<void> } | undefined;

  get temporal(): TestWorkflowEnvironment {
    if (!this.#temporal) throw new Error('The server is started by beforeAll.');
    return this.#temporal;
  }

  async start(): Promise<void> {
    quiet();
    this.#temporal = await startTimeSkipping({ searchAttributes: searchAttributeList() });
    const worker = await Worker.create({
      connection: this.#temporal.nativeConnection,
      taskQueue: 'shop',
      ...PARTICIPANT_BUNDLE,
      activities: {
        'recovery.watch': taking(10 * 60 * 1000, { overdue: [], foreign: [], slots: { used: 0, limit: 9 } }),
        'outbox.relay': taking(HOUR_MS),
      },
    });
    this.#worker = { worker, stopped: worker.run() };
  }

  async stop(): Promise<void> {
    this.#worker?.worker.shutdown();
    await this.#worker?.stopped;
    await this.#temporal?.teardown();
  }
}

const servers = new Servers();
beforeAll(() => servers.start());
afterAll(() => servers.stop());
surviveStandingClock(servers);

it.each([
  ['recovery', 'recoverParticipant', { participant: 'shop', graceMs: 1_000 }],
  ['relays', 'relayOutbox', { service: 'shop', seats: 2 }],
])('%s: a run lasts for a day, and leaves nothing under way to the next', async (_, type, settings) => {
  const { temporal } = servers;
  const { workflow } = temporal.client;
  const { firstExecutionRunId } = await workflow.start(type, { workflowId: type, taskQueue: 'shop', args: [settings] });
  await temporal.sleep(DAY_MS + 2 * HOUR_MS);
  const events = (await workflow.getHandle(type, firstExecutionRunId).fetchHistory()).events ?? [];
  const [first, last] = [events[0], events.at(-1)];
  const next = last?.workflowExecutionContinuedAsNewEventAttributes;
  expect(next?.input?.payloads?.map((payload) => defaultPayloadConverter.fromPayload(payload))).toEqual([settings]);
  const lastedMs = tsToMs(last?.eventTime) - tsToMs(first?.eventTime);
  expect(lastedMs).toBeGreaterThanOrEqual(DAY_MS);
  expect(lastedMs).toBeLessThan(DAY_MS + HOUR_MS);
  const begun = events.filter((event) => event.activityTaskScheduledEventAttributes);
  const ended = events.filter(
    (event) => event.activityTaskCompletedEventAttributes ?? event.activityTaskCanceledEventAttributes,
  );
  expect(ended).toHaveLength(begun.length);

  const now = await workflow.getHandle(type).describe();
  expect(now).toMatchObject({ runId: next?.newExecutionRunId, status: { name: 'RUNNING' } });
  await workflow.getHandle(type).terminate();
});
