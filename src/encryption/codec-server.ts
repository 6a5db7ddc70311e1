/**
 * Decodes payloads for the Web UI and the Temporal CLI, which have no keys, and encodes what a person sends by them. Whoever may ask it
 * reads everything, so it asks for proof first, serves one origin, and listens on this machine only unless told otherwise.
 *
 * @see Temporal: "Codec Server": POST /decode and /encode, with payloads as JSON of the protobuf message
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload, PayloadCodec } from '@temporalio/common';

/** Who asks. */
export interface CodecCaller {
  /** The header `Authorization`: the Web UI sends the access token of its user there, the Temporal CLI what `--codec-auth` says. */
  readonly authorization: string | undefined;
  readonly namespace: string | undefined;
}

export interface CodecServerOptions {
  readonly payloadCodecs: readonly PayloadCodec[];
  /** Whether this caller may read everything, and write as the deployment does. */
  readonly authorize: (caller: CodecCaller) => boolean | Promise<boolean>;
  /** Of the Web UI, such as https://temporal.example.org. */
  readonly origin: string;
  readonly port: number;
  /** @default 127.0.0.1. Elsewhere, put it behind something that speaks TLS */
  readonly host?: string;
}

export interface CodecServer {
  readonly url: string;
  close(): Promise<void>;
}

const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Serves a codec until it is closed.
 *
 * @throws {TypeError} when origin is none
 * @example
 * const server = await serveCodec({ ...dataConverter, origin: 'https://temporal.example.org', port: 8888, authorize: isEmployee });
 */
export async function serveCodec(options: CodecServerOptions): Promise<CodecServer> {
  const { host = '127.0.0.1', port } = options;
  const checked = { ...options, origin: checkedOrigin(options.origin) };
  const server = createServer((request, response) => {
    void answer(checked, request, response).catch(() => {
      // What went wrong may quote what was to be translated.
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo; // Cast: it listens on TCP.
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** As browsers write it. */
function checkedOrigin(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url.origin;
  throw new TypeError(
    'Nothing was started: origin is no address of a Web UI. Use one such as https://temporal.example.org.',
  );
}

async function answer(
  { payloadCodecs, authorize, origin }: CodecServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headers = {
    'access-control-allow-origin': origin,
    // The last one is the second token of OpenID Connect.
    'access-control-allow-headers': 'content-type, x-namespace, authorization, authorization-extras',
    'access-control-allow-credentials': 'true',
    'cache-control': 'no-store',
    vary: 'origin',
  };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const end = (status: number, body = ''): void => void response.writeHead(status).end(body);
  // A browser asks before it sends what is another origin's.
  if (request.method === 'OPTIONS') return end(204);
  // The Web UI adds a query, which is about another kind of codec.
  const [path = ''] = request.url?.split('?') ?? [];
  const translate = TRANSLATIONS.get(path);
  if (request.method !== 'POST' || translate === undefined) return end(404);
  if (request.headers.origin !== undefined && request.headers.origin !== origin) return end(403);
  const namespace = request.headers['x-namespace'];
  const caller = {
    authorization: request.headers.authorization,
    namespace: Array.isArray(namespace) ? undefined : namespace,
  };
  if (!(await authorize(caller))) return end(401);
  const body = await readBody(request);
  if (body === undefined) return end(413);
  const payloads = readPayloads(body);
  if (payloads === undefined) return end(400);
  const translated = await translate(payloadCodecs, payloads);
  response.setHeader('content-type', 'application/json');
  end(200, JSON.stringify({ payloads: translated.map(writePayload) }));
}

type Translate = (codecs: readonly PayloadCodec[], payloads: Payload[]) => Promise<Payload[]>;

/** What is not encoded is not given back: it would be sent. */
const encode: Translate = async (codecs, payloads) => {
  let encoded = payloads;
  for (const codec of codecs) encoded = await codec.encode(encoded);
  return encoded;
};

const decode: Translate = (codecs, payloads) => Promise.all(payloads.map((payload) => decodeOne(codecs, payload)));

const TRANSLATIONS: ReadonlyMap<string, Translate> = new Map([
  ['/decode', decode],
  ['/encode', encode],
]);

/** What cannot be decoded is given back as it came, and the Web UI shows that. */
async function decodeOne(codecs: readonly PayloadCodec[], payload: Payload): Promise<Payload> {
  try {
    let decoded = [payload];
    for (const codec of codecs.toReversed()) decoded = await codec.decode(decoded);
    return decoded[0] ?? payload;
  } catch {
    return payload;
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function readPayloads(body: string): Payload[] | undefined {
  try {
    const { payloads } = JSON.parse(body) as {
      readonly payloads: { metadata?: Record<string, string>; data?: string }[];
    };
    return payloads.map(({ metadata = {}, data = '' }) => ({
      metadata: Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
      data: Buffer.from(data, 'base64'),
    }));
  } catch {
    return undefined;
  }
}

const writePayload = ({ metadata, data }: Payload): object => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
  ),
  data: Buffer.from(data ?? []).toString('base64'),
});
