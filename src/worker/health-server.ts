/** The health check of a worker process: `GET /health` on loopback unless told otherwise, 200 while it can work, else 503. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { show } from '../protocol';

export interface HealthOptions {
  /** @default TXN_HEALTH_PORT, or 0: a free one, see `RunningWorker.healthUrl` */
  readonly port?: number;
  /** @default TXN_HEALTH_HOST, or 127.0.0.1 */
  readonly host?: string;
}

export interface HealthReport {
  readonly healthy: boolean;
  readonly worker: string;
  readonly [detail: string]: unknown;
}

export interface HealthServer {
  readonly url: string;
  close(): Promise<void>;
}

/** TXN_HEALTH_PORT, or `health.port`, is no port. */
export class InvalidHealthPort extends Error {
  override readonly name = 'InvalidHealthPort';

  constructor(
    /** Where it comes from. */
    readonly setting: 'TXN_HEALTH_PORT' | 'health.port',
    readonly value: unknown,
  ) {
    super(
      `Nothing was started: ${setting} is ${show(value)}. Use a port, which is a whole number from 1 to ${LAST_PORT}, or 0 for a free one.`,
    );
  }
}

/** Nobody could ask for the health of the worker: somebody else has its port, or its address is none of this machine. */
export class HealthNotServed extends Error {
  override readonly name = 'HealthNotServed';

  constructor(
    /** Where it was to answer. */
    readonly address: string,
    /** What the operating system says: EADDRINUSE, EACCES, … */
    readonly code: string,
    /** When that was found out: before anything began, or when the worker ran, which it does no more. */
    when: 'before' | 'at its start',
    options?: ErrorOptions,
  ) {
    super(
      (when === 'before' ? 'Nothing was started' : 'The worker was started, and has stopped again') +
        `: its health check cannot listen on ${show(address)} (${code}${code === 'EADDRINUSE' ? ': somebody else does' : ''}). Give each ` +
        'worker a port of its own with TXN_HEALTH_PORT or health.port, where 0 takes a free one, at an address of this machine with ' +
        'TXN_HEALTH_HOST or health.host.',
      options,
    );
  }
}

/**
 * Finds out whether the health check can be served. That itself comes last, when the worker has taken work already.
 *
 * @throws {InvalidHealthPort} {HealthNotServed}
 */
export async function checkHealthAddress(options: HealthOptions = {}): Promise<void> {
  const address = addressOf(options);
  // Whoever asks meanwhile hears that the worker is not there yet.
  const server = createServer((_, response) => response.writeHead(503).end());
  await listen(server, address, 'before');
  await close(server);
}

/** @throws {InvalidHealthPort} {HealthNotServed} */
export async function serveHealth(
  check: () => Promise<HealthReport>,
  options: HealthOptions = {},
): Promise<HealthServer> {
  const address = addressOf(options);
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/health') {
      response.writeHead(404).end();
      return;
    }
    void check().then((report) => {
      response.writeHead(report.healthy ? 200 : 503, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
      });
      response.end(`${JSON.stringify(report)}\n`);
    });
  });
  await listen(server, address, 'at its start');
  const { port } = server.address() as AddressInfo; // Cast: it listens on TCP.
  return { url: `http://${tell({ ...address, port })}/health`, close: () => close(server) };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const LAST_PORT = 65_535;

/** @throws {InvalidHealthPort} */
const addressOf = ({ host, port }: HealthOptions): Address => ({
  // Without one, a server would listen on all networks.
  host: host || process.env['TXN_HEALTH_HOST'] || '127.0.0.1',
  port: port === undefined ? portOfEnvironment() : checkedPort('health.port', port, port),
});

function portOfEnvironment(): number {
  const text = process.env['TXN_HEALTH_PORT'] || '0';
  return checkedPort('TXN_HEALTH_PORT', text, /^\d+$/.test(text) ? Number(text) : NaN);
}

function checkedPort(setting: InvalidHealthPort['setting'], given: unknown, port: number): number {
  if (!Number.isInteger(port) || port < 0 || port > LAST_PORT) throw new InvalidHealthPort(setting, given);
  return port;
}

const tell = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** @throws {HealthNotServed} */
async function listen(server: Server, { host, port }: Address, when: 'before' | 'at its start'): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException; // Cast: that is what a server emits.
    throw new HealthNotServed(tell({ host, port }), code, when, { cause: error });
  }
}

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
