/**
 * Has the Temporal SDK download a binary, as its test environment does. The SDK offers no download by itself, only a server that is
 * downloaded and started, and its download can be neither bounded nor cancelled. So a child process starts that server and ends it
 * again, and is killed when nothing arrives any more: without open internet this place must fail in seconds, not hang a test run.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { spawnGuarded } from '../processes/spawn';
import type { GuardedProcess } from '../processes/spawn';
import type { BinaryCache } from './cache';
import type { Found } from './find';
import type { Pin } from './pins';

const STALL_MS = 15_000;
const TOTAL_MS = 300_000;
const POLL_MS = 250;

/** Run with `node -e`, for the reason given in processes/guard.ts. Arguments: the SDK's module, which server, where to. */
const PROGRAM = `
const [module, server, downloadDir] = process.argv.slice(1);
const { TestWorkflowEnvironment } = require(module);
const create = server === 'temporal' ? 'createLocal' : 'createTimeSkipping';
TestWorkflowEnvironment[create]({ server: { executable: { type: 'cached-download', downloadDir } } })
  .then((environment) => environment.teardown())
  .then(() => process.exit(0), (error) => { console.error(error.message); process.exit(1); });
`;

export async function downloadWithSdk(
  pin: Pin,
  cache: BinaryCache,
  env: NodeJS.ProcessEnv,
  report: (message: string) => void,
): Promise<Found> {
  const sdk = locateSdk();
  if (sdk === undefined) return { reason: '@temporalio/testing is not installed' };
  return cache.download(async (scratch) => {
    report(`downloading ${pin.name} with the Temporal SDK`);
    const child = await spawnGuarded(process.execPath, ['-e', PROGRAM, sdk, pin.name, scratch], {
      env: { ...env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (complaint = `${complaint}${text}`.slice(-2_000)));
    const stalled = await killWhenStalled(child, scratch, report);
    const { code } = await child.exited;
    if (stalled !== undefined) return { reason: stalled };
    const downloaded = (await readdir(scratch)).find((file) => !file.endsWith('.downloading'));
    if (code !== 0 || downloaded === undefined) return { reason: lastCause(complaint) };
    return { path: await cache.install(join(scratch, downloaded)) };
  });
}

/** The SDK belongs to the application; an application that only talks to a server of its own has none. */
function locateSdk(): string | undefined {
  try {
    return require.resolve('@temporalio/testing');
  } catch {
    return undefined;
  }
}

/** Waits for the child, killing it when no byte has arrived for a while. Answers why it was killed, if it was. */
async function killWhenStalled(
  child: GuardedProcess,
  directory: string,
  report: (message: string) => void,
): Promise<string | undefined> {
  const startedAt = Date.now();
  let grownAt = startedAt;
  let size = 0;
  while (child.running) {
    await Promise.race([child.exited, sleep(POLL_MS)]);
    const now = await sizeOf(directory);
    if (now > size) {
      grownAt = Date.now();
      if (Math.floor(now / 1e7) > Math.floor(size / 1e7)) report(`${Math.round(now / 1e6)} MB downloaded`);
      size = now;
    }
    const reason =
      Date.now() - grownAt > STALL_MS
        ? `nothing arrived for ${STALL_MS / 1000} s`
        : Date.now() - startedAt > TOTAL_MS
          ? `it took more than ${TOTAL_MS / 1000} s`
          : undefined;
    if (reason !== undefined && child.running) {
      await child.kill();
      return reason;
    }
  }
  return undefined;
}

async function sizeOf(directory: string): Promise<number> {
  const files = await readdir(directory);
  const sizes = await Promise.all(
    files.map((file) =>
      stat(join(directory, file)).then(
        (found) => found.size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The SDK wraps an error once for each of its layers, each repeating an address; the innermost says what happened. */
function lastCause(complaint: string): string {
  const lines = complaint.trim().split('\n');
  return lines.at(-1)?.split(': ').slice(-2).join(': ') || 'it failed without saying why';
}
