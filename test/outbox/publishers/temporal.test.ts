/** Starting and signalling workflows, on a real Temporal server. No worker runs: what was started and signalled is in the histories. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { NotYetPublishedError, UnpublishableEventError } from '../../../src/outbox/errors';
import type { OutboxEvent } from '../../../src/outbox/event';
import { toCloudEvent } from '../../../src/outbox/cloud-event';
import type { Publisher } from '../../../src/outbox/publisher';
import { eventName } from '../../../src/outbox/publishers/event-name';
import { signalWorkflow } from '../../../src/outbox/publishers/signal-workflow';
import { startWorkflow } from '../../../src/outbox/publishers/start-workflow';
import { TemporalDevServer } from '../../../src/testing';
import { anEvent, ODD, unhurried } from '../events';

let server: TemporalDevServer;
let connection: Connection;
let client: Client;

beforeAll(async () => {
  server = await TemporalDevServer.start({ uiPort: false });
  connection = await Connection.connect({ address: server.address });
  client = new Client({ connection });
});
afterAll(async () => {
  await connection.close();
  await server.stop();
});

interface Happened {
  readonly runId: string;
  readonly type: string;
  readonly input: unknown[];
  readonly signals: unknown[][];
}

/** What the history of a workflow's latest run says. */
async function happened(workflowId: string): Promise<Happened> {
  const handle = client.workflow.getHandle(workflowId);
  const { events } = await handle.fetchHistory();
  const started = events?.[0]?.workflowExecutionStartedEventAttributes;
  const decode = (given: { payloads?: Payload[] | null } | null | undefined): unknown[] =>
    (given?.payloads ?? []).map((payload) => defaultPayloadConverter.fromPayload(payload));
  return {
    runId: (await handle.describe()).runId,
    type: started?.workflowType?.name ?? '',
    input: decode(started?.input),
    signals: (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) =>
      signal ? [decode(signal.input)] : [],
    ),
  };
}

const asJson = (event: OutboxEvent): unknown => JSON.parse(JSON.stringify(toCloudEvent(event)));

describe('the publisher that starts a workflow', () => {
  const publisher = (): ReturnType<typeof startWorkflow> =>
    startWorkflow(client, { workflow: 'reserveInventory', taskQueue: 'inventory', memo: { from: 'a test' } });

  it('starts one for each event, with the event as a CloudEvent', async () => {
    const event = anEvent({ data: { a: 'żółć 🎉' } });
    await publisher().publish(event, unhurried());
    expect(await happened(`event:/orders:${event.id}`)).toMatchObject({
      type: 'reserveInventory',
      input: [asJson(event)],
    });
    expect((await client.workflow.getHandle(eventName(event)).describe()).memo).toEqual({ from: 'a test' });
  });

  it('starts nothing twice while the first one runs, and counts the event as published', async () => {
    const event = anEvent();
    await publisher().publish(event, unhurried());
    const { runId } = await happened(eventName(event));
    await Promise.all(Array.from({ length: 5 }, () => publisher().publish(event, unhurried())));
    expect((await happened(eventName(event))).runId).toBe(runId);
  });

  it('starts nothing again after the first one has ended, and counts the event as published', async () => {
    const event = anEvent();
    await publisher().publish(event, unhurried());
    const handle = client.workflow.getHandle(eventName(event));
    const { runId } = await handle.describe();
    await handle.terminate();
    await publisher().publish(event, unhurried());
    expect((await handle.describe()).runId).toBe(runId);
  });

  it('starts one for each of two events with one id from two sources', async () => {
    const [one, other] = [anEvent({ id: 'same' }), anEvent({ id: 'same', source: '/payments' })];
    for (const event of [one, other]) await publisher().publish(event, unhurried());
    expect((await happened(eventName(one))).runId).not.toBe((await happened(eventName(other))).runId);
  });

  it('takes any id, source and key', async () => {
    for (const odd of ODD) {
      const event = anEvent({ id: odd, source: odd, key: odd, type: odd });
      await publisher().publish(event, unhurried());
      expect((await happened(eventName(event))).input).toEqual([asJson(event)]);
    }
  });

  it('takes an id and arguments of one’s own', async () => {
    const event = anEvent({ key: 'order-own' });
    await startWorkflow(client, {
      workflow: 'anything',
      taskQueue: 'inventory',
      workflowId: ({ key }) => `reserve-${key}`,
      args: ({ key, version }) => [key, version],
    }).publish(event, unhurried());
    expect(await happened('reserve-order-own')).toMatchObject({ type: 'anything', input: ['order-own', 1] });
  });

  describe('and waits for its completion', () => {
    const patient = (): Publisher =>
      startWorkflow(client, { workflow: 'handle', taskQueue: 'patient', waitFor: 'completion' });

    /** Whether it has settled within a moment. */
    const isSettled = (publishing: Promise<void>): Promise<boolean> =>
      Promise.race([publishing.then(() => true), new Promise<false>((done) => setTimeout(() => done(false), 500))]);

    /** What a worker would answer: the workflow that is next has nothing more to do. */
    async function completeNext(): Promise<void> {
      const { taskToken } = await connection.withDeadline(Date.now() + 10_000, () =>
        connection.workflowService.pollWorkflowTaskQueue({
          namespace: 'default',
          taskQueue: { name: 'patient' },
          identity: 'a test',
        }),
      );
      const COMPLETE = 4; // COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION
      await connection.workflowService.respondWorkflowTaskCompleted({
        taskToken,
        commands: [{ commandType: COMPLETE, completeWorkflowExecutionCommandAttributes: {} }],
      });
    }

    it('counts the event as published when its workflow has completed, and from then on', async () => {
      const event = anEvent();
      const publishing = patient().publish(event, unhurried());
      expect(await isSettled(publishing)).toBe(false);
      await completeNext();
      await publishing;
      const { runId } = await happened(eventName(event));
      await patient().publish(event, unhurried());
      expect((await happened(eventName(event))).runId).toBe(runId);
    });

    it('waits for the same workflow when its time was over and the event comes again', async () => {
      const event = anEvent();
      const late = new AbortController();
      const first = patient().publish(event, late.signal);
      // Only what has started can be waited for again.
      const isStarted = () => client.workflow.getHandle(eventName(event)).describe();
      await Promise.all([
        expect(first).rejects.toThrow(NotYetPublishedError),
        vi.waitFor(isStarted, { timeout: 20_000, interval: 50 }).finally(() => late.abort()),
      ]);
      const { runId } = await happened(eventName(event));
      const publishing = patient().publish(event, unhurried());
      await completeNext();
      await publishing;
      expect((await happened(eventName(event))).runId).toBe(runId);
    });

    it('fails with a workflow that fails, and starts it again with the next attempt', async () => {
      const event = anEvent();
      const publishing = patient().publish(event, unhurried());
      expect(await isSettled(publishing.catch(() => undefined))).toBe(false);
      const { runId } = await happened(eventName(event));
      await client.workflow.getHandle(eventName(event)).terminate();
      await expect(publishing).rejects.toThrow();
      const again = patient().publish(event, unhurried());
      await completeNext();
      await again;
      expect((await happened(eventName(event))).runId).not.toBe(runId);
    });
  });

  it('parks what the server refuses for good', async () => {
    const tooLong = startWorkflow(client, { workflow: 'w', taskQueue: 'q', workflowId: () => 'x'.repeat(2_000) });
    await expect(tooLong.publish(anEvent(), unhurried())).rejects.toThrow(UnpublishableEventError);
  });
});

