/** Directories and processes for the tests of this room: everything made here is gone after the test. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { onTestFinished } from 'vitest';

import { exists } from '../../src/testing/processes/identity';

/** A new directory that goes with the test. Register what runs in it afterwards: cleaning up goes backwards. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'txn-test-'));
  chmodSync(directory, 0o711);
  onTestFinished(() => {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return directory;
}

/** Runs SQL on a connection of its own. */
export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Waits until none of the processes is left, and answers those that are after `ms`. */
export async function survivors(pids: readonly number[], ms = 10_000): Promise<number[]> {
  for (const deadline = Date.now() + ms; pids.some(exists) && Date.now() < deadline;) await sleep(50);
  return pids.filter(exists);
}
