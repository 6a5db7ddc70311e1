/**
 * Who a process is. A process id is given away again after its process has ended, so a note of one is worth nothing without the
 * time at which that process started.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** When a process started, as an opaque text to compare; empty where the operating system does not say, or there is no such process. */
export function startOf(pid: number): string {
  if (process.platform === 'linux') {
    try {
      const fields = statOf(pid);
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19] ?? ''}`;
    } catch {
      return '';
    }
  }
  if (process.platform === 'win32') return '';
  return spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? '';
}

/** Whether the process `pid` that started at `start` is still there. */
export function isAlive(pid: number, start: string): boolean {
  return exists(pid) && (start === '' || startOf(pid) === start);
}

/** The fields of Linux's /proc/<pid>/stat from the third on: those before may contain anything. */
const statOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];

/** The command line of a process, or an empty text. */
export function commandOf(pid: number): string {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    } catch {
      return '';
    }
  }
  if (process.platform === 'win32') return '';
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? '';
}

/**
 * Whether any process has this id. One of another user, which may not be signalled, exists; one that has ended and only waits for
 * its parent to take notice (a zombie) does not.
 */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return statOf(pid)[0] === 'Z';
  } catch {
    return false;
  }
}
