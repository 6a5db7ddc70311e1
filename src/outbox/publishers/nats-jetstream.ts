/**
 * Publishes to NATS JetStream. An event counts as published when the stream has stored it. Its name is the id of the message, so
 * the stream itself drops a repetition that comes within its `duplicate_window` (two minutes unless it is configured otherwise).
 *
 * @see NATS documentation: JetStream model deep dive, message deduplication
 */
import { show } from '../../protocol';
import { CLOUD_EVENT_TYPE, toCloudEvent } from '../cloud-event';
import { UnpublishableEventError } from '../errors';
import type { OutboxEvent } from '../event';
import type { Publisher } from '../publisher';
import { eventName } from './event-name';
import { headersOf } from './headers';

/** The headers of a message, as the function `headers` of @nats-io/transport-node and its siblings makes them. */
export interface NatsHeaders {
  set(name: string, value: string): void;
}

/** What `jetstream(connection)` of @nats-io/jetstream answers. */
export interface JetStream<Headers extends NatsHeaders> {
  publish(
    subject: string,
    payload: string,
    options: { msgID: string; timeout: number; headers: Headers },
  ): Promise<{ readonly seq: number; readonly duplicate: boolean }>;
}

export interface NatsJetStreamOptions<Headers extends NatsHeaders> {
  /** Where to: a subject, or one for each event. One stream should have all those of a key, or their order is lost. */
  readonly subject: string | ((event: OutboxEvent) => string);
  /** The client's function of that name. */
  readonly headers: () => Headers;
  /** How long to wait for the stream's answer, in milliseconds. @default 5000 */
  readonly timeoutMs?: number;
}

/** Headers that begin so are orders to the server: to forget a stream's messages, for one. */
const RULES = { reserved: /^(nats-|content-type$)/, sendable: /^[^\r\n\0]*$/ };

/** Tokens separated by full stops, without white space or wildcards. */
const SUBJECT = /^[^\s.*>]+(\.[^\s.*>]+)*$/;

/**
 * Publishes to a stream of NATS JetStream that is there already, through a connection that is open already. While the connection
 * is lost, events are tried again; let the client reconnect without end (`maxReconnectAttempts: -1`).
 *
 * @example
 * import { jetstream } from '@nats-io/jetstream';
 * import { connect, headers } from '@nats-io/transport-node';
 *
 * const connection = await connect({ servers, maxReconnectAttempts: -1 });
 * const publisher = natsJetStream(jetstream(connection), { subject: (event) => `orders.${event.type}`, headers });
 */
export function natsJetStream<Headers extends NatsHeaders>(
  js: JetStream<Headers>,
  { subject, headers, timeoutMs = 5_000 }: NatsJetStreamOptions<Headers>,
): Publisher {
  return {
    publish: async (event, signal) => {
      signal.throwIfAborted();
      const to = typeof subject === 'function' ? subject(event) : subject;
      if (!SUBJECT.test(to)) throw new UnpublishableEventError(`NATS takes no message with the subject ${show(to)}`);
      const all = headers();
      for (const [name, value] of Object.entries(headersOf(event, RULES))) all.set(name, value);
      all.set('content-type', CLOUD_EVENT_TYPE);
      try {
        await js.publish(to, JSON.stringify(toCloudEvent(event)), {
          msgID: eventName(event),
          timeout: timeoutMs,
          headers: all,
        });
      } catch (error) {
        if (isTooLarge(error)) throw new UnpublishableEventError('it is larger than max_payload of the NATS server');
        throw error;
      }
    },
  };
}

/** The client refuses what the server has said is too much; the stream has a limit of its own, and its own answer. */
function isTooLarge(error: unknown): boolean {
  const { message, code } = error as { readonly message?: unknown; readonly code?: unknown };
  return /max_payload/.test(String(message)) || code === MESSAGE_TOO_LARGE;
}

/** JetStream's code for "message size exceeds maximum allowed". */
const MESSAGE_TOO_LARGE = 10054;
