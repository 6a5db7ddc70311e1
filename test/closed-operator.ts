/** Temporal as its Cloud offers it to workers: the operator's service is closed to them, everything else is the real server's. */
import { once } from 'node:events';
import { connect, constants, createServer } from 'node:http2';
import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface ClosedOperator {
  readonly address: string;
  close(): Promise<void>;
}

/** gRPC's PERMISSION_DENIED, in the words of Temporal. */
const DENIED = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-status': '7',
  'grpc-message': 'Request unauthorized.',
};

export async function withClosedOperator(address: string): Promise<ClosedOperator> {
  const temporal = connect(`http://${address}`);
  temporal.on('error', ignore);
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', ignore);
    if (headers[':path']?.startsWith('/temporal.api.operatorservice.')) {
      stream.respond(DENIED, { endStream: true });
      return;
    }
    const asked = temporal.request(headers);
    let trailers: IncomingHttpHeaders = {};
    asked.on('error', ignore);
    asked.on('trailers', (given: IncomingHttpHeaders) => (trailers = given));
    asked.on('response', (answer: IncomingHttpHeaders & IncomingHttpStatusHeader, flags: number) => {
      // An answer without a body has its status among its headers.
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answer, endStream ? { endStream } : { waitForTrailers: true });
      if (!endStream) asked.pipe(stream);
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('close', () => asked.close());
    stream.pipe(asked);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // Cast: it listens on a port.
  return {
    address: `127.0.0.1:${port}`,
    async close() {
      temporal.destroy();
      server.close();
    },
  };
}

/** What is cut off ends for both sides. */
const ignore = (): void => undefined;
