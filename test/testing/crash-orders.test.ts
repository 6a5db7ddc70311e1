import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { crashpoint, CRASHPOINTS, onCrashpoint } from '../../src/protocol';
import { armCrashpoints, crashOrdersFrom, giveCrashOrders, WrongCrashOrder } from '../../src/testing';
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

/** What a test may have written, and what is said of it. */
const WRONG: readonly (readonly [string, RegExp])[] = [
  ['[{"at": "branch.committed"', /^Nothing was armed: TXN_CRASHPOINT is .*, and has to be JSON: /],
  ['{"at": "branch.before-commit"}', /^Nothing was armed: TXN_CRASHPOINT is of type object, and has to be a list of /],
  ['["kill"]', /TXN_CRASHPOINT\[0\] is "kill", and has to be an object\.$/],
  ['[{"action": {"kind": "kill"}}]', /TXN_CRASHPOINT\[0\]\.at is undefined, and has to be one of branch\./],
  ...[
    ['"at": "branch.before-comit"', /\.at is "branch\.before-comit", and has to be one of .*, branch\.before-commit, /],
    [
      '"action": {"kind": "crash"}',
      /TXN_CRASHPOINT\[1\]\.action\.kind is "crash", and has to be one of kill, fail, delay\.$/,
    ],
    ['"action": "kill"', /\[1\]\.action is "kill", and has to be an object\.$/],
    ['"action": {"kind": "toString"}', /\.kind is "toString", and has to be one of /],
    ['"action": {"kind": "delay"}', /\.action\.ms is undefined, and has to be milliseconds, from 0 to /],
    ['"action": {"kind": "delay", "ms": "5"}', /\.action\.ms is "5", and has to be milliseconds, from 0 to /],
    ['"action": {"kind": "delay", "ms": -1}', /\.action\.ms is -1, and has to be /],
    ['"action": {"kind": "fail", "ms": 5}', /\.action\.ms is 5, and has to be left out: the fields here are kind\.$/],
    ['"passage": 0', /\[1\]\.passage is 0, and has to be a whole number, /],
    ['"passage": 1.5', /\[1\]\.passage is 1\.5, and has to be /],
    ['"passsage": 2', /\[1\]\.passsage is 2, and has to be left out: the fields here are at, action, passage\.$/],
  ].map(([field, message]): [string, RegExp] => {
    const right = '"at": "branch.before-commit", "action": {"kind": "kill"}';
    // The last one counts where JSON has a field twice.
    return [`[{${right}}, {${right}, ${String(field)}}]`, message as RegExp]; // Cast: as written above.
  }),
];

describe('orders that would never be carried out', () => {
  it.each(WRONG)('are refused: %s', (text, message) => {
    expect(() => crashOrdersFrom(text)).toThrow(WrongCrashOrder);
    expect(() => crashOrdersFrom(text)).toThrow(message);
  });

  it('keep a process from starting', () => {
    const env = { ...process.env, TXN_CRASHPOINT: '[{"at": "branch.befor-commit", "action": {"kind": "kill"}}]' };
    const { status, stderr } = spawnSync(process.execPath, ['-r', 'temporal-txn/testing/crashpoints', '-e', ''], {
      cwd: join(__dirname, '../..'),
      env,
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('WrongCrashOrder: Nothing was armed: TXN_CRASHPOINT[0].at is "branch.befor-commit"');
  });

  it('are neither armed nor given, and what there was stays', async () => {
    onTestFinished(() => onCrashpoint(undefined));
    const file = join(temporaryDirectory(), 'orders.json');
    // Cast: callers in JavaScript can pass anything.
    const wrong = [{ at: 'branch.befor-commit', action: { kind: 'fail' } }] as unknown as readonly CrashOrder[];
    armCrashpointsFrom(file);
    giveCrashOrders(file, FAIL);
    expect(() => giveCrashOrders(file, wrong)).toThrow(WrongCrashOrder);
    expect(() => armCrashpoints(wrong)).toThrow(WrongCrashOrder);
    expect(() => armCrashpointsFrom(file, wrong)).toThrow(WrongCrashOrder);
    expect(await inARow(2)).toEqual([true, false]);
  });

  it('fail every attempt where they are in the file, until it is mended or gone', async () => {
    onTestFinished(() => onCrashpoint(undefined));
    const file = join(temporaryDirectory(), 'orders.json');
    armCrashpointsFrom(file);
    writeFileSync(file, '{"orders": {}}');
    const refused = `Nothing was armed: orders in ${file} is of type object, and has to be a list of orders`;
    for (let n = 0; n < 2; n++) await expect(crashpoint('branch.before-commit')).rejects.toThrow(refused);
    giveCrashOrders(file, FAIL);
    expect(await inARow(2)).toEqual([true, false]);
    rmSync(file);
    expect(await fails()).toBe(false);
  });
});

describe('the crash points', () => {
  it('are those of the table in docs/testing.md', () => {
    const page = readFileSync(join(__dirname, '../../docs/testing.md'), 'utf8');
    const [, section = ''] = page.split('\n## Crash points\n');
    const [table = ''] = section.split('\n## ');
    expect([...table.matchAll(/^\| `([^`]+)`/gm)].map(([, point]) => point)).toEqual(CRASHPOINTS);
  });
});
