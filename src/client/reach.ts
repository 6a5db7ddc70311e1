/**
 * Connects, and finds out what was wrong when that fails: gRPC says no more than that its time was up, and the person who reads it
 * needs to know whether it is the address, the certificate of the server, or their own.
 */
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { inspect } from 'node:util';
import { isGrpcServiceError } from '@temporalio/client';
import { TemporalUnreachable } from './errors';
import type { TemporalConnectionOptions } from './connect';

const DEFAULT_PATIENCE_MS = 2_000;
const DEFAULT_PORT = 7_233;
/** How a client of HTTP/2 begins: its preface, and no settings of its own. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
/** How an alert of TLS begins. */
const ALERT = 0x15;
const WANTS_TLS = 'it does not speak to us in plain text: it may want TLS';

/**
 * Connects to Temporal.
 *
 * @param connect such as `() => NativeConnection.connect(options)`
 * @param patienceMs how long to look for the reason when it fails
 * @throws {TemporalUnreachable} with the reason
 */
export async function reachTemporal<T>(
  options: TemporalConnectionOptions,
  connect: () => Promise<T>,
  patienceMs = DEFAULT_PATIENCE_MS,
): Promise<T> {
  try {
    return await connect();
  } catch (error) {
    const why = answerIn(error) ?? (await whatStandsInTheWay(options, patienceMs)) ?? tell(error);
    const isQuoting = secretsIn(options).some((secret) => inspect(error, { depth: Infinity }).includes(secret));
    throw new TemporalUnreachable(options.address, without(secretsIn(options), why), isQuoting ? {} : { cause: error });
  }
}

const SHORTEST_SECRET = 8;

/** What is sent as proof, word by word: whoever quotes a header may leave out `Bearer`. */
function secretsIn({ apiKey, metadata = {} }: TemporalConnectionOptions): string[] {
  const sent = [apiKey, ...Object.values(metadata)].filter((value) => typeof value === 'string');
  return sent.flatMap((value) => value.split(' ')).filter((word) => word.length >= SHORTEST_SECRET);
}

const without = (secrets: readonly string[], text: string): string =>
  secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);

/** What the server itself has said, such as that it does not know the API key. */
const answerIn = (error: unknown): string | undefined =>
  error instanceof Error && isGrpcServiceError(error.cause) ? error.cause.message : undefined;

/** What a connection without gRPC meets; nothing where it meets nothing. */
function whatStandsInTheWay(options: TemporalConnectionOptions, patienceMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let socket: Socket;
    try {
      socket = open(options);
    } catch (error) {
      // The certificate and its key are not one pair, or are no PEM.
      return resolve(`the TLS settings cannot be used: ${tell(error)}`);
    }
    const end = (why?: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(end, patienceMs);
    const plain = !options.tls;
    socket.once(plain ? 'connect' : 'secureConnect', () => socket.write(PREFACE));
    socket.once('data', (answer: Buffer) => end(plain && answer[0] === ALERT ? WANTS_TLS : undefined));
    socket.on('error', (error) => end(tell(error)));
    socket.once('close', () => end(plain ? WANTS_TLS : 'it closed the connection'));
  });
}

function open({ address, tls }: TemporalConnectionOptions): Socket {
  const [, name = address, port] = /^(.*?)(?::(\d+))?$/.exec(address) ?? [];
  const host = name.replace(/^\[(.*)\]$/, '$1');
  const to = { host, port: Number(port ?? DEFAULT_PORT) };
  if (!tls) return connectPlain(to);
  const { serverNameOverride, serverRootCACertificate, clientCertPair } = tls === true ? {} : tls;
  return connectTls({
    ...to,
    ALPNProtocols: ['h2'],
    // As gRPC does, whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    ...(serverNameOverride === undefined ? {} : { servername: serverNameOverride }),
    ...(serverRootCACertificate === undefined ? {} : { ca: Buffer.from(serverRootCACertificate) }),
    ...(clientCertPair ? { cert: Buffer.from(clientCertPair.crt), key: Buffer.from(clientCertPair.key) } : {}),
  });
}

function tell(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  // Of a host with several addresses the message is empty.
  const message = error.message || 'it does not answer';
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}
