/**
 * Before any test runs. Temporal workers load workflows, and fault tests start processes, from dist/. Tests against an old build would
 * prove nothing, so `vitest` by itself builds first when a source is newer. And what comes by turns is chosen.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makePostgresTemplate } from '../src/testing';
import { CAMPAIGN } from './depth';

interface Asked {
  readonly vitest: {
    readonly filenamePattern?: readonly string[];
    readonly config: { readonly testNamePattern?: RegExp };
  };
}

export default async function setUp({ vitest: { filenamePattern, config } }: Asked): Promise<() => Promise<void>> {
  buildIfStale();
  chooseTurns(filenamePattern === undefined && config.testNamePattern === undefined && !CAMPAIGN);
  return prepareDirectory();
}

/** For what the processes that run tests keep until they end. @returns what removes it */
async function prepareDirectory(): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'txn-tests-'));
  // As root, PostgreSQL runs as a user of its own and has to get there.
  chmodSync(directory, 0o711);
  process.env['TXN_TEST_DIRECTORY'] = directory;
  if (platform() !== 'win32')
    process.env['TXN_POSTGRES_TEMPLATE'] = await makePostgresTemplate(join(directory, 'template'));
  return () => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

/** For `isTurnOf` in each of the processes that run tests. @param byTurns whether not all run anyway */
function chooseTurns(byTurns: boolean): void {
  const turn = (process.env['TXN_TURN'] ??= byTurns ? String(randomInt(1_000)) : 'all');
  if (turn !== 'all' && !/^\d{1,9}$/.test(turn))
    throw new RangeError(`TXN_TURN is ${turn}, neither a whole number nor "all".`);
  if (turn !== 'all') process.stdout.write(`What comes by turns: repeat with TXN_TURN=${turn}\n`);
}

function buildIfStale(): void {
  const script = resolve(__dirname, '../scripts/build.mjs');
  const { status } = spawnSync(process.execPath, [script, '--if-stale'], { stdio: 'inherit' });
  if (status !== 0)
    throw new Error('No test was run: the build failed. Mend the errors above, or see `npm run typecheck`.');
}
