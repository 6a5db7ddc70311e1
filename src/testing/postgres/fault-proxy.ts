/**
 * A network between a client and PostgreSQL in which chosen statements get lost, late or cancelled. It stands on a port of the loopback
 * interface and passes on every byte as it is, until a statement comes by that a fault has been injected for. So a test can make
 * happen what the code under test has to survive: an acknowledgement that never arrives, a statement that arrives when everybody
 * has given it up, a duplicate that runs in between. No TLS: the proxy has to read what it passes on.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { WrongServerState } from '../errors';
import { Faults } from './faults';
import type { InjectedFault, Injection } from './faults';
import { ProxiedConnection } from './proxied-connection';

export interface PostgresFaultProxyOptions {
  /** Where the server listens. A `PostgresServer` will do. */
  readonly target: { readonly host: string; readonly port: number };
}

const HOST = '127.0.0.1';

/**
 * @example
 * const proxy = await PostgresFaultProxy.start({ target: server });
 * const pool = new Pool({ connectionString: proxy.url(databaseUrl) });
 * const fault = proxy.inject({ statement: /^prepare transaction/i, fault: { kind: 'kill-after' } });
 */
export class PostgresFaultProxy {
  readonly host = HOST;
  readonly #connections = new Set<ProxiedConnection>();
  readonly #faults = new Faults();
  readonly #seen: string[] = [];
  #refusing = false;

  private constructor(
    private readonly options: PostgresFaultProxyOptions,
    private readonly listener: Server,
    readonly port: number,
  ) {
    listener.on('connection', (client) => this.#accept(client));
  }

  static async start(options: PostgresFaultProxyOptions): Promise<PostgresFaultProxy> {
    // Half open, because a client that has said its last word may still have answers to come.
    const listener = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ port: 0, host: HOST, exclusive: true }, resolve);
    });
    return new PostgresFaultProxy(options, listener, (listener.address() as AddressInfo).port); // Cast: it listens on TCP.
  }

  /** The same database through the proxy. */
  url(databaseUrl: string): string {
    const url = new URL(databaseUrl);
    url.hostname = this.host;
    url.port = String(this.port);
    return url.href;
  }

  /** Has a fault wait for its statement, on any connection. */
  inject(injection: Injection): InjectedFault {
    this.#assertRunning();
    return this.#faults.add(injection);
  }

  /** The texts of the statements that were passed on to the server, in this order. */
  get seen(): readonly string[] {
    return this.#seen;
  }

  /** Forgets what was seen. Faults stay. */
  clear(): void {
    this.#seen.length = 0;
  }

  /** Cuts every connection, with all that is held on it: on neither side a word more arrives. */
  async cut(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.cut()));
  }

  /** Whether new connections are closed as soon as they come. Those that exist stay. */
  refuse(refusing: boolean): void {
    this.#assertRunning();
    this.#refusing = refusing;
  }

  /** A sound network again: no faults, and connections are accepted. Statements that were struck before take their course. */
  heal(): void {
    this.#faults.clear();
    this.#refusing = false;
  }

  /** Cuts every connection and gives up the port. Idempotent. */
  async stop(): Promise<void> {
    this.#faults.clear();
    this.#refusing = true;
    const closed = new Promise<void>((resolve) => {
      this.listener.close(() => resolve());
    });
    await this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.on('error', () => undefined);
      client.destroy();
      return;
    }
    const connection = new ProxiedConnection(client, this.options.target, this.#faults, this.#seen);
    this.#connections.add(connection);
    void connection.over.then(() => this.#connections.delete(connection));
  }

  #assertRunning(): void {
    if (this.listener.listening) return;
    throw new WrongServerState('this fault proxy has been stopped', 'Use PostgresFaultProxy.start().');
  }
}
