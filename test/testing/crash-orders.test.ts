import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { crashpoint, onCrashpoint } from '../../src/protocol';
import { giveCrashOrders } from '../../src/testing';
import type { CrashOrder } from '../../src/testing';
import { armCrashpointsFrom } from '../../src/testing/crashpoints';
import { temporaryDirectory } from './fixture';

const FAIL: readonly CrashOrder[] = [{ at: 'branch.before-commit', action: { kind: 'fail' } }];

const fails = (): Promise<boolean> =>
  crashpoint('branch.before-commit').then(
    () => false,
    () => true,
  );

async function inARow(count: number): Promise<boolean[]> {
  const all = [];
  for (let n = 0; n < count; n++) all.push(await fails());
  return all;
}

describe('a process that looks into a file for its orders', () => {
  it('obeys those that it is given while it runs, each time anew, and not those of the one before it', async () => {
    onTestFinished(() => onCrashpoint(undefined));
    const file = join(temporaryDirectory(), 'orders.json');
    giveCrashOrders(file, FAIL);
    armCrashpointsFrom(file);
    expect(await inARow(2)).toEqual([false, false]);
    giveCrashOrders(file, FAIL);
    expect(await inARow(2)).toEqual([true, false]);
    giveCrashOrders(file, FAIL);
    expect(await inARow(2)).toEqual([true, false]);
    giveCrashOrders(file, [{ ...FAIL[0]!, passage: 2 }]);
    expect(await inARow(3)).toEqual([false, true, false]);
  });

  it('has those that it was started with until it is given others', async () => {
    onTestFinished(() => onCrashpoint(undefined));
    const file = join(temporaryDirectory(), 'orders.json');
    armCrashpointsFrom(file, FAIL);
    expect(await inARow(2)).toEqual([true, false]);
    armCrashpointsFrom(file, FAIL);
    giveCrashOrders(file, []);
    expect(await fails()).toBe(false);
  });

  it('is killed there, and leaves word where', async () => {
    const directory = temporaryDirectory();
    const [file, log] = [join(directory, 'orders.json'), join(directory, 'log')];
    const dist = join(__dirname, '../../dist/src');
    const program = `setInterval(() => require('${dist}/protocol').crashpoint('branch.before-commit'), 10); console.log('runs')`;
    const child = spawn(process.execPath, ['-r', 'temporal-txn/testing/crashpoints', '-e', program], {
      cwd: join(__dirname, '../..'),
      env: { ...process.env, TXN_CRASHPOINT_FILE: file },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    giveCrashOrders(file, [{ at: 'branch.before-commit', action: { kind: 'kill' }, passage: 3 }], log);
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(readFileSync(log, 'utf8')).toBe('branch.before-commit\n');
  });
});