describe('the publisher that signals a workflow', () => {
  it('signals it with a CloudEvent, whose id tells a signal that comes twice', async () => {
    await client.workflow.start('order', { workflowId: 'order-1', taskQueue: 'orders' });
    const publisher = signalWorkflow(client, { workflowId: ({ key }) => key, signal: 'inventoryReserved' });
    const event = anEvent({ key: 'order-1' });
    for (const each of [event, event]) await publisher.publish(each, unhurried());
    const { signals } = await happened('order-1');
    expect(signals).toEqual([[asJson(event)], [asJson(event)]]);
  });

  it('has not published what no workflow runs for', async () => {
    const publisher = signalWorkflow(client, { workflowId: () => 'nobody', signal: 'inventoryReserved' });
    await expect(publisher.publish(anEvent(), unhurried())).rejects.toThrow(/not found/i);
    await expect(publisher.publish(anEvent(), unhurried())).rejects.not.toThrow(UnpublishableEventError);
  });

  it('starts it in the same step if told so, and loses nothing when that one has ended', async () => {
    const publisher = signalWorkflow(client, {
      workflowId: ({ key }) => key,
      signal: 'happened',
      args: ({ version }) => [version],
      start: { workflow: 'cart', taskQueue: 'carts', args: ({ key }) => [key] },
    });
    const of = (version: number): OutboxEvent => anEvent({ key: 'cart-1', version });
    await publisher.publish(of(1), unhurried());
    await publisher.publish(of(2), unhurried());
    const first = await happened('cart-1');
    expect(first).toMatchObject({ type: 'cart', input: ['cart-1'], signals: [[1], [2]] });
    await client.workflow.getHandle('cart-1').terminate();
    await publisher.publish(of(3), unhurried());
    const second = await happened('cart-1');
    expect(second.signals).toEqual([[3]]);
    expect(second.runId).not.toBe(first.runId);
  });
});

describe.each([
  ['starts', (to: Client): Publisher => startWorkflow(to, { workflow: 'w', taskQueue: 'q' })],
  [
    'signals',
    (to: Client): Publisher =>
      signalWorkflow(to, { workflowId: eventName, signal: 's', start: { workflow: 'w', taskQueue: 'q' } }),
  ],
])('the publisher that %s a workflow', (_does, publisherTo) => {
  it('parks what is too large for the server', async () => {
    const event = anEvent({ data: 'x'.repeat(3_000_000) });
    await expect(publisherTo(client).publish(event, unhurried())).rejects.toThrow(UnpublishableEventError);
  });

  it('does nothing when the signal is aborted already', async () => {
    const event = anEvent();
    const aborted = AbortSignal.abort(new Error('over'));
    await expect(publisherTo(client).publish(event, aborted)).rejects.toThrow('over');
    await expect(happened(eventName(event))).rejects.toThrow(/not found/i);
  });

  it('gives up waiting for a server that does not answer when the signal is aborted', async () => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const unanswered = Connection.lazy({ address: `127.0.0.1:${(silent.address() as AddressInfo).port}` });
    onTestFinished(async () => {
      await unanswered.close();
      silent.close();
    });
    const abort = new AbortController();
    const accepted = once(silent, 'connection');
    const waiting = publisherTo(new Client({ connection: unanswered })).publish(anEvent(), abort.signal);
    const [socket] = (await accepted) as [Socket];
    onTestFinished(() => void socket.destroy());
    const startedAt = Date.now();
    abort.abort(new Error('over'));
    await expect(waiting).rejects.not.toThrow(UnpublishableEventError);
    expect(Date.now() - startedAt).toBeLessThan(15_000);
  });
});
