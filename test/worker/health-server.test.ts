/** Where the health check of a worker answers, and what is said where it cannot. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { checkHealthAddress, serveHealth } from '../../src/worker/health-server';
import type { HealthOptions } from '../../src/worker/health-server';

beforeEach(() => {
  vi.stubEnv('TXN_HEALTH_PORT', undefined);
  vi.stubEnv('TXN_HEALTH_HOST', undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const hasVersion6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

const healthy = async () => ({ healthy: true, worker: 'RUNNING' });

/** A port that somebody else listens on. */
async function takenPort(): Promise<number> {
  const server = createServer((_, response) => response.end('mine'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port; // Cast: it listens on TCP.
}

describe('the health check of a worker', () => {
  const answersAt = async (options: HealthOptions): Promise<void> => {
    await checkHealthAddress(options);
    const server = await serveHealth(healthy, options);
    onTestFinished(() => server.close());
    const response = await fetch(server.url);
    expect([response.status, await response.json()]).toEqual([200, { healthy: true, worker: 'RUNNING' }]);
  };
  it('answers at a free port of this machine', () => answersAt({}));
  it.runIf(hasVersion6)('answers at an address of version 6', () => answersAt({ host: '::1' }));

  it('takes what is empty in the environment for not set', async () => {
    vi.stubEnv('TXN_HEALTH_PORT', '');
    vi.stubEnv('TXN_HEALTH_HOST', '');
    const server = await serveHealth(healthy);
    onTestFinished(() => server.close());
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*\/health$/);
  });

  it.each(['abc', '-1', '65536', '8080.5', ' 80', '0x50'])('does not take %j for a port', async (port) => {
    vi.stubEnv('TXN_HEALTH_PORT', port);
    for (const refused of [checkHealthAddress(), serveHealth(healthy)])
      await expect(refused).rejects.toMatchObject({
        name: 'InvalidHealthPort',
        setting: 'TXN_HEALTH_PORT',
        value: port,
        message: `Nothing was started: TXN_HEALTH_PORT is ${JSON.stringify(port)}. Use a port, which is a whole number from 1 to 65535, or 0 for a free one.`,
      });
  });

  it.each([NaN, -1, 65_536, 1.5])(
    'does not take the option %d for a port, whatever the environment says',
    async (port) => {
      vi.stubEnv('TXN_HEALTH_PORT', '0');
      await expect(checkHealthAddress({ port })).rejects.toMatchObject({
        name: 'InvalidHealthPort',
        setting: 'health.port',
        value: port,
      });
    },
  );

  it('says before anything begins that somebody else has its port, and what to do', async () => {
    const port = await takenPort();
    vi.stubEnv('TXN_HEALTH_PORT', String(port));
    await expect(checkHealthAddress()).rejects.toMatchObject({
      name: 'HealthNotServed',
      address: `127.0.0.1:${port}`,
      code: 'EADDRINUSE',
      message: expect.stringMatching(
        /^Nothing was started: .*EADDRINUSE: somebody else.* TXN_HEALTH_PORT or health\.port/,
      ),
    });
    await checkHealthAddress({ port: 0 });
  });

  it('does not claim that nothing was started when somebody else takes its port meanwhile', async () => {
    const port = await takenPort();
    await expect(serveHealth(healthy, { port })).rejects.toMatchObject({
      name: 'HealthNotServed',
      message: expect.stringMatching(/^The worker was started, and has stopped again: /),
    });
  });

  it('says that its address is none of this machine', async () => {
    // A block for documentation (RFC 5737).
    await expect(checkHealthAddress({ host: '192.0.2.1' })).rejects.toMatchObject({
      name: 'HealthNotServed',
      address: '192.0.2.1:0',
      code: 'EADDRNOTAVAIL',
    });
  });
});
