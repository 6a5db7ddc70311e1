/**
 * What stands before a Temporal server that is not alone on its network: something that ends TLS and asks for client certificates, and
 * something that asks for an API key. Behind them is the real server.
 */
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, constants, createSecureServer } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { Pair } from './certificates';

export interface Gate {
  readonly port: number;
  close(): Promise<void>;
}

export interface TlsGateOptions {
  readonly target: string;
  readonly server: Pair;
  /** Whose certificates a client has to show. Without, it needs none. */
  readonly clientCa?: string;
}

/** Ends TLS, and passes what is inside to the server. */
export async function openTlsGate({ target, server, clientCa }: TlsGateOptions): Promise<Gate> {
  const [host = '', port] = target.split(':');
  const sockets = new Set<Socket>();
  const mutual =
    clientCa === undefined ? {} : { ca: readFileSync(clientCa), requestCert: true, rejectUnauthorized: true };
  const gate = createServer({ ...filesOf(server), ...mutual, ALPNProtocols: ['h2'] }, (outside: TLSSocket) => {
    const inside = connect(Number(port), host);
    for (const [one, other] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.pipe(other);
    }
  });
  return listening(gate, sockets);
}

export interface KeyGateOptions {
  readonly target: string;
  readonly server: Pair;
  readonly apiKey: string;
}

/** Lets calls pass that bring the API key, and answers the others as Temporal Cloud does. */
export async function openKeyGate({ target, server, apiKey }: KeyGateOptions): Promise<Gate & { seen: Set<string> }> {
  const inside = connectHttp2(`http://${target}`);
  const seen = new Set<string>();
  const gate = createSecureServer(filesOf(server));
  gate.on('stream', (stream, headers) => {
    seen.add(headers.authorization ?? 'none');
    if (headers.authorization === `Bearer ${apiKey}`) pass(stream, headers);
    else
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': '16',
          'grpc-message': 'Request unauthorized.',
        },
        { endStream: true },
      );
  });
  const pass = (stream: ServerHttp2Stream, { authorization: _, ...headers }: IncomingHttpHeaders): void => {
    const call = inside.request({ ...headers, ':authority': target, ':scheme': 'http' });
    const abandon = (): void => call.close(constants.NGHTTP2_CANCEL);
    stream.on('aborted', abandon).on('error', abandon);
    call.on('error', () => stream.close(constants.NGHTTP2_CANCEL));
    let trailers = {};
    call.on('trailers', (received: IncomingHttpHeaders) => (trailers = withoutPseudo(received)));
    call.on('response', (received, flags) => {
      const isAll = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      const answer = { ...withoutPseudo(received), ':status': received[':status'] ?? 200 };
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.respond(answer, isAll ? { endStream: true } : { waitForTrailers: true });
      if (!isAll) call.pipe(stream);
    });
    stream.pipe(call);
  };
  const sockets = new Set<Socket>();
  const listens = await listening(gate, sockets);
  return {
    port: listens.port,
    seen,
    close: async () => {
      inside.destroy();
      await listens.close();
    },
  };
}

const withoutPseudo = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':')));

const filesOf = ({ cert, key }: Pair) => ({ cert: readFileSync(cert), key: readFileSync(key) });

async function listening(server: Server, sockets: Set<Socket>): Promise<Gate> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  // A client that was turned away is none of the gate's errors.
  server.on('tlsClientError', () => undefined).on('sessionError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
