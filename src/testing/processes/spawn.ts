/**
 * Starts a process that never outlives this one: every process of the embedded stack and every worker that a test starts comes
 * from here. It leads a process group of its own, so Ctrl-C in a terminal reaches only its parent, which then decides the order in
 * which things stop; and it is under the guard, which stops it when its parent is no longer there to do so.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

import { unwatch, watch } from './guard';

export interface SpawnGuardedOptions {
  /** The environment. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** The working directory. Default: that of this process. */
  readonly cwd?: string;
  /** The user and group to run as; only root may choose. Default: those of this process. */
  readonly uid?: number;
  readonly gid?: number;
  /** A file that standard output and error are appended to. Default: they are discarded, unless `stdio` says otherwise. */
  readonly log?: string;
  /** What Node's `spawn` takes, for a caller that wants pipes or an IPC channel. Default: nothing but the log. */
  readonly stdio?: StdioOptions;
  /** The signal that asks the process to stop. Default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** How long it may take to stop before it is killed. Default: 10 s. */
  readonly stopTimeoutMs?: number;
}

/** How a process ended: with an exit code or by a signal, never both. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Starts `command` under the guard. Rejects when the command cannot be executed. */
export async function spawnGuarded(
  command: string,
  args: readonly string[],
  options: SpawnGuardedOptions = {},
): Promise<GuardedProcess> {
  const log = options.log === undefined ? undefined : openSync(options.log, 'a', 0o600);
  try {
    const child = spawn(command, args, {
      ...(options.env && { env: options.env }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.uid !== undefined && { uid: options.uid }),
      ...(options.gid !== undefined && { gid: options.gid }),
      stdio: options.stdio ?? ['ignore', log ?? 'ignore', log ?? 'ignore'],
      detached: true,
      windowsHide: true,
    });
    const stopSignal = options.stopSignal ?? 'SIGTERM';
    const stopTimeoutMs = options.stopTimeoutMs ?? 10_000;
    const { pid } = child;
    if (pid === undefined) {
      const [error] = (await once(child, 'error')) as [Error];
      throw error;
    }
    watch({ pid, stopSignal, stopTimeoutMs });
    return new GuardedProcess(child, pid, stopSignal, stopTimeoutMs);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

/** A process under the guard. */
export class GuardedProcess {
  /** Resolves when the process has ended, whoever ended it. Never rejects. */
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;

  constructor(
    /** Node's own handle, for pipes and messages. */
    readonly child: ChildProcess,
    readonly pid: number,
    private readonly stopSignal: NodeJS.Signals,
    private readonly stopTimeoutMs: number,
  ) {
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        unwatch(pid);
        resolve(this.#exit);
      });
    });
    // After a successful spawn, 'error' only means that a signal or message could not be delivered; `exited` tells the rest.
    child.on('error', () => undefined);
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** Asks the process to stop and waits for it; kills it and its group when it takes longer than its time. Idempotent. */
  async stop(): Promise<Exit> {
    if (this.running) {
      this.signal(this.stopSignal);
      const timer = setTimeout(() => {
        this.#killGroup();
      }, this.stopTimeoutMs);
      await this.exited;
      clearTimeout(timer);
    }
    return this.exited;
  }

  /** Kills the process and its group at once, as a crash would, and waits until it is gone. Idempotent. */
  async kill(): Promise<Exit> {
    if (this.running) this.#killGroup();
    return this.exited;
  }

  /** Sends a signal; one that comes too late is no error. */
  signal(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  #killGroup(): void {
    if (process.platform !== 'win32') {
      try {
        process.kill(-this.pid, 'SIGKILL');
        return;
      } catch {
        // The group is gone although its leader is not reaped yet, or it changed its group: the leader itself is left.
      }
    }
    this.child.kill('SIGKILL');
  }
}
