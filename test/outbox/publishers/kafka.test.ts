/** Without a broker: what is sent is looked at, by a producer of kafkajs' own types, and the types fit the real client's. */
import { Kafka, KafkaJSNonRetriableError, KafkaJSProtocolError, logLevel } from 'kafkajs';
import type { Producer, ProducerRecord } from 'kafkajs';
import { Kafka as KafkaBinding } from 'cloudevents';
import { describe, expect, it } from 'vitest';

import { UnpublishableEventError } from '../../../src/outbox/errors';
import { kafka } from '../../../src/outbox/publishers/kafka';
import { freePort } from '../../../src/testing';
import { anEvent, unhurried } from '../events';

/** Takes records instead of a broker. */
function recorder(fail?: Error): { sent: ProducerRecord[]; producer: Pick<Producer, 'send'> } {
  const sent: ProducerRecord[] = [];
  const send = async (record: ProducerRecord): Promise<[]> => {
    if (fail) throw fail;
    sent.push(record);
    return [];
  };
  return { sent, producer: { send } };
}

describe('the Kafka publisher', () => {
  it('sends a record with the key of the event, which the official CloudEvents SDK reads', async () => {
    const { sent, producer } = recorder();
    const event = anEvent({ headers: { tenant: 'ü' }, traceparent: '00-1-2-01', data: { a: ['\u2028'] } });
    await kafka(producer, { topic: 'orders' }).publish(event, unhurried());
    expect(sent).toHaveLength(1);
    const [record] = sent;
    // Confluent's client refuses any other field.
    expect(Object.keys(record ?? {}).sort()).toEqual(['messages', 'topic']);
    const message = record?.messages[0];
    expect(message).toMatchObject({ key: event.key, headers: { tenant: 'ü', traceparent: '00-1-2-01' } });
    const read = KafkaBinding.toEvent<unknown>({
      headers: message?.headers as Record<string, string>,
      body: message?.value as string,
      key: event.key,
      value: message?.value as string,
    } as unknown as Parameters<typeof KafkaBinding.toEvent>[0]);
    expect(read).toMatchObject({ id: event.id, partitionkey: event.key, data: event.data });
  });

  it('chooses the topic by the event if told so', async () => {
    const { sent, producer } = recorder();
    await kafka(producer, { topic: ({ type }) => `events.${type}` }).publish(anEvent({ type: 'Paid' }), unhurried());
    expect(sent[0]?.topic).toBe('events.Paid');
  });

  it('parks what the broker refuses for good, and hands on any other error', async () => {
    const publish = (fail: Error): Promise<void> =>
      kafka(recorder(fail).producer, { topic: 'orders' }).publish(anEvent(), unhurried());
    const ofType = (type: string): Error => Object.assign(new Error(`it is ${type}`), { type });
    // Confluent's client throws the broker's answer, kafkajs wraps it once its retrying is over.
    const wrapped = (type: string): Error =>
      Object.assign(new KafkaJSNonRetriableError('wrapped'), { cause: new KafkaJSProtocolError(ofType(type)) });
    for (const type of ['MESSAGE_TOO_LARGE', 'INVALID_RECORD', 'ERR_MSG_SIZE_TOO_LARGE', 'ERR_INVALID_RECORD'])
      for (const error of [ofType(type), wrapped(type)])
        await expect(publish(error), type).rejects.toThrow(UnpublishableEventError);
    for (const error of [new Error('?'), ofType('ERR_INVALID_MSG'), wrapped('NOT_ENOUGH_REPLICAS')])
      await expect(publish(error)).rejects.toBe(error);
  });

  it('lets no header of an event say what the record is', async () => {
    const { sent, producer } = recorder();
    for (const name of ['Content-Type', 'ce_id', 'CE_type', '', 'a b', 'ü'])
      await expect(
        kafka(producer, { topic: 'orders' }).publish(anEvent({ headers: { [name]: 'x' } }), unhurried()),
      ).rejects.toThrow(UnpublishableEventError);
    expect(sent).toEqual([]);
  });

  it('sends nothing when the signal is aborted already', async () => {
    const { sent, producer } = recorder();
    const aborted = AbortSignal.abort(new Error('over'));
    await expect(kafka(producer, { topic: 'orders' }).publish(anEvent(), aborted)).rejects.toThrow('over');
    expect(sent).toEqual([]);
  });

  it('fails with the real client while there is no broker', async () => {
    const client = new Kafka({
      brokers: [`127.0.0.1:${await freePort()}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 0, initialRetryTime: 1, maxRetryTime: 1 },
    });
    const producer = client.producer({ retry: { retries: 0 } });
    await expect(kafka(producer, { topic: 'orders' }).publish(anEvent(), unhurried())).rejects.toThrow();
    await producer.disconnect();
  });
});
