/**
 * How the command reads what a deployment has encrypted: with the data converter of the environment, and where that has no key, without.
 * What cannot be read is left out of an answer, and never the reason that there is none.
 */
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { TransactionDataConverter } from '../client';

/** What stands for a value that cannot be read. */
export class Unreadable {
  constructor(readonly why: string) {}
}

const MARK = 'temporal-txn/unreadable';
/** What Temporal's own converters read. */
const LEGIBLE: readonly string[] = ['json/plain', 'json/protobuf', 'binary/null', 'binary/plain', 'binary/protobuf'];

/** Whether a value stands for one that could not be read, see {@link lenient}. */
export function readUnreadable(value: unknown): Unreadable | undefined {
  if (typeof value !== 'object' || value === null || !(MARK in value)) return undefined;
  return new Unreadable(String(value[MARK]));
}

/** The data converter of a client that answers all that it can. */
export const lenient = ({ payloadCodecs = [] }: TransactionDataConverter): { payloadCodecs: PayloadCodec[] } => ({
  payloadCodecs: [
    {
      encode: (payloads) => encodeWith(payloadCodecs, payloads),
      decode: (payloads) => Promise.all(payloads.map((payload) => decodeOne(payloadCodecs, payload))),
    },
  ],
});

async function encodeWith(codecs: readonly PayloadCodec[], payloads: Payload[]): Promise<Payload[]> {
  let encoded = payloads;
  for (const codec of codecs) encoded = await codec.encode(encoded);
  return encoded;
}

async function decodeOne(codecs: readonly PayloadCodec[], payload: Payload): Promise<Payload> {
  try {
    const decoded = await decodeWith(codecs, payload);
    const encoding = text(decoded.metadata?.['encoding']);
    return LEGIBLE.includes(encoding) ? decoded : unreadable(`it is ${encoding}: see TXN_ENCRYPTION_KEYS`);
  } catch (error) {
    return unreadable(error instanceof Error ? error.message : String(error));
  }
}

async function decodeWith(codecs: readonly PayloadCodec[], payload: Payload): Promise<Payload> {
  let decoded = [payload];
  for (const codec of codecs.toReversed()) decoded = await codec.decode(decoded);
  return decoded[0] ?? payload;
}

const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();

const unreadable = (why: string): Payload => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(JSON.stringify({ [MARK]: why.replace(/^Nothing was changed: /, '') })),
});

/**
 * Decodes the payloads of a history, wherever in it they are, and the messages of failures. Those that cannot be read stay as they are.
 *
 * @param history as the client fetches it, or parsed from a file that was exported
 */
export async function decodeHistory(
  history: unknown,
  { payloadCodecs = [] }: TransactionDataConverter,
): Promise<unknown> {
  if (payloadCodecs.length === 0) return history;
  const decode = async (value: unknown): Promise<unknown> => {
    if (Array.isArray(value)) return Promise.all(value.map(decode));
    if (!isPlain(value)) return value;
    const payload = payloadIn(value);
    if (payload !== undefined) return decodeWith(payloadCodecs, payload).catch(() => value);
    const entries = await Promise.all(
      Object.entries(value).map(async ([name, field]) => [name, await decode(field)] as const),
    );
    return withMessage(Object.fromEntries(entries));
  };
  return decode(history);
}

type Fields = Record<string, unknown>;

/** Messages of the client have classes of their own, and payloads are among them; numbers and times are left alone. */
const isPlain = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !('low' in value && 'high' in value);

/** A payload, its bytes as they are or in base64. */
function payloadIn({ metadata, data }: Fields): Payload | undefined {
  if (!isPlain(metadata) || !('encoding' in metadata)) return undefined;
  const read = (value: unknown): Uint8Array =>
    value instanceof Uint8Array ? value : Buffer.from(typeof value === 'string' ? value : '', 'base64');
  return {
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, read(value)])),
    data: read(data),
  };
}

/** Of a failure whose message was encoded. */
function withMessage(failure: Fields): Fields {
  const { data } = (failure['encodedAttributes'] ?? {}) as { readonly data?: unknown };
  if (!(data instanceof Uint8Array)) return failure;
  try {
    const { message } = JSON.parse(text(data)) as { readonly message?: unknown };
    return typeof message === 'string' ? { ...failure, message } : failure;
  } catch {
    return failure;
  }
}
