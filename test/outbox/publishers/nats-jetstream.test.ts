/**
 * Against a real NATS server: the one of NATS_URL if that is set, else one of our own. What a crash does to it is only tried on one
 * of our own.
 */
import { DiscardPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { CloudEvent } from 'cloudevents';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { UnpublishableEventError } from '../../../src/outbox/errors';
import type { Publisher } from '../../../src/outbox/publisher';
import { natsJetStream } from '../../../src/outbox/publishers/nats-jetstream';
import { NatsServer } from '../../../src/testing/nats/server';
import { anEvent, ODD, unhurried } from '../events';

let server: NatsServer;
let connection: NatsConnection;
let manager: JetStreamManager;
let streams = 0;
const made: string[] = [];

beforeAll(async () => {
  server = await NatsServer.start();
  connection = await connect({
    servers: process.env.NATS_URL ?? server.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  manager = await jetstreamManager(connection);
});
afterAll(async () => {
  for (const name of made) await manager.streams.delete(name);
  await connection.close();
  await server.stop();
});

interface Stored {
  readonly subject: string;
  readonly id: string;
  readonly event: CloudEvent<unknown>;
  header(name: string): string;
}

/** A stream of its own for a test, and a publisher to it. */
async function newStream(
  settings: { readonly max_msg_size?: number; readonly max_msgs?: number } = {},
  through = { connection, manager },
): Promise<{ name: string; publisher: Publisher; stored: () => Promise<Stored[]> }> {
  const name = `test-${process.pid}-${++streams}`;
  if (through.manager === manager) made.push(name);
  await through.manager.streams.add({
    name,
    subjects: [`${name}.>`],
    ...(settings.max_msgs !== undefined && { discard: DiscardPolicy.New }),
    ...settings,
  });
  const publisher = natsJetStream(jetstream(through.connection), {
    subject: ({ type }) => `${name}.${type}`,
    headers,
    timeoutMs: 10_000,
  });
  const stored = async (): Promise<Stored[]> => {
    const { state } = await through.manager.streams.info(name);
    const all: Stored[] = [];
    for (let seq = state.first_seq; state.messages > 0 && seq <= state.last_seq; seq++) {
      const message = await through.manager.streams.getMessage(name, { seq });
      if (!message) throw new Error(`There is no message ${seq}.`);
      all.push({
        subject: message.subject,
        id: message.header.get('Nats-Msg-Id'),
        event: new CloudEvent(message.json<CloudEvent<unknown>>(), true),
        header: (wanted) => message.header.get(wanted),
      });
    }
    return all;
  };
  return { name, publisher, stored };
}

describe('the JetStream publisher', () => {
  it('stores a CloudEvent under the subject, with the headers', async () => {
    const { name, publisher, stored } = await newStream();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const event = anEvent({ headers: { tenant: 'ü 事件' }, traceparent, data: { a: 'żółć 🎉' } });
    await publisher.publish(event, unhurried());
    const [message] = await stored();
    expect(message).toMatchObject({ subject: `${name}.OrderCreated`, event: { id: event.id, data: event.data } });
    expect(message?.header('tenant')).toBe('ü 事件');
    expect(message?.header('traceparent')).toBe(traceparent);
    expect(message?.header('content-type')).toBe('application/cloudevents+json; charset=utf-8');
  });

  it('keeps the order of a key', async () => {
    const { publisher, stored } = await newStream();
    const keys = ['a', 'b', 'c'];
    await Promise.all(
      keys.map(async (key) => {
        for (let version = 1; version <= 50; version++) await publisher.publish(anEvent({ key, version }), unhurried());
      }),
    );
    const messages = await stored();
    expect(messages).toHaveLength(150);
    for (const key of keys) {
      const ofKey = messages.filter(({ event }) => event['partitionkey'] === key);
      expect(ofKey.map(({ event }) => Number(event['sequence']))).toEqual(
        Array.from({ length: 50 }, (_, at) => at + 1),
      );
    }
  });

  it('stores an event that comes again once, and two of one id from two sources twice', async () => {
    const { publisher, stored } = await newStream();
    const event = anEvent({ id: 'same' });
    const other = anEvent({ id: 'same', source: '/payments' });
    for (const each of [event, event, other, event, other]) await publisher.publish(each, unhurried());
    expect((await stored()).map(({ id }) => id)).toEqual(['event:/orders:same', 'event:/payments:same']);
  });

  it('stores events with any id, source and key', async () => {
    const { publisher, stored } = await newStream();
    for (const odd of ODD) await publisher.publish(anEvent({ id: odd, source: odd, key: odd }), unhurried());
    expect((await stored()).map(({ event }) => event.id)).toEqual([...ODD]);
  });

  it('parks what has no valid subject or header, or would give the server orders', async () => {
    const { name, publisher, stored } = await newStream();
    await publisher.publish(anEvent(), unhurried());
    const hopeless = [
      ...['a b', 'a.', '*', '>', 'a\r\nPUB b 0', ''].map((type) => anEvent({ type })),
      // Would delete all that the stream has.
      anEvent({ headers: { 'Nats-Rollup': 'all' } }),
      anEvent({ headers: { 'nats-msg-id': 'x' } }),
      anEvent({ headers: { a: 'b\r\nNats-Rollup: all' } }),
      anEvent({ headers: { 'a:b': 'c' } }),
    ];
    for (const event of hopeless)
      await expect(publisher.publish(event, unhurried())).rejects.toThrow(UnpublishableEventError);
    expect(await stored()).toHaveLength(1);
    expect((await stored())[0]?.subject).toBe(`${name}.OrderCreated`);
  });

  it('parks what is too large for the server or the stream, and goes on with others', async () => {
    const { publisher, stored } = await newStream({ max_msg_size: 10_000 });
    const largest = connection.info?.max_payload ?? 0;
    for (const size of [20_000, largest])
      await expect(publisher.publish(anEvent({ data: 'x'.repeat(size) }), unhurried())).rejects.toThrow(
        UnpublishableEventError,
      );
    await publisher.publish(anEvent(), unhurried());
    expect(await stored()).toHaveLength(1);
  });

  it('sends nothing when the signal is aborted already', async () => {
    const { publisher, stored } = await newStream();
    await expect(publisher.publish(anEvent(), AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
    expect(await stored()).toEqual([]);
  });

  it('has not published what no stream takes, or one that is full', async () => {
    const nowhere = natsJetStream(jetstream(connection), { subject: 'nobody.listens', headers });
    await expect(nowhere.publish(anEvent(), unhurried())).rejects.not.toThrow(UnpublishableEventError);
    const { publisher, stored } = await newStream({ max_msgs: 1 });
    await publisher.publish(anEvent(), unhurried());
    await expect(publisher.publish(anEvent(), unhurried())).rejects.not.toThrow(UnpublishableEventError);
    expect(await stored()).toHaveLength(1);
  });

  it('fails while the server is dead, and goes on where it was: nothing is missing, doubled or out of order', async () => {
    const own = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    try {
      const { publisher, stored } = await newStream({}, { connection: own, manager: await jetstreamManager(own) });
      let failures = 0;
      for (let version = 1; version <= 20; version++) {
        const event = anEvent({ key: 'a', version });
        const killed = version === 10 ? server.kill() : undefined;
        for (let published = false; !published;) {
          // As a relay does: again until it is known to be published, and only then the next one.
          published = await publisher.publish(event, unhurried()).then(
            () => true,
            (error: unknown) => {
              expect(error).not.toBeInstanceOf(UnpublishableEventError);
              failures++;
              return false;
            },
          );
          if (killed && !server.running) {
            await killed;
            await server.restart();
          }
        }
      }
      expect(failures).toBeGreaterThan(0);
      expect((await stored()).map(({ event }) => Number(event['sequence']))).toEqual(
        Array.from({ length: 20 }, (_, at) => at + 1),
      );
    } finally {
      await own.close();
    }
  });
});
