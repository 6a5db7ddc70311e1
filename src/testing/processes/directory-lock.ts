/**
 * One owner a directory, without a lock that outlives its owner. The lock is a file that names its owner's process; the owner is
 * alive if that process exists and started when the file says it did (a process id alone may have been given away again).
 *
 * A stale lock is never deleted by the one who wants it: between its look and its deletion a third may have taken the lock. Instead
 * lock files are numbered, the highest number is the lock, and a stale one is overtaken by linking the next number into place, which
 * the file system lets exactly one do.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { DirectoryInUse } from '../errors';
import { isAlive, startOf } from './identity';

export interface DirectoryLock {
  /** Gives the directory back. Idempotent. */
  release(): void;
}

interface Owner {
  readonly pid: number;
  readonly start: string;
  readonly token: string;
}

const POLL_MS = 100;

/**
 * Takes the lock `name` of a directory, which is created if need be. Rejects with DirectoryInUse when its owner is alive and does
 * not give it back within `waitMs` (default: 0).
 */
export async function lockDirectory(directory: string, name: string, waitMs = 0): Promise<DirectoryLock> {
  const deadline = Date.now() + waitMs;
  mkdirSync(directory, { recursive: true });
  for (;;) {
    const attempt = tryLock(directory, name);
    if ('release' in attempt) return attempt;
    if (Date.now() >= deadline) throw new DirectoryInUse(directory, attempt.pid);
    await sleep(POLL_MS);
  }
}

function tryLock(directory: string, name: string): DirectoryLock | Owner {
  const me: Owner = { pid: process.pid, start: startOf(process.pid), token: randomUUID() };
  for (;;) {
    const newest = generations(directory, name).at(-1) ?? 0;
    const owner = ownerOf(directory, name, newest);
    if (owner && isAlive(owner.pid, owner.start)) return owner;
    if (!linkInto(directory, name, newest + 1, me)) continue;
    const all = generations(directory, name);
    // Somebody who overtook the same stale lock may have been overtaken and cleaned away before we linked: the higher number wins.
    if (all.at(-1) !== newest + 1) {
      rmSync(fileOf(directory, name, newest + 1), { force: true });
      continue;
    }
    for (const old of all.slice(0, -1)) rmSync(fileOf(directory, name, old), { force: true });
    return lock(directory, name, newest + 1, me);
  }
}

function lock(directory: string, name: string, generation: number, me: Owner): DirectoryLock {
  return {
    release() {
      if (ownerOf(directory, name, generation)?.token === me.token)
        rmSync(fileOf(directory, name, generation), { force: true });
    },
  };
}

/** Puts the owner's file in place whole or not at all, so that no one ever reads half an owner. */
function linkInto(directory: string, name: string, generation: number, me: Owner): boolean {
  const own = join(directory, `.${name}.${me.token}`);
  writeFileSync(own, JSON.stringify(me), { mode: 0o644 });
  try {
    linkSync(own, fileOf(directory, name, generation));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

function generations(directory: string, name: string): number[] {
  const prefix = `${name}.lock.`;
  return readdirSync(directory)
    .filter((file) => file.startsWith(prefix))
    .map((file) => Number(file.slice(prefix.length)))
    .filter((generation) => Number.isSafeInteger(generation) && generation > 0)
    .sort((a, b) => a - b);
}

function ownerOf(directory: string, name: string, generation: number): Owner | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(directory, name, generation), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

const fileOf = (directory: string, name: string, generation: number): string =>
  join(directory, `${name}.lock.${generation}`);
