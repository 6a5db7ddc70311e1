/** Sockets as the fault proxy needs them: writing at the pace of the other side, waiting for the end, one request to cancel. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { cancelRequest } from './wire';
import type { BackendKey } from './wire';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const CANCEL_TIMEOUT_MS = 5_000;

/** Writes, and waits until the socket can take more. What is written to a closed one is lost, as it is in a network. */
export async function send(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || !socket.writable || socket.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}

export function whenClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Asks the server to cancel what a backend is doing. It closes the connection when the backend has been told. */
export async function sendCancelRequest({ host, port }: Address, key: BackendKey): Promise<void> {
  const socket = connect({ host, port, timeout: CANCEL_TIMEOUT_MS });
  const closed = whenClosed(socket);
  socket.on('error', () => undefined); // A server that is down has nothing to cancel.
  socket.once('timeout', () => socket.destroy());
  socket.resume();
  socket.write(cancelRequest(key));
  await closed;
}
