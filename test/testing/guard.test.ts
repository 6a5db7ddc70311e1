import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';

import { PostgresServer, TemporalDevServer } from '../../src/testing';
import { query, survivors, temporaryDirectory } from './fixture';

const HOLDER = resolve(__dirname, '../../dist/test/testing/holder.js');

async function hold(mode: 'worker' | 'everything', directory = ''): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, [HOLDER, mode, directory], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [said] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
  expect(said.toString()).toBe('ready\n');
  return child as ChildProcess & { pid: number };
}

interface Running {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** The processes below `root`, at any depth. */
function below(root: number): Running[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' }).split('\n');
  const all = lines.map((line) => /^ *(\d+) +(\d+) (.*)/.exec(line)).filter((found) => found !== null);
  const processes = all.map(([, pid, parent, command = '']): Running => ({
    pid: Number(pid),
    parent: Number(parent),
    command,
  }));
  const found: Running[] = [];
  const visit = (parent: number): void => {
    for (const child of processes.filter(
      (candidate) => candidate.parent === parent && !candidate.command.startsWith('ps '),
    )) {
      found.push(child);
      visit(child.pid);
    }
  };
  visit(root);
  return found;
}

const pidsOf = (running: readonly Running[]): number[] => running.map(({ pid }) => pid);
const guardOf = (running: readonly Running[]): Running | undefined =>
  running.find(({ command }) => command.includes('const wards'));

describe('when the process that started them is gone', () => {
  it('by SIGKILL, nothing is left of databases, Temporal servers and the guard, and the directories start again', async () => {
    const directory = temporaryDirectory();
    const holder = await hold('everything', directory);
    const running = below(holder.pid);
    const server = running.find(({ command }) => command.includes('server start-dev'));
    for (const part of [/postgres -D/, /postgres: /, /server start-dev/, /temporal-test-server/, /const wards/]) {
      expect(running.map(({ command }) => command)).toContainEqual(expect.stringMatching(part));
    }

    holder.kill('SIGKILL');
    await once(holder, 'exit');
    // At once: the next start must not run beside what the guard is still stopping.
    const temporal = await TemporalDevServer.start({ directory: join(directory, 'temporal'), uiPort: false });
    onTestFinished(() => temporal.stop());
    expect(await survivors([server?.pid ?? NaN], 0)).toEqual([]);
    const postgres = await PostgresServer.start({ directory: join(directory, 'postgres'), durable: false });
    onTestFinished(() => postgres.stop());
    const url = await postgres.createService('accounts');
    expect(await query(url, 'SELECT gid FROM pg_prepared_xacts')).toEqual([{ gid: 'in-doubt' }]);
    expect(await survivors(pidsOf(running))).toEqual([]);
  });

  it.each(['SIGINT', 'SIGTERM', 'exit'] as const)('by %s, its child processes are gone too', async (end) => {
    const holder = await hold('worker');
    const running = below(holder.pid);
    expect(running).toHaveLength(2);
    if (end === 'exit') holder.send('exit');
    else holder.kill(end);
    const [code, signal] = (await once(holder, 'exit')) as [number | null, string | null];
    expect(signal ?? code).toBe(end === 'exit' ? 3 : end);
    expect(await survivors(pidsOf(running))).toEqual([]);
  });

  it('after its guard had been killed, another guard does the work', async () => {
    const holder = await hold('worker');
    const first = guardOf(below(holder.pid));
    process.kill(first?.pid ?? NaN, 'SIGKILL');
    let running = below(holder.pid);
    while ((guardOf(running)?.pid ?? first?.pid) === first?.pid) {
      await sleep(50);
      running = below(holder.pid);
    }
    // The new guard is there a moment before its list is in the pipe; a kill in that moment would be a third fault at once.
    await sleep(1_000);
    process.kill(holder.pid, 'SIGKILL');
    expect(await survivors(pidsOf(running))).toEqual([]);
  });
});

describe('an ordinary user', () => {
  it.runIf(process.getuid?.() === 0)('can run PostgreSQL, too', async () => {
    const NOBODY = 65_534;
    const directory = join(temporaryDirectory(), 'own');
    mkdirSync(directory);
    chownSync(directory, NOBODY, NOBODY);
    const child = spawn(process.execPath, [HOLDER, 'once', directory], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: directory,
      env: { PATH: process.env.PATH, HOME: directory },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(complaint).toBe('');
    expect(code).toBe(0);
  });
});
