/**
 * The event history of a workflow, whoever wrote it down: as the client fetches it, as the Temporal CLI prints it
 * (`temporal workflow show --output json`), and as the Web UI downloads it, with its payloads as they are or decoded.
 */
import { readFileSync } from 'node:fs';
import { InvalidHistory } from '../errors';

/** One event. */
export interface HistoryEvent {
  readonly id: number;
  readonly atMs: number;
  /** Such as `activityTaskScheduled`. */
  readonly type: string;
  readonly attributes: Fields;
  /** What its author says of it in one line. */
  readonly summary?: string;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Loads the events of a file that was exported, see {@link readEvents}. @throws {InvalidHistory} */
export function loadHistoryFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new InvalidHistory(path, `cannot be read (${code})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw new InvalidHistory(path, 'is not JSON');
  }
  return Array.isArray(value) ? value : eventsIn(fieldsOf(value));
}

const eventsIn = (file: Fields): unknown => file['events'] ?? fieldsOf(file['history'])['events'];

/** Reads events, sorted by their time: those that came while the workflow was thinking are numbered later. @throws {InvalidHistory} */
export function readEvents(events: unknown, name: string): HistoryEvent[] {
  if (!Array.isArray(events) || events.length === 0) throw new InvalidHistory(name, 'has no events');
  return events
    .map((event, position) => readEvent(fieldsOf(event), position, name))
    .sort((a, b) => a.atMs - b.atMs || a.id - b.id);
}

const ATTRIBUTES = 'EventAttributes';

function readEvent(event: Fields, position: number, name: string): HistoryEvent {
  const key = Object.keys(event).find((field) => field.endsWith(ATTRIBUTES) && isObject(event[field]));
  const atMs = timeOf(event['eventTime']);
  if (key === undefined || atMs === undefined)
    throw new InvalidHistory(name, `has no event of a workflow in place ${position + 1}`);
  const summary = valueOf(fieldsOf(event['userMetadata'])['summary']);
  return {
    id: numberOf(event['eventId']) ?? position + 1,
    atMs,
    type: key.slice(0, -ATTRIBUTES.length),
    attributes: fieldsOf(event[key]),
    ...(typeof summary === 'string' && summary !== '' ? { summary } : {}),
  };
}

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** Fields of a value, none where it has none. */
export const fieldsOf = (value: unknown): Fields => (isObject(value) ? value : {});

/** A text, where it is one that says something. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** A number, also one written as a text or held as a long. */
export function numberOf(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const number = Number(isObject(value) ? (value as { toString(): string }).toString() : value);
  return Number.isFinite(number) ? number : undefined;
}

function timeOf(value: unknown): number | undefined {
  if (typeof value === 'string') {
    const ms = Date.parse(value.replace(/(\.\d{3})\d+/, '$1'));
    // Parts of a millisecond keep apart what happened at nearly the same time.
    const micros = /\.\d{3}(\d{1,6})/.exec(value)?.[1] ?? '';
    return Number.isNaN(ms) ? undefined : ms + Number(`0.${micros || '0'}`);
  }
  const seconds = numberOf(fieldsOf(value)['seconds']);
  return seconds === undefined ? undefined : seconds * 1_000 + (numberOf(fieldsOf(value)['nanos']) ?? 0) / 1e6;
}

/** The values of a list of payloads; those that are encrypted, or are no JSON, are `undefined`. */
export function valuesOf(payloads: unknown): unknown[] {
  const list: unknown = Array.isArray(payloads) ? payloads : fieldsOf(payloads)['payloads'];
  return Array.isArray(list) ? list.map(valueOf) : [];
}

/** The value of one payload. */
function valueOf(payload: unknown): unknown {
  if (!isObject(payload)) return payload ?? undefined;
  const { metadata, data } = payload;
  // Decoded by whoever exported it.
  if (metadata === undefined) return payload;
  const given = fieldsOf(metadata)['encoding'];
  if (given === 'json/plain') return data instanceof Uint8Array ? parse(data) : data;
  if (bytesOf(given)?.toString() !== 'json/plain') return undefined;
  const bytes = bytesOf(data);
  return bytes === undefined ? undefined : parse(bytes);
}

function bytesOf(value: unknown): Buffer | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value);
  return typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** The innermost message of a failure, which says what happened; the ones around it say where. */
export function messageOf(failure: unknown): string | undefined {
  let message: string | undefined;
  for (let one: unknown = failure, depth = 0; isObject(one) && depth < 20; one = one['cause'], depth++)
    message = textOf(one['message']) ?? message;
  return message;
}

/** The type of an application failure, its own or that of what caused it. */
export function failureType(failure: unknown): string | undefined {
  for (let one: unknown = failure, depth = 0; isObject(one) && depth < 20; one = one['cause'], depth++) {
    const type = textOf(fieldsOf(one['applicationFailureInfo'])['type']);
    if (type !== undefined) return type;
  }
  return undefined;
}
