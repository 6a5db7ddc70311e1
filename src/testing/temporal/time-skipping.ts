/**
 * The SDK's time-skipping test environment, on the binary that we find and with search attributes registered: a workflow that sets an
 * unregistered one stalls in silence. The SDK starts that server itself and kills it in `teardown`; so that it does not outlive a
 * test run that is killed, it is put under the guard too.
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { TimeSkippingTestWorkflowEnvironmentOptions } from '@temporalio/testing';

import { findBinary } from '../binaries/find';
import { unwatch, watch } from '../processes/guard';
import { exists } from '../processes/identity';
import { addSearchAttributes } from './search-attributes';
import type { SearchAttribute } from './search-attributes';

export interface TimeSkippingOptions {
  /** Search attributes to register. Default: none. */
  readonly searchAttributes?: readonly SearchAttribute[];
  /** Options for the environment's client. */
  readonly client?: NonNullable<TimeSkippingTestWorkflowEnvironmentOptions['client']>;
  /** Hears what is being done while the binary is looked for. */
  readonly onProgress?: (message: string) => void;
}

const NAMESPACE = 'default';

/** Starts a time-skipping server. The caller ends it with the environment's `teardown()`. */
export async function startTimeSkipping(options: TimeSkippingOptions = {}): Promise<TestWorkflowEnvironment> {
  const binary = await findBinary('temporal-test-server', options.onProgress ? { onProgress: options.onProgress } : {});
  const environment = await guarded(binary, (path) =>
    TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
      ...(options.client && { client: options.client }),
    }),
  );
  try {
    await addSearchAttributes(environment.connection, NAMESPACE, options.searchAttributes ?? []);
    return environment;
  } catch (error) {
    await environment.teardown();
    throw error;
  }
}

/** Starts the server through a script that notes its process id before it becomes the server: the SDK does not tell it. */
async function guarded(
  binary: string,
  create: (executable: string) => Promise<TestWorkflowEnvironment>,
): Promise<TestWorkflowEnvironment> {
  if (process.platform === 'win32') return create(binary);
  const directory = await mkdtemp(join(tmpdir(), 'temporal-txn-'));
  const script = join(directory, 'temporal-test-server');
  const pidFile = join(directory, 'pid');
  await writeFile(script, `#!/bin/sh\necho $$ > ${quoted(pidFile)}\nexec ${quoted(binary)} "$@"\n`);
  await chmod(script, 0o700);
  const starting = create(script);
  const settled = starting.then(
    () => 'settled' as const,
    () => 'settled' as const,
  );
  try {
    let pid = await readPid(pidFile);
    while (pid === undefined && (await Promise.race([settled, sleep(5)])) !== 'settled') pid = await readPid(pidFile);
    pid ??= await readPid(pidFile);
    if (pid !== undefined) watchWhileAlive(pid);
    return await starting;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The SDK does not say when its server ends either, and the id of a process that is gone must not stay on the guard's list. */
function watchWhileAlive(pid: number): void {
  watch({ pid, stopSignal: 'SIGKILL', stopTimeoutMs: 1_000 });
  const timer = setInterval(() => {
    if (exists(pid)) return;
    clearInterval(timer);
    unwatch(pid);
  }, 500);
  timer.unref();
}

async function readPid(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.endsWith('\n') ? Number(text) : undefined;
}

const quoted = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;
