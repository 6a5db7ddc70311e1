import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { DirectoryInUse, lockDirectory, spawnGuarded } from '../../src/testing';
import { survivors, temporaryDirectory } from './fixture';

const SLEEPER = 'setInterval(() => {}, 1000);';
const STUBBORN = `process.on('SIGTERM', () => {}); console.log('ready'); ${SLEEPER}`;

describe('a guarded process', () => {
  it('stops when asked, and is killed when it does not listen', async () => {
    const polite = await spawnGuarded(process.execPath, ['-e', SLEEPER]);
    expect(await polite.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(polite.running).toBe(false);

    const stubborn = await spawnGuarded(process.execPath, ['-e', STUBBORN], {
      stopTimeoutMs: 200,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise((resolve) => stubborn.child.stdout?.once('data', resolve));
    expect(await stubborn.stop()).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await stubborn.kill()).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('rejects when the command cannot be executed', async () => {
    await expect(spawnGuarded('/nowhere/at-all', [])).rejects.toThrow(/ENOENT/);
  });

  it('appends its output to the log', async () => {
    const log = join(temporaryDirectory(), 'log');
    await (
      await spawnGuarded(process.execPath, ['-p', '6 * 7'], { log })
    ).exited;
    expect(readFileSync(log, 'utf8')).toBe('42\n');
  });
});

describe('the lock of a directory', () => {
  it('is one process’s at a time, and free again when given back', async () => {
    const directory = temporaryDirectory();
    const lock = await lockDirectory(directory, 'stack');
    await expect(lockDirectory(directory, 'stack')).rejects.toThrow(DirectoryInUse);
    setTimeout(() => {
      lock.release();
    }, 150);
    (await lockDirectory(directory, 'stack', 5_000)).release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is overtaken by exactly one when its owner is dead or its number has been given away', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => dead.once('exit', resolve));
    const owners = [
      { pid: dead.pid, start: '', token: 'dead' },
      { pid: process.pid, start: 'another boot/1', token: 'number given away' },
    ];
    for (const owner of owners) {
      const directory = temporaryDirectory();
      writeFileSync(join(directory, 'stack.lock.4'), JSON.stringify(owner));
      const tried = await Promise.allSettled([1, 2, 3].map(() => lockDirectory(directory, 'stack')));
      expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(readdirSync(directory)).toEqual(['stack.lock.5']);
      expect(existsSync(join(directory, 'stack.lock.4'))).toBe(false);
      expect(await survivors([dead.pid ?? 0], 0)).toEqual([]);
    }
  });
});
