/**
 * A worker process of the stack: started under the guard, ready when its health check says so, and started again when it
 * dies, as whatever runs a team's services would do. Promises that `kill()` is a real SIGKILL, and that a process which was
 * told to stop is not brought back.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort, outputFromNow, ProcessNotReady, spawnGuarded } from '../testing';
import type { GuardedProcess } from '../testing';

export interface ServiceProcessOptions {
  /** Shown in messages and errors. */
  readonly name: string;
  /** The compiled main module. */
  readonly script: string;
  /** The Node.js that runs it. Default: the one of this process. */
  readonly node?: string;
  /** Environment on top of this process's own. */
  readonly env: Readonly<Record<string, string>>;
  /** The file that its output is appended to. */
  readonly log: string;
  /** Modules to load before the script. Default: none. */
  readonly preload?: readonly string[];
  /** How long a dead process stays down, in milliseconds, or `never` to leave it to the caller. Default: 1000. */
  readonly restartAfterMs?: number | 'never';
}

const READY_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 100;
const PORT_ATTEMPTS = 5;

export class ServiceProcess {
  #process: GuardedProcess | undefined;
  #healthUrl = '';
  #stopping = false;
  #restarts = 0;
  #starting: Promise<void> = Promise.resolve();

  private constructor(private readonly options: ServiceProcessOptions) {}

  /** Starts the process and waits until it is healthy. */
  static async start(options: ServiceProcessOptions): Promise<ServiceProcess> {
    const service = new ServiceProcess(options);
    await service.start();
    return service;
  }

  get name(): string {
    return this.options.name;
  }

  /** Undefined until it has been started; that of its last start, also after it has ended. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** How often it was started again after it had died. */
  get restarts(): number {
    return this.#restarts;
  }

  get healthUrl(): string {
    return this.#healthUrl;
  }

  /** Starts the process, unless it runs, and waits until it is healthy. Extra environment counts for this one start. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#starting.catch(() => undefined);
    if (this.running) return;
    this.#stopping = false;
    this.#starting = this.#launch(env);
    await this.#starting; // Whoever hears that it could not be started is not to have it running a second later.
    this.#watch();
  }

  /** SIGKILL, as a crash would; it is then started again unless told otherwise. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** Waits until the process is gone, whatever ends it. */
  async died(): Promise<void> {
    await this.#process?.exited;
  }

  /** Asks it to stop, which lets it finish what it has, and keeps it stopped. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#starting.catch(() => undefined);
    await this.#process?.stop();
  }

  async #launch(env: Readonly<Record<string, string>>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#launchAt(await freePort(), env);
        return;
      } catch (error) {
        // Somebody else was faster, be it by a connection that needed a port of its own.
        const taken = error instanceof ProcessNotReady && error.output.includes('EADDRINUSE');
        if (!taken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  async #launchAt(port: number, env: Readonly<Record<string, string>>): Promise<void> {
    const { script, node = process.execPath, log, preload = [] } = this.options;
    this.#healthUrl = `http://127.0.0.1:${port}/health`;
    const output = await outputFromNow(log);
    const args = [...preload.flatMap((module) => ['--require', module]), script];
    const started = await spawnGuarded(node, args, {
      env: { ...process.env, ...this.options.env, ...env, TXN_HEALTH_HOST: '127.0.0.1', TXN_HEALTH_PORT: String(port) },
      log,
    });
    this.#process = started;
    await this.#untilHealthy(started, output);
  }

  #watch(): void {
    void this.#process?.exited.then(() => this.#startAgain());
  }

  async #startAgain(): Promise<void> {
    const { restartAfterMs = 1_000, name } = this.options;
    if (this.#stopping || restartAfterMs === 'never') return;
    await sleep(restartAfterMs);
    if (this.#stopping || this.running) return;
    this.#restarts++;
    // A process that cannot be started again is started again: its log says why it died.
    this.#starting = this.#launch({}).catch((error: unknown) =>
      console.error(`${name} could not be started again: ${error instanceof Error ? error.message : String(error)}`),
    );
    await this.#starting;
    if (!this.#stopping) this.#watch();
  }

  async #untilHealthy(started: GuardedProcess, output: () => Promise<string>): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await isHealthy(this.#healthUrl))) {
      const late = Date.now() > deadline;
      if (late || !started.running) {
        const reason = late ? `it was not healthy within ${READY_TIMEOUT_MS / 1000} s` : 'it ended';
        await started.stop();
        throw new ProcessNotReady(this.options.name, reason, await output(), `All of it is in ${this.options.log}.`);
      }
      await sleep(POLL_INTERVAL_MS);
    }
  }
}

/** Whether a health check answers well. */
export async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // Not listening yet.
  }
}
