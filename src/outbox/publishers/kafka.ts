/**
 * Publishes to Kafka. The key of a record is the key of the event, so all events of a key are in one partition, in their order.
 *
 * Kafka knows nothing of event ids: an event that is published again is a second record with the same CloudEvents id and source,
 * and is left to the consumer's inbox.
 *
 * @see CloudEvents: Kafka protocol binding 1.0.2, structured content mode
 */
import { CLOUD_EVENT_TYPE, toCloudEvent } from '../cloud-event';
import { UnpublishableEventError } from '../errors';
import type { OutboxEvent } from '../event';
import type { Publisher } from '../publisher';
import { headersOf } from './headers';

/** A connected producer, as kafkajs and @confluentinc/kafka-javascript (`KafkaJS`) have it. */
export interface KafkaProducer {
  send(record: {
    topic: string;
    messages: { key: string; value: string; headers: Record<string, string> }[];
  }): Promise<unknown>;
}

export interface KafkaOptions {
  /** Where to: a topic, or one for each event. All events of a key belong in one topic, or their order is lost. */
  readonly topic: string | ((event: OutboxEvent) => string);
}

/** Refusals of a record that stay the same at every attempt, as the clients call them. */
const PERMANENT = new Set(['MESSAGE_TOO_LARGE', 'INVALID_RECORD', 'ERR_MSG_SIZE_TOO_LARGE', 'ERR_INVALID_RECORD']);

/**
 * Publishes to Kafka with a producer that is connected already.
 *
 * Set the producer to be idempotent with acknowledgement of all replicas in sync: `idempotent: true` (kafkajs also wants
 * `maxInFlightRequests: 1`; Confluent's client `acks: -1`). An event counts as published when the producer says that it was sent,
 * and with `acks: 0` or `1` it says so of records that are lost with a broker.
 *
 * @example
 * const producer = new Kafka({ brokers }).producer({ idempotent: true, maxInFlightRequests: 1 });
 * await producer.connect();
 * const publisher = kafka(producer, { topic: 'orders' });
 */
export function kafka(producer: KafkaProducer, { topic }: KafkaOptions): Publisher {
  return {
    publish: async (event, signal) => {
      signal.throwIfAborted();
      const message = {
        key: event.key,
        value: JSON.stringify(toCloudEvent(event)),
        headers: {
          ...headersOf(event, { reserved: /^(content-type$|ce_)/, sendable: /^/ }),
          'content-type': CLOUD_EVENT_TYPE,
        },
      };
      try {
        // No acks here: Confluent's client refuses the call if they are set in it, and all is kafkajs' default.
        await producer.send({ topic: typeof topic === 'function' ? topic(event) : topic, messages: [message] });
      } catch (error) {
        throw permanently(error);
      }
    },
  };
}

/** The error to throw on. kafkajs wraps what the broker answered, so the causes are looked at too. */
function permanently(error: unknown): unknown {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ('type' in cause && PERMANENT.has(String(cause.type)))
      return new UnpublishableEventError(`Kafka refused it: ${cause.message}`);
  }
  return error;
}
