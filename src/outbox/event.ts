/** Events as they are appended, and as they are published. */
import type { TraceContext } from '../observability';
import { show } from '../protocol';
import { InvalidEventError } from './errors';

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** An event to append. */
export interface NewEvent<Type extends string = string, Data = unknown> {
  /** What has happened: `OrderCreated`. 1 to 200 characters. */
  readonly type: Type;
  /** Events of one key are published in the order in which they were appended; those of different keys in any. 1 to 200 characters. */
  readonly key: string;
  /** What JSON can hold; at most 1 MiB. */
  readonly data: Data;
  /** By it consumers know an event again: never use one for two events. 1 to 200 characters. @default a UUID */
  readonly id?: string;
  /** What the event is about, where that is not the key. 1 to 1000 characters. */
  readonly subject?: string;
  /** Where the schema of the data is found: an absolute URI. */
  readonly dataschema?: string;
  /** Handed on beside the event by publishers that have a place for it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** W3C trace context: 1 to 200 characters. @default that of the active span, with temporal-txn/tracing */
  readonly traceparent?: string;
  /** 1 to 1000 characters. */
  readonly tracestate?: string;
}

/** An event as a publisher gets it. */
export interface OutboxEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  /** Its place among the events of its key: 1, 2, 3, … without a gap. */
  readonly version: number;
  readonly data: unknown;
  /** When it was appended, which is before its transaction committed. */
  readonly time: Date;
  readonly subject?: string;
  readonly dataschema?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** The transaction and branch that it was appended in, if there was one. */
  readonly transaction?: string;
  readonly branch?: string;
}

const MOST_CHARACTERS = 200;
const MOST_SUBJECT_CHARACTERS = 1_000;
const MOST_TRACESTATE_CHARACTERS = 1_000;
const MOST_DATA_BYTES = 1024 * 1024;
const MOST_EVENTS = 1_000;

/**
 * The events as the function `txn.append_events` reads them.
 *
 * @param trace of those that have none of their own
 * @throws {InvalidEventError} nothing was sent then
 */
export function writeEvents(
  events: readonly NewEvent[],
  common: { readonly source: string; readonly transaction_id?: string; readonly branch_id?: string },
  trace: TraceContext,
): string {
  if (!Array.isArray(events) || events.length > MOST_EVENTS)
    throw new InvalidEventError('events', `are ${show(events)}`, `a list of at most ${MOST_EVENTS}`);
  const ids = new Set<string>();
  const rows = events.map((event: NewEvent | null, at) => {
    if (typeof event !== 'object' || event === null)
      throw new InvalidEventError(`events[${at}]`, `is ${show(event)}`, 'an object with type, key and data');
    checkAttribute(`events[${at}].type`, event.type);
    checkAttribute(`events[${at}].key`, event.key);
    if (event.id !== undefined) checkAttribute(`events[${at}].id`, event.id);
    if (event.id !== undefined && ids.has(event.id))
      throw new InvalidEventError(`events[${at}].id`, 'is that of another one of them', 'an id of its own');
    if (event.id !== undefined) ids.add(event.id);
    checkEventData(`events[${at}].data`, event.data);
    const { type, key, data, id, subject, dataschema, headers } = event;
    const { traceparent, tracestate } =
      event.traceparent === undefined && event.tracestate === undefined ? trace : event;
    if (subject !== undefined) checkAttribute(`events[${at}].subject`, subject, MOST_SUBJECT_CHARACTERS);
    if (dataschema !== undefined && !URL.canParse(dataschema))
      throw new InvalidEventError(`events[${at}].dataschema`, `is ${show(dataschema)}`, 'an absolute URI');
    if (headers !== undefined) checkHeaders(`events[${at}].headers`, headers);
    if (traceparent !== undefined) checkAttribute(`events[${at}].traceparent`, traceparent);
    if (tracestate !== undefined) checkAttribute(`events[${at}].tracestate`, tracestate, MOST_TRACESTATE_CHARACTERS);
    return { ...common, type, key, data, id, subject, dataschema, headers, traceparent, tracestate };
  });
  return JSON.stringify(rows);
}

function checkAttribute(field: string, value: unknown, most = MOST_CHARACTERS): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= most && !EXCLUDED.test(value)) return;
  throw new InvalidEventError(
    field,
    `is ${show(value)}`,
    `a text of 1 to ${most} characters without control characters and halves of surrogate pairs`,
  );
}

/** No attribute of a CloudEvent may have them. */
const EXCLUDED = /\p{Cc}|\p{Surrogate}/u;

function checkHeaders(field: string, headers: unknown): void {
  const isRecord = typeof headers === 'object' && headers !== null && !Array.isArray(headers);
  if (!isRecord || !Object.values(headers).every((value) => typeof value === 'string'))
    throw new InvalidEventError(field, `are ${show(headers)}`, 'an object whose values are texts');
  checkEventData(field, headers);
}

/** As JSON.stringify escapes them: NUL, and halves of surrogate pairs. */
const NOT_TEXT = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** PostgreSQL's json takes such an escape, and `txn.append_events`, which takes its texts apart, does not. */
export function checkEventData(field: string, data: unknown): void {
  checkData(field, data);
  if (NOT_TEXT.test(JSON.stringify(data)))
    throw new InvalidEventError(
      field,
      'has a text with NUL or half a surrogate pair',
      'texts without, or an encoding of the bytes such as base64',
    );
}

/** Whether JSON can hold it, and it is not too long. */
export function checkData(field: string, data: unknown): void {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (error) {
    throw new InvalidEventError(field, `cannot be written as JSON (${String(error)})`, 'what JSON can hold');
  }
  if (json === undefined) throw new InvalidEventError(field, `is ${show(data)}`, 'what JSON can hold, such as null');
  const bytes = Buffer.byteLength(json);
  if (bytes > MOST_DATA_BYTES)
    throw new InvalidEventError(field, `has ${bytes} bytes`, `at most ${MOST_DATA_BYTES}, and a reference to the rest`);
}
