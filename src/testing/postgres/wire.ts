/**
 * The PostgreSQL wire protocol, version 3, as far as a proxy has to understand it: where a message ends, which statement it
 * carries, how the server answered. Promises that messages come out byte for byte as they went in, however TCP cut or merged
 * them. See "Frontend/Backend Protocol" in the PostgreSQL manual, above all "Message Formats".
 */

/** What a client sends. The first packets of a connection have no type byte: they are named by their code. */
export const FRONTEND = {
  startup: 'startup',
  cancelRequest: 'cancel-request',
  /** SSLRequest or GSSENCRequest. */
  encryptionRequest: 'encryption-request',
  query: 'Q',
  parse: 'P',
  bind: 'B',
  describe: 'D',
  execute: 'E',
  close: 'C',
  flush: 'H',
  sync: 'S',
  functionCall: 'F',
  copyDone: 'c',
  copyFail: 'f',
} as const;

/** What the server sends, as far as it matters here. */
export const BACKEND = {
  backendKeyData: 'K',
  commandComplete: 'C',
  errorResponse: 'E',
  readyForQuery: 'Z',
} as const;

export interface Message {
  /** A type byte, or the name of a packet that has none. */
  readonly type: string;
  /** The whole message with its header. */
  readonly bytes: Buffer;
}

/** Whether packets without a type byte are expected: a client begins with them, a server never sends one. */
export type Phase = 'startup' | 'typed';

/** By what a client's backend is known to a CancelRequest. */
export interface BackendKey {
  readonly pid: number;
  readonly secret: Buffer;
}

/** How the server answered a statement. */
export type Answer =
  | { readonly kind: 'complete'; /** `INSERT 0 1`, `PREPARE TRANSACTION`, … */ readonly tag: string }
  | { readonly kind: 'error'; readonly sqlState: string };

interface Split {
  readonly messages: readonly Message[];
  /** The beginning of a message that is not complete. */
  readonly rest: Buffer;
  /** How long `rest` must become before another split can find anything. */
  readonly neededBytes: number;
  readonly phase: Phase;
}

const CANCEL_REQUEST_CODE = 80877102;
const ENCRYPTION_REQUEST_CODES = [80877103, 80877104];
const STARTUP_HEADER_BYTES = 8;
const TYPED_HEADER_BYTES = 5;
/** PostgreSQL's own limits: a longer length is not a length, but the traffic of another protocol. */
const MAX_STARTUP_BYTES = 10_000;
const MAX_MESSAGE_BYTES = 0x3fff_ffff;

/** Cuts one direction of a connection into messages. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #neededBytes = 0;

  constructor(private phase: Phase) {}

  /** Takes the next chunk and answers the messages that are complete with it. */
  push(chunk: Buffer): readonly Message[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    // A long message comes in many chunks: joining them at each one would copy it over and over.
    if (this.#bytes < this.#neededBytes) return [];
    const { messages, rest, neededBytes, phase } = splitMessages(Buffer.concat(this.#chunks), this.phase);
    this.#chunks = [rest];
    this.#bytes = rest.length;
    this.#neededBytes = neededBytes;
    this.phase = phase;
    return messages;
  }
}

/** Splits bytes into messages. Throws if they cannot be PostgreSQL's protocol. */
function splitMessages(buffer: Buffer, from: Phase): Split {
  const messages: Message[] = [];
  let phase = from;
  let at = 0;
  for (;;) {
    const left = buffer.length - at;
    const header = phase === 'startup' ? STARTUP_HEADER_BYTES : TYPED_HEADER_BYTES;
    const length = left < header ? header : lengthAt(buffer, at, phase);
    if (left < length) return { messages, rest: buffer.subarray(at), neededBytes: length, phase };
    const bytes = buffer.subarray(at, at + length);
    const type = phase === 'startup' ? startupType(bytes) : String.fromCharCode(bytes.readUInt8(0));
    messages.push({ type, bytes });
    if (type === FRONTEND.startup) phase = 'typed';
    at += length;
  }
}

/** The text of a Query. */
export function queryText({ bytes }: Message): string {
  return stringAt(bytes, TYPED_HEADER_BYTES).text;
}

/** The name (empty for the unnamed statement) and the text of a Parse. */
export function parsedStatement({ bytes }: Message): { readonly name: string; readonly text: string } {
  const name = stringAt(bytes, TYPED_HEADER_BYTES);
  return { name: name.text, text: stringAt(bytes, name.end).text };
}

/** The name of the statement that a Bind makes ready to be executed. */
export function boundStatement({ bytes }: Message): string {
  const portal = stringAt(bytes, TYPED_HEADER_BYTES);
  return stringAt(bytes, portal.end).text;
}

export function backendKey({ bytes }: Message): BackendKey {
  return { pid: bytes.readInt32BE(TYPED_HEADER_BYTES), secret: bytes.subarray(TYPED_HEADER_BYTES + 4) };
}

/** What a CommandComplete or an ErrorResponse says; undefined for any other message. */
export function answerIn({ type, bytes }: Message): Answer | undefined {
  switch (type) {
    case BACKEND.commandComplete:
      return { kind: 'complete', tag: stringAt(bytes, TYPED_HEADER_BYTES).text };
    case BACKEND.errorResponse:
      return { kind: 'error', sqlState: errorField(bytes, 'C') };
    default:
      return undefined;
  }
}

/** The packet that asks the server, on a connection of its own, to cancel what a backend is doing. */
export function cancelRequest({ pid, secret }: BackendKey): Buffer {
  const head = Buffer.alloc(12);
  head.writeInt32BE(head.length + secret.length, 0);
  head.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  head.writeInt32BE(pid, 8);
  return Buffer.concat([head, secret]);
}

function lengthAt(buffer: Buffer, at: number, phase: Phase): number {
  // The length counts itself, not the type byte before it.
  const [length, least, most] =
    phase === 'startup'
      ? [buffer.readInt32BE(at), STARTUP_HEADER_BYTES, MAX_STARTUP_BYTES]
      : [buffer.readInt32BE(at + 1) + 1, TYPED_HEADER_BYTES, MAX_MESSAGE_BYTES];
  if (length < least || length > most)
    throw new Error(
      `Nothing was passed on: a message of ${length} bytes is not PostgreSQL's protocol. Use a client without direct TLS.`,
    );
  return length;
}

function startupType(bytes: Buffer): string {
  const code = bytes.readInt32BE(4);
  if (code === CANCEL_REQUEST_CODE) return FRONTEND.cancelRequest;
  return ENCRYPTION_REQUEST_CODES.includes(code) ? FRONTEND.encryptionRequest : FRONTEND.startup;
}

/** The zero-terminated string at an offset, and where it ends. */
function stringAt(bytes: Buffer, start: number): { readonly text: string; readonly end: number } {
  const zero = bytes.indexOf(0, start);
  const stop = zero === -1 ? bytes.length : zero;
  return { text: bytes.toString('utf8', start, stop), end: stop + 1 };
}

function errorField(bytes: Buffer, field: string): string {
  for (let at = TYPED_HEADER_BYTES; at < bytes.length && bytes.readUInt8(at) !== 0;) {
    const { text, end } = stringAt(bytes, at);
    if (text.startsWith(field)) return text.slice(1);
    at = end;
  }
  return '';
}
