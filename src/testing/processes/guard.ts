/**
 * The guard keeps the promise that no process of ours outlives us, whatever ends us: an exit, a crash, a signal, or a SIGKILL that
 * no handler sees. It is a tiny Node process in a session of its own that holds the reading end of a pipe from us and a list of
 * wards (process ids). When the pipe closes, because the kernel closes it whatever happened to us, it stops every ward politely,
 * kills what has not gone after its time, and ends. It installs no signal handler in our process: that belongs to the application.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';

/** A process that must not outlive this one, and how it wants to be stopped. */
export interface Ward {
  readonly pid: number;
  readonly stopSignal: NodeJS.Signals;
  readonly stopTimeoutMs: number;
}

/**
 * The program of the guard. It is text, run with `node -e`, because it must run unchanged from TypeScript sources under a test
 * runner and from the published build. A ward leads its own process group (see spawn.ts), so the last blow goes to the group.
 */
const GUARD_PROGRAM = `
const wards = new Map();
let line = '';
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
const { readFileSync } = require('node:fs');
const isZombie = (pid) => { try { return readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ').pop()[0] === 'Z'; } catch { return false; } };
const send = (pid, signal) => { try { process.kill(pid, signal); return true; } catch (error) { return error.code === 'EPERM'; } };
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => {
  const lines = (line + chunk).split('\\n');
  line = lines.pop();
  for (const text of lines) {
    const { add, remove } = JSON.parse(text);
    if (add) wards.set(add.pid, add);
    else wards.delete(remove);
  }
});
process.stdin.on('error', () => {});
process.stdin.once('close', () => {
  const closedAt = Date.now();
  for (const { pid, stopSignal } of wards.values()) send(pid, stopSignal);
  const timer = setInterval(() => {
    for (const { pid, stopTimeoutMs } of [...wards.values()]) {
      if (!send(pid, 0) || isZombie(pid)) { send(-pid, 'SIGKILL'); wards.delete(pid); }
      else if (Date.now() - closedAt > stopTimeoutMs) { send(-pid, 'SIGKILL'); send(pid, 'SIGKILL'); }
    }
    if (wards.size === 0 || Date.now() - closedAt > 60000) { clearInterval(timer); process.exit(); }
  }, 50);
});
`;

const wards = new Map<number, Ward>();
let guard: ChildProcess | undefined;

/** Puts a process under the guard. Call it in the same turn in which the process was spawned. */
export function watch(ward: Ward): void {
  wards.set(ward.pid, ward);
  if (guard === undefined) startGuard();
  else tell(guard, { add: ward });
}

/** Takes a process that has ended from the list, so that its id, once reused, is nobody's target. */
export function unwatch(pid: number): void {
  if (wards.delete(pid) && guard) tell(guard, { remove: pid });
}

function startGuard(): void {
  const started = spawn(process.execPath, ['-e', GUARD_PROGRAM], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: { ...process.env, NODE_OPTIONS: '' },
    windowsHide: true,
  });
  guard = started;
  // Neither the guard nor the pipe to it may keep our event loop alive: an application that is done must be able to end.
  started.unref();
  (started.stdin as Socket | null)?.unref();
  started.stdin?.on('error', () => undefined);
  // Someone killed the guard (an out-of-memory killer, a careless pkill): the wards get a new one.
  started.once('exit', () => {
    guard = undefined;
    if (wards.size > 0) startGuard();
  });
  for (const ward of wards.values()) tell(started, { add: ward });
}

function tell(to: ChildProcess, message: { add: Ward } | { remove: number }): void {
  to.stdin?.write(`${JSON.stringify(message)}\n`);
}
