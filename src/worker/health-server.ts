/** The health check of a worker process: `GET /health` on loopback unless told otherwise, 200 while it can work, else 503. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

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

export async function serveHealth(
  check: () => Promise<HealthReport>,
  options: HealthOptions = {},
): Promise<HealthServer> {
  const host = options.host ?? process.env['TXN_HEALTH_HOST'] ?? '127.0.0.1';
  const port = options.port ?? Number(process.env['TXN_HEALTH_PORT'] ?? 0);
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
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo; // Cast: it listens on TCP.
  return {
    url: `http://${host}:${actual}/health`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
