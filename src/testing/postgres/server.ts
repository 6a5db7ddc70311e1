/**
 * A real PostgreSQL server in a directory, for tests and for the embedded stack. Promises: it listens on the loopback interface
 * only; a start in a used directory finds everything as it was, whatever ended the last one; `kill` is a crash (nothing is flushed or
 * closed, prepared transactions and all that was committed survive it); and it never outlives this process.
 */
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

import { ProcessNotReady, WrongServerState } from '../errors';
import { freePort } from '../free-port';
import { lockDirectory } from '../processes/directory-lock';
import type { DirectoryLock } from '../processes/directory-lock';
import { outputFromNow } from '../processes/output';
import { spawnGuarded } from '../processes/spawn';
import type { GuardedProcess } from '../processes/spawn';
import { writeAside } from '../write-aside';
import { ensureCluster, serverEnvironment } from './cluster';
import { locateInstallation, reachableDirectory } from './installation';
import type { Installation } from './installation';
import { Passwords } from './passwords';
import { createServiceDatabase, createWorkerRole } from './service';
import { SUPERUSER, templateDirectory } from './template';

export interface PostgresServerOptions {
  /** Where data, passwords and log are kept. Created if need be, reused if there. */
  readonly directory: string;
  /** The port. Default: the one used last in this directory if it is free, else any free one. */
  readonly port?: number;
  /** Settings of postgresql.conf, which override the defaults below. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** The file for the server's output. Default: `postgres.log` in the directory. */
  readonly log?: string;
  /** Whether a commit survives a crash of the machine, not only of the server. Default: true; tests are faster with false. */
  readonly durable?: boolean;
}

export interface DatabaseAddress {
  readonly database: string;
  readonly role: string;
  readonly password: string;
}

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const PORT_ATTEMPTS = 3;

const DEFAULT_SETTINGS = {
  max_prepared_transactions: 64,
  max_connections: 200,
  // One TCP address is all; a socket file would need a directory that is short, writable and cleaned up.
  unix_socket_directories: '',
  listen_addresses: HOST,
  timezone: 'UTC',
};
// Not synchronous_commit: without it a crash of the server alone loses the last commits, and a killed server must keep them.
const NOT_DURABLE = { fsync: false, full_page_writes: false };

export class PostgresServer {
  readonly host = HOST;
  #process: GuardedProcess | undefined;
  #stopped = false;

  private constructor(
    private readonly options: PostgresServerOptions,
    private readonly installation: Installation,
    /** The directory in use: the one that was asked for, or its substitute where PostgreSQL's user could not get there. */
    readonly directory: string,
    private readonly data: string,
    private readonly passwords: Passwords,
    private readonly lock: DirectoryLock,
    private lastPort: number,
  ) {}

