/**
 * A real NATS server with JetStream, for tests of publishers. Promises: loopback only; what a stream has stored and acknowledged
 * survives a kill, and `restart` finds it at the same address; and the server never outlives this process.
 */
import { appendFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { findBinary } from '../binaries/find';
import { ProcessNotReady, WrongServerState } from '../errors';
import { freePort, isListening } from '../free-port';
import { lockDirectory } from '../processes/directory-lock';
import type { DirectoryLock } from '../processes/directory-lock';
import { endNotedProcess, noteProcess } from '../processes/orphan';
import { outputFromNow } from '../processes/output';
import { spawnGuarded } from '../processes/spawn';
import type { GuardedProcess } from '../processes/spawn';

export interface NatsServerOptions {
  /** Where streams and the log are kept. Default: a new directory, which goes when the server is stopped. */
  readonly directory?: string;
  /** The port. Default: any free one. */
  readonly port?: number;
  /** Hears what is being done while the binary is looked for. */
  readonly onProgress?: (message: string) => void;
}

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 30_000;
const PORT_ATTEMPTS = 3;

export class NatsServer {
  #process: GuardedProcess | undefined;
  #stopped = false;

  private constructor(
    private readonly options: NatsServerOptions,
    private readonly executable: string,
    private readonly directory: string,
    private readonly lock: DirectoryLock,
    private port: number,
  ) {}

  /** Starts a server and waits until clients can connect. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const executable = await findBinary('nats-server', options.onProgress ? { onProgress: options.onProgress } : {});
    if (options.directory !== undefined) await mkdir(options.directory, { recursive: true });
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'temporal-txn-')));
    const lock = await lockDirectory(directory, 'nats');
    try {
      await endNotedProcess(join(directory, 'process.json'), 'SIGTERM');
      const server = new NatsServer(options, executable, directory, lock, options.port ?? (await freePort()));
      await server.#startOnFreePort();
      return server;
    } catch (error) {
      lock.release();
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where clients connect to. */
  get url(): string {
    return `nats://${HOST}:${this.port}`;
  }

  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** Kills the server, as a crash would. Idempotent. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** Starts the server again, at the same address, after a kill. */
  async restart(): Promise<void> {
    if (this.running) throw new WrongServerState('this NATS server is running', 'Call kill() first.');
    if (this.#stopped) throw new WrongServerState('this NATS server has been stopped', 'Use NatsServer.start().');
    await this.#start();
  }

  /** Stops the server and gives up the directory. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await (this.options.directory === undefined ? this.#process?.kill() : this.#process?.stop());
    this.lock.release();
    if (this.options.directory === undefined) await rm(this.directory, { recursive: true, force: true });
  }

  async #startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#start();
      } catch (error) {
        const taken = error instanceof ProcessNotReady && /address already in use/i.test(error.output);
        if (!taken || this.options.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
        this.port = await freePort();
      }
    }
  }

  async #start(): Promise<void> {
    const log = join(this.directory, 'nats.log');
    await appendFile(log, '');
    const output = await outputFromNow(log);
    this.#process = await spawnGuarded(
      this.executable,
      ['--addr', HOST, '--port', String(this.port), '--jetstream', '--store_dir', join(this.directory, 'streams')],
      { log },
    );
    await noteProcess(join(this.directory, 'process.json'), this.#process.pid);
    const reason = await this.#whyNotReady(this.#process);
    if (reason === undefined) return;
    await this.#process.kill();
    throw new ProcessNotReady('the NATS server', reason, await output(), `Its log is ${log}.`);
  }

  /** It listens for clients once its streams are recovered. */
  async #whyNotReady(running: GuardedProcess): Promise<string | undefined> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(10)) {
      if (!running.running) return 'it ended';
      if (await isListening(this.port)) return undefined;
    }
    return `it did not listen within ${START_TIMEOUT_MS / 1000} s`;
  }
}
