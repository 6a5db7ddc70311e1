/** A door before a server: open, shut, or letting things in and nothing out. */
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

export class Door {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #state: 'open' | 'shut' | 'one-way' = 'open';

  constructor(private readonly to: { readonly host: string; readonly port: number }) {
    this.#server = createServer((socket) => this.#pass(socket));
  }

  /** Begins to let through. @returns the port of the door */
  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('It listens on TCP.');
    return address.port;
  }

  /** Ends what is passing, and lets nothing through. */
  set shut(shut: boolean) {
    this.#state = shut ? 'shut' : 'open';
    if (shut) this.#end();
  }

  /** From now on requests arrive and no answer comes back. Ended by `shut = false`, which ends what is passing, too. */
  letNothingOut(): void {
    this.#state = 'one-way';
  }

  /** Ends what is passing, and lets everything through. */
  reopen(): void {
    this.#state = 'open';
    this.#end();
  }

  async close(): Promise<void> {
    this.shut = true;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #pass(socket: Socket): void {
    if (this.#state === 'shut') {
      socket.destroy();
      return;
    }
    const behind = createConnection(this.to);
    for (const end of [socket, behind]) {
      this.#sockets.add(end);
      end.on('error', () => undefined);
      end.on('close', () => {
        this.#sockets.delete(end);
        socket.destroy();
        behind.destroy();
      });
    }
    socket.on('data', (data) => behind.write(data));
    behind.on('data', (data) => {
      if (this.#state !== 'one-way') socket.write(data);
    });
  }
}