  /** Starts a server and waits until it answers. */
  static async start(options: PostgresServerOptions): Promise<PostgresServer> {
    const installation = await locateInstallation();
    const directory = await reachableDirectory(options.directory, installation.runAs);
    const lock = await lockDirectory(directory, 'postgres');
    try {
      const passwords = new Passwords(directory);
      const durable = options.durable ?? true;
      // One that was begun here has a password of its own.
      const template = durable || passwords.has(SUPERUSER) ? undefined : templateDirectory();
      const adminPassword = passwords.of(SUPERUSER, template && new Passwords(template).of(SUPERUSER));
      const data = await ensureCluster({
        directory,
        installation,
        adminPassword,
        durable,
        ...(template === undefined ? {} : { template }),
      });
      const port = options.port ?? (await freePort(await portUsedLast(directory)));
      const server = new PostgresServer(options, installation, directory, data, passwords, lock, port);
      await server.#startOnFreePort();
      return server;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get port(): number {
    return this.lastPort;
  }

  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** The superuser's connection string. It contains the password: do not print it. */
  get adminUrl(): string {
    return this.url({ database: 'postgres', role: SUPERUSER, password: this.passwords.of(SUPERUSER) });
  }

  url({ database, role, password }: DatabaseAddress): string {
    return `postgresql://${encodeURIComponent(role)}:${encodeURIComponent(password)}@${HOST}:${this.port}/${encodeURIComponent(database)}`;
  }

  /** Gives a service its own role and database, both called `name`, and returns its connection string. Idempotent. */
  async createService(name: string): Promise<string> {
    if (!this.running) throw new WrongServerState('this PostgreSQL server is not running', 'Call restart() first.');
    const admin = await this.#connect();
    try {
      const password = this.passwords.of(name);
      await createServiceDatabase(admin, name, password);
      return this.url({ database: name, role: name, password });
    } finally {
      await admin.end();
    }
  }

  /**
   * Gives a service a role that its workers log in as, `<name>_worker`, and returns its connection string. It may enter the service's
   * database and nothing else, until it is granted more. Idempotent.
   */
  async createServiceWorker(name: string): Promise<string> {
    if (!this.running) throw new WrongServerState('this PostgreSQL server is not running', 'Call restart() first.');
    const admin = await this.#connect();
    try {
      const role = `${name}_worker`;
      const password = this.passwords.of(role);
      await createWorkerRole(admin, name, role, password);
      return this.url({ database: name, role, password });
    } finally {
      await admin.end();
    }
  }

  /**
   * Crashes the server: PostgreSQL's immediate shutdown, in which the postmaster has all its processes quit where they stand. A bare
   * SIGKILL of the postmaster would leave some of them at work for a while. The next start goes through crash recovery. Idempotent.
   */
  async kill(): Promise<void> {
    const running = this.#process;
    if (!running) return;
    running.signal('SIGQUIT');
    await Promise.race([running.exited, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    await running.kill();
  }

  /** Starts the server again, on the same port, after a kill. */
  async restart(): Promise<void> {
    if (this.running) throw new WrongServerState('this PostgreSQL server is running', 'Call kill() first.');
    if (this.#stopped)
      throw new WrongServerState('this PostgreSQL server has been stopped', 'Use PostgresServer.start().');
    await this.#start();
  }

  /** Stops the server cleanly, rolling back what is open (not what is prepared), and gives up the directory. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#process?.stop();
    this.lock.release();
  }

  async #startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#start();
        await writeAside(join(this.directory, 'port'), String(this.port));
        return;
      } catch (error) {
        const taken =
          error instanceof ProcessNotReady && /could not bind|could not create any TCP\/IP sockets/.test(error.output);
        if (!taken || this.options.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
        this.lastPort = await freePort();
      }
    }
  }

  async #start(): Promise<void> {
    const log = this.options.log ?? join(this.directory, 'postgres.log');
    await appendFile(log, '');
    const output = await outputFromNow(log);
    const settings = {
      ...DEFAULT_SETTINGS,
      ...(this.options.durable === false && NOT_DURABLE),
      ...this.options.settings,
    };
    const flags = Object.entries({ ...settings, port: this.port }).flatMap(([name, value]) => [
      '-c',
      `${name}=${String(value)}`,
    ]);
    this.#process = await spawnGuarded(this.installation.postgres, ['-D', this.data, ...flags], {
      ...this.installation.runAs,
      cwd: this.data,
      env: serverEnvironment(),
      log,
      // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
      stopSignal: 'SIGINT',
      stopTimeoutMs: STOP_TIMEOUT_MS,
    });
    const reason = await this.#whyNotReady(this.#process);
    if (reason === undefined) return;
    await this.#process.stop();
    throw new ProcessNotReady('PostgreSQL', reason, await output(), `Its log is ${log}.`);
  }

  async #whyNotReady(running: GuardedProcess): Promise<string | undefined> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
      if (!running.running) return 'it ended';
      if (!(await readFile(join(this.data, 'postmaster.pid'), 'utf8').catch(() => '')).includes('ready')) continue;
      const admin = await this.#connect().catch(() => undefined);
      if (!admin) continue;
      await admin.end();
      return undefined;
    }
    return `it did not answer within ${START_TIMEOUT_MS / 1000} s`;
  }

  async #connect(): Promise<Client> {
    const client = new Client({ connectionString: this.adminUrl });
    // A server that is killed under an idle connection is this client's normal life.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
}

async function portUsedLast(directory: string): Promise<number | undefined> {
  const port = Number(await readFile(join(directory, 'port'), 'utf8').catch(() => ''));
  return Number.isSafeInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}
