/**
 * Events as the rest of the world reads them: CloudEvents 1.0 in its JSON format, which publishers send as the body ("structured
 * mode"), so that nothing of an event depends on what headers a transport has.
 *
 * @see CloudEvents specification 1.0.2, its JSON event format, and its extensions partitioning, sequence and distributed tracing
 */
import { show } from '../protocol';
import { UnpublishableEventError } from './errors';
import type { OutboxEvent } from './event';
import { percentEncode } from './percent';

/** A CloudEvent of ours: `JSON.stringify` makes the body of a message of it. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: unknown;
  readonly subject?: string;
  readonly dataschema?: string;
  /** The key: events with the same one are in order. */
  readonly partitionkey: string;
  /** The place among the events of the key, as digits of a fixed length: it sorts as a text, and has no gap. */
  readonly sequence: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** Of structured mode: what a message's content type is. */
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json; charset=utf-8';

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/** As many as a bigint can have. */
const SEQUENCE_DIGITS = 19;

/**
 * @throws {UnpublishableEventError} when `dataschema` is not an absolute URI: no consumer that checks would take it
 * @example await appendFile('events.log', `${JSON.stringify(toCloudEvent(event))}\n`);
 */
export function toCloudEvent(event: OutboxEvent): CloudEvent {
  const { id, source, type, time, data, key, version, subject, dataschema, traceparent, tracestate } = event;
  return {
    specversion: '1.0',
    id,
    source: asUriReference(source),
    type,
    time: time.toISOString(),
    datacontenttype: 'application/json',
    ...(isSet(subject) && { subject }),
    ...(isSet(dataschema) && { dataschema: asUri(dataschema) }),
    partitionkey: key,
    sequence: String(version).padStart(SEQUENCE_DIGITS, '0'),
    ...(isSet(traceparent) && { traceparent }),
    ...(isSet(tracestate) && { tracestate }),
    // A missing one means "no data"; what was appended as null is said to be null.
    data: data ?? null,
  };
}

/** CloudEvents has no empty attributes. */
const isSet = (text: string | undefined): text is string => text !== undefined && text !== '';

/** Escapes what URIs may not contain, and no more: escaping twice would make another source. The SQL function takes any text. */
function asUriReference(text: string): string {
  const [path = '', ...rest] = percentEncode(text, /%(?![0-9A-Fa-f]{2})|[^\w\-.~:/?#@!$&'()*+,;=%]/gu).split('#');
  // Only the first # begins a fragment, and what stands before a first colon must be a scheme.
  const uri = rest.length === 0 ? path : `${path}#${rest.join('%23')}`;
  return /^[^/?#]*:/.test(uri) && !SCHEME.test(uri) ? `./${uri}` : uri;
}

function asUri(dataschema: string): string {
  const uri = asUriReference(dataschema);
  if (SCHEME.test(uri)) return uri;
  throw new UnpublishableEventError(`its dataschema ${show(dataschema)} is not an absolute URI`);
}
