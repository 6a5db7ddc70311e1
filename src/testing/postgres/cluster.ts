/**
 * A data directory: made once, whole or not at all, and fit to start. `initdb` works in a directory beside it that is renamed at the
 * end, so a crash in the middle leaves something to delete and never half a cluster. What a dead owner left running in it is stopped
 * first, because PostgreSQL would refuse to start beside it, and so is its stale pid file, if its number has been given to another
 * process meanwhile: PostgreSQL would take that one for a server.
 */
import type { StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { ProcessNotReady } from '../errors';
import { commandOf, exists } from '../processes/identity';
import { endOrphan } from '../processes/orphan';
import { spawnGuarded } from '../processes/spawn';
import type { Installation, RunAs } from './installation';

export interface ClusterOptions {
  readonly directory: string;
  readonly installation: Installation;
  readonly adminPassword: string;
  /** Whether the new files are forced to disk. */
  readonly durable: boolean;
  /** A directory with a cluster that was never started, with this password: the new one is a copy of it. @default it is made by `initdb` */
  readonly template?: string;
}

/** The data directory inside `directory`, created if it is not there. */
export async function ensureCluster(options: ClusterOptions): Promise<string> {
  const { directory, installation } = options;
  const data = join(directory, 'data');
  if (await isDirectory(data)) {
    await stopOrphan(data);
    return data;
  }
  for (const name of await readdir(directory)) {
    if (/^(data\.new|\.initdb)-/.test(name))
      await rm(join(directory, name), { recursive: true, force: true, maxRetries: 10 });
  }
  const aside = join(directory, `data.new-${process.pid}`);
  await mkdir(aside, { mode: 0o700 });
  await giveTo(aside, installation.runAs);
  await (options.template === undefined ? initdb(aside, options) : copy(options.template, aside, options));
  await rename(aside, data);
  return data;
}

async function initdb(
  data: string,
  { directory, installation, adminPassword, durable }: ClusterOptions,
): Promise<void> {
  const passwordFile = join(data, '..', `.initdb-${process.pid}`);
  await writeFile(passwordFile, `${adminPassword}\n`, { mode: 0o600 });
  await giveTo(passwordFile, installation.runAs);
  try {
    // The built-in locale provider sorts and folds alike on every platform, whatever locales are installed.
    const args = [
      '-D',
      data,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
    ];
    args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions');
    if (!durable) args.push('--no-sync');
    await fill(data, installation.initdb, args, { directory, installation });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** As the user that PostgreSQL runs as, whose the files have to be. */
const copy = (template: string, data: string, options: ClusterOptions): Promise<void> =>
  fill(data, 'cp', ['-a', `${join(template, 'data')}/.`, data], options);

/** Has a program write a data directory, whole or not at all. */
async function fill(
  data: string,
  program: string,
  args: readonly string[],
  { directory, installation }: Pick<ClusterOptions, 'directory' | 'installation'>,
): Promise<void> {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
  const { child } = await spawnGuarded(program, args, {
    ...installation.runAs,
    cwd: directory,
    env: serverEnvironment(),
    stdio,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return;
  await rm(data, { recursive: true, force: true });
  throw new ProcessNotReady(
    basename(program),
    `it exited with ${code ?? 'a signal'}`,
    output.slice(-2_000),
    'Nothing was created.',
  );
}

/** PostgreSQL's own variables would change what it does, and the user's have no business in it. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|NODE_)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C', TZ: 'UTC' };
}

async function giveTo(path: string, runAs: RunAs): Promise<void> {
  if ('uid' in runAs) await chown(path, runAs.uid, runAs.gid);
}

/** The caller owns the directory, so whoever still serves it lost its own owner before the guard knew it. */
async function stopOrphan(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  if (!exists(pid) || !commandOf(pid).includes(data)) {
    await rm(pidFile, { force: true });
    return;
  }
  // SIGINT is PostgreSQL's fast shutdown.
  await endOrphan(pid, 'SIGINT');
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
