/**
 * Temporal's development server: the real server with visibility, schedules and, if wanted, the Web UI, in one process. Promises:
 * loopback only; with a directory its state and its addresses survive a stop, a kill and a crash of ours; search attributes are
 * usable when `start` answers; and it never outlives this process.
 */
import { appendFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';

import { findBinary } from '../binaries/find';
import { ProcessNotReady, WrongServerState } from '../errors';
import { freePort, isListening } from '../free-port';
import { lockDirectory } from '../processes/directory-lock';
import type { DirectoryLock } from '../processes/directory-lock';
import { endNotedProcess, noteProcess } from '../processes/orphan';
import { outputFromNow } from '../processes/output';
import { spawnGuarded } from '../processes/spawn';
import type { GuardedProcess } from '../processes/spawn';
import { writeAside } from '../write-aside';
import { registerSearchAttributes } from './search-attributes';
import type { SearchAttribute } from './search-attributes';

export interface TemporalDevServerOptions {
  /** Where the database, the ports and the log are kept. Default: nothing is kept, and a kill loses everything. */
  readonly directory?: string;
  /**
   * Whether what is kept in the directory survives a crash of the machine too. With false it survives that of the server, and the server
   * does not wait for the disk: twice as many workflows a second. Default: true.
   */
  readonly durable?: boolean;
  /** The gRPC port. Default: the one used last in this directory if it is free, else any free one. */
  readonly port?: number;
  /** The Web UI's port, or false for no Web UI. Default: as for `port`. */
  readonly uiPort?: number | false;
  /** Where it tells its own metrics, in the format of Prometheus: what it was asked and what it asked of its database. Default: nowhere. */
  readonly metricsPort?: number;
  /** The file for the server's output. Default: `temporal.log` in the directory. */
  readonly log?: string;
  /** The namespace; created if it is not there. Default: "default". */
  readonly namespace?: string;
  /** Search attributes to register. Default: none. */
  readonly searchAttributes?: readonly SearchAttribute[];
  /**
   * Values of Temporal's dynamic configuration, by key. Default: one partition for each task queue, and a shard that looks for tasks as
   * often as there are any, which these are added to.
   */
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
  /** Hears what is being done while the binary is looked for. */
  readonly onProgress?: (message: string) => void;
}

interface Ports {
  readonly port: number;
  readonly uiPort: number | undefined;
}

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 60_000;
const START_ATTEMPTS = 3;
const ENDED = 'it ended';
/** What a cluster has hundreds of, this server has one of. */
const DYNAMIC_CONFIG = {
  // One process gains nothing from spreading a task queue over four partitions that forward their tasks to each other.
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  // By default a shard looks for tasks 20 times a second, which is all that is looked here: under load each task would wait for 50 ms.
  'history.transferProcessorMaxPollRPS': 1_000,
  'history.timerProcessorMaxPollRPS': 1_000,
  'history.visibilityProcessorMaxPollRPS': 1_000,
};

export class TemporalDevServer {
  readonly namespace: string;
  #process: GuardedProcess | undefined;
  #stopped = false;

  private constructor(
    private readonly options: TemporalDevServerOptions,
    private readonly executable: string,
    private readonly directory: string,
    private readonly lock: DirectoryLock,
    private ports: Ports,
  ) {
    this.namespace = options.namespace ?? 'default';
  }

  /** Starts a server and waits until its namespace and search attributes can be used. */
  static async start(options: TemporalDevServerOptions = {}): Promise<TemporalDevServer> {
    const executable = await findBinary('temporal', options.onProgress ? { onProgress: options.onProgress } : {});
    if (options.directory !== undefined) await mkdir(options.directory, { recursive: true });
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'temporal-txn-')));
    const lock = await lockDirectory(directory, 'temporal');
    try {
      await endNotedProcess(join(directory, 'process.json'), 'SIGTERM');
      const ports = await choosePorts(options, await portsUsedLast(directory));
      const server = new TemporalDevServer(options, executable, directory, lock, ports);
      await server.#start({ mayMove: true });
      await writeAside(join(directory, 'ports.json'), JSON.stringify(server.ports));
      return server;
    } catch (error) {
      lock.release();
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where clients and workers connect to. */
  get address(): string {
    return `${HOST}:${this.ports.port}`;
  }

  /** The Web UI's address, or undefined without one. */
  get uiUrl(): string | undefined {
    return this.ports.uiPort === undefined ? undefined : `http://${HOST}:${this.ports.uiPort}`;
  }

  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** Kills the server, as a crash would. Idempotent. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** Starts the server again, at the same addresses, after a kill. */
  async restart(): Promise<void> {
    if (this.running) throw new WrongServerState('this Temporal server is running', 'Call kill() first.');
    if (this.#stopped)
      throw new WrongServerState('this Temporal server has been stopped', 'Use TemporalDevServer.start().');
    await this.#start({ mayMove: false });
  }

  /** Stops the server and gives up the directory. A server without a directory has nothing to save and is killed. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await (this.options.directory === undefined ? this.#process?.kill() : this.#process?.stop());
    this.lock.release();
    if (this.options.directory === undefined) await rm(this.directory, { recursive: true, force: true });
  }

  async #start({ mayMove }: { readonly mayMove: boolean }): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#startOnce();
      } catch (error) {
        // Besides ours the server chooses a handful of free ports for itself, can lose one of them to another process, and
        // panics now and then while it starts on a busy machine. Nobody has been told yet that it runs.
        if (!(error instanceof ProcessNotReady) || error.reason !== ENDED || attempt === START_ATTEMPTS) throw error;
        const taken = /address already in use|can't bind|can't set .*port/i.test(error.output);
        if (taken && mayMove) this.ports = await choosePorts(this.options, undefined);
      }
    }
  }

  async #startOnce(): Promise<void> {
    const log = this.options.log ?? join(this.directory, 'temporal.log');
    await appendFile(log, '');
    const output = await outputFromNow(log);
    this.#process = await spawnGuarded(this.executable, this.#args(), {
      // The server asks the vendor for news of its version, which a local server has no business to do.
      env: { ...process.env, TEMPORAL_VERSION_CHECK_DISABLED: '1' },
      log,
    });
    await noteProcess(join(this.directory, 'process.json'), this.#process.pid);
    const reason = await this.#whyNotReady(this.#process);
    if (reason === undefined) return;
    await this.#process.stop();
    throw new ProcessNotReady('the Temporal dev server', reason, await output(), `Its log is ${log}.`);
  }

  #args(): string[] {
    const { port, uiPort } = this.ports;
    const args = [
      'server',
      'start-dev',
      '--ip',
      HOST,
      '--port',
      String(port),
      '--namespace',
      this.namespace,
      '--log-level',
      'warn',
    ];
    if (uiPort === undefined) args.push('--headless');
    else args.push('--ui-port', String(uiPort), '--ui-disable-news-fetch');
    if (this.options.metricsPort !== undefined) args.push('--metrics-port', String(this.options.metricsPort));
    if (this.options.directory !== undefined) args.push('--db-filename', join(this.directory, 'temporal.db'));
    if (this.options.durable === false) args.push('--sqlite-pragma', 'synchronous=OFF');
    for (const [key, value] of Object.entries({ ...DYNAMIC_CONFIG, ...this.options.dynamicConfig })) {
      args.push('--dynamic-config-value', `${key}=${JSON.stringify(value)}`);
    }
    return args;
  }

  async #whyNotReady(running: GuardedProcess): Promise<string | undefined> {
    let last = '';
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
      if (!running.running) return ENDED;
      // A gRPC client that finds nobody listening waits a second before it tries again; a bare connection does not.
      if (!(await isListening(this.ports.port))) continue;
      try {
        await this.#prepareNamespace();
        return undefined;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
    }
    return `it did not answer within ${START_TIMEOUT_MS / 1000} s: ${last}`;
  }

  async #prepareNamespace(): Promise<void> {
    const connection = await Connection.connect({ address: this.address, connectTimeout: '2s' });
    try {
      await connection.workflowService.describeNamespace({ namespace: this.namespace });
      await registerSearchAttributes(connection, this.namespace, this.options.searchAttributes ?? []);
      if (this.uiUrl !== undefined) await fetch(this.uiUrl, { method: 'HEAD' });
    } finally {
      await connection.close();
    }
  }
}

async function choosePorts(options: TemporalDevServerOptions, last: Ports | undefined): Promise<Ports> {
  const port = options.port ?? (await freePort(last?.port));
  const uiPort = options.uiPort === false ? undefined : (options.uiPort ?? (await freePort(last?.uiPort)));
  return { port, uiPort };
}

async function portsUsedLast(directory: string): Promise<Ports | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, 'ports.json'), 'utf8')) as Ports;
  } catch {
    return undefined;
  }
}
