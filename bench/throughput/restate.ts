/** Restate's server: one node with its defaults, which force to disk what they have promised, on ports of the loopback interface. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isHealthy } from '../../src/dev';
import { freePort, ProcessNotReady, spawnGuarded } from '../../src/testing';
import { restateServer } from './peers';

export interface RestateServer {
  /** Where its users' calls go. */
  readonly ingressUrl: string;
  /** Has it call a service that listens there. */
  readonly register: (serviceUrl: string) => Promise<void>;
  readonly stop: () => Promise<unknown>;
}

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 100;

export async function startRestate(directory: string): Promise<RestateServer> {
  const [port, ingress, admin] = [await freePort(), await freePort(), await freePort()];
  const config = join(directory, 'restate.toml');
  const log = join(directory, 'logs', 'restate.log');
  await writeFile(
    config,
    `listen-mode = "tcp"
bind-ip = "${HOST}"
bind-port = ${port}
base-dir = ${JSON.stringify(join(directory, 'restate'))}
disable-telemetry = true
log-filter = "warn"

[ingress]
bind-port = ${ingress}

[admin]
bind-port = ${admin}
`,
  );
  const server = await spawnGuarded(restateServer(), ['--config-file', config, '--no-logo'], { log });
  const adminUrl = `http://${HOST}:${admin}`;
  for (const deadline = Date.now() + START_TIMEOUT_MS; !(await isHealthy(`${adminUrl}/health`));) {
    if (!server.running || Date.now() > deadline) {
      await server.stop();
      throw new ProcessNotReady('the Restate server', 'it did not become healthy', '', `Its log is ${log}.`);
    }
    await sleep(POLL_INTERVAL_MS);
  }
  return {
    ingressUrl: `http://${HOST}:${ingress}`,
    register: async (uri) => {
      const response = await fetch(`${adminUrl}/deployments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ uri }),
      });
      if (!response.ok) throw new Error(`Restate does not accept the service: ${await response.text()}`);
    },
    stop: () => server.stop(),
  };
}
