import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';

import { isHealthy, ServiceProcess } from '../../src/dev';
import type { ServiceProcessOptions } from '../../src/dev';
import { temporaryDirectory } from '../testing/fixture';

interface Tills {
  readonly options: ServiceProcessOptions;
  readonly starts: () => number;
}

/** A service that leaves a file at each start and is healthy from one of them on. Before, it does what `fails` says. */
function tills(healthyFrom: number, fails: string): Tills {
  const directory = temporaryDirectory();
  const [script, files] = [join(directory, 'tills.cjs'), join(directory, 'starts')];
  mkdirSync(files);
  writeFileSync(
    script,
    `const { createServer } = require('node:http');
    const { readdirSync, writeFileSync } = require('node:fs');
    const listen = () =>
      createServer((_, response) => response.end()).listen(Number(process.env.TXN_HEALTH_PORT), '127.0.0.1');
    writeFileSync(${JSON.stringify(files)} + '/' + process.pid, '');
    if (readdirSync(${JSON.stringify(files)}).length >= ${healthyFrom}) listen();
    else { ${fails} }`,
  );
  return {
    options: { name: 'tills', script, env: {}, log: join(directory, 'tills.log'), restartAfterMs: 50 },
    starts: () => readdirSync(files).length,
  };
}

it('takes another port when somebody else was faster', async () => {
  // The second one on a port hears what it would hear of a stranger.
  const { options, starts } = tills(3, 'listen(); listen();');
  const service = await ServiceProcess.start(options);
  onTestFinished(() => service.stop());
  expect(await isHealthy(service.healthUrl)).toBe(true);
  expect([starts(), service.restarts]).toEqual([3, 0]);
});

it('says what a service wrote that ended before it was healthy, and starts it no more', async () => {
  const { options, starts } = tills(2, `throw new Error('The till is empty.');`);
  await expect(ServiceProcess.start(options)).rejects.toThrow(
    /^Nothing is left running: tills did not become ready \(it ended\)\.[^]*The till is empty\./,
  );
  await sleep(500);
  expect(starts()).toBe(1);
});

it('starts one again that died, also when it dies once more before it is healthy', async () => {
  const { options, starts } = tills(1, '');
  const service = await ServiceProcess.start(options);
  onTestFinished(() => service.stop());
  await service.kill();
  await expect.poll(starts, { timeout: 20_000 }).toBe(2);
  await service.kill();
  await expect.poll(starts, { timeout: 20_000 }).toBe(3);
  await expect.poll(() => isHealthy(service.healthUrl), { timeout: 20_000 }).toBe(true);
});
