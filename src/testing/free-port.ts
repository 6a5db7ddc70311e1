/**
 * A TCP port on the loopback interface that nobody listens on. The port is only free, not reserved: whoever starts a server on
 * it must be ready to choose another one when somebody else was faster.
 */
import { connect, createServer } from 'node:net';

/** Answers `preferred` when it is free (so that a second start keeps the addresses of the first), and any free port otherwise. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await canListen(preferred)) !== undefined) return preferred;
  const port = await canListen(0);
  if (port === undefined)
    throw new Error(
      'Nothing was started: the operating system has no free port on 127.0.0.1. Close some connections and try again.',
    );
  return port;
}

/** Whether somebody accepts connections on the port. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** The port that could be listened on, or undefined if it is taken. */
function canListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : undefined);
      });
    });
  });
}
