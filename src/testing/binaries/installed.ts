/**
 * Binaries that are on this machine already: named by the user or on PATH. A file counts only if it runs, so that a wrapper of
 * another tool, a binary for another processor or a broken link is found out here and not when a server is started with it.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import type { Found } from './find';
import type { Pin } from './pins';

const VERSION_TIMEOUT_MS = 10_000;

export async function findOnPath(pin: Pin, env: NodeJS.ProcessEnv): Promise<Found> {
  const file = process.platform === 'win32' ? `${pin.name}.exe` : pin.name;
  const rejected: string[] = [];
  for (const directory of (env.PATH ?? '').split(delimiter).filter((entry) => entry !== '')) {
    const path = join(directory, file);
    if (!(await isFile(path))) continue;
    const reason = await whyUnusable(pin, path);
    if (reason === undefined) return { path };
    rejected.push(`${path}: ${reason}`);
  }
  return { reason: rejected.length > 0 ? rejected.join('; ') : 'not there' };
}

/** Why a file cannot serve as this binary, or undefined if it can. */
export async function whyUnusable(pin: Pin, path: string): Promise<string | undefined> {
  if (!(await isFile(path))) return 'there is no such file';
  try {
    await access(path, constants.X_OK);
  } catch {
    return 'it is not executable';
  }
  const { output, failure } = await run(path, ['--version']);
  if (pin.prints.test(output)) return undefined;
  return failure ?? `"--version" printed nothing like ${pin.name}, so it is another tool`;
}

function run(path: string, args: string[]): Promise<{ output: string; failure?: string }> {
  return new Promise((resolve) => {
    execFile(
      path,
      args,
      { timeout: VERSION_TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' },
      (error, stdout, stderr) => {
        const output = `${stdout}${stderr}`;
        resolve(error ? { output, failure: `"--version" failed: ${error.message.split('\n')[0] ?? ''}` } : { output });
      },
    );
  });
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
