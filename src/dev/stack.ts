/**
 * The embedded stack: two PostgreSQL servers (so that one can be killed while the other lives), a Temporal dev server with its Web UI
 * and a mail server, all on free ports of the loopback interface, all in one directory. Promises: a second start in the directory finds
 * everything as the first left it; two stacks never share a directory; a start that fails stops what it had started; and however this
 * process ends, nothing of the stack outlives it.
 */
import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { lockDirectory, PostgresServer, TemporalDevServer } from '../testing';
import type { PostgresServerOptions, SearchAttribute, TemporalDevServerOptions } from '../testing';
import type { MailServer } from './mail';

/** The two PostgreSQL servers. */
export type PostgresName = 'a' | 'b';

export interface StackOptions<Service extends string> {
  /** Where everything is kept. Created if need be. */
  readonly directory: string;
  /** Which server each service's database lives on. */
  readonly databases: Readonly<Record<Service, PostgresName>>;
  /** Settings of both servers' postgresql.conf. Default: those of `PostgresServer`. */
  readonly settings?: PostgresServerOptions['settings'];
  /** Search attributes to register with Temporal. Default: none. */
  readonly searchAttributes?: readonly SearchAttribute[];
  /** Dynamic configuration of Temporal. Default: that of `TemporalDevServer`. */
  readonly dynamicConfig?: TemporalDevServerOptions['dynamicConfig'];
  /** Where Temporal tells its own metrics. Default: nowhere. */
  readonly temporalMetricsPort?: number;
  /** Whether to start a mail server. Default: false. */
  readonly mail?: boolean;
  /** Whether databases and what Temporal remembers survive a crash of the machine. Default: true; tests are faster with false. */
  readonly durable?: boolean;
  /** Throws away what the directory holds, once it is ours alone. Default: false. */
  readonly fresh?: boolean;
  /** Hears what is being done and what is ready. Default: nobody. */
  readonly progress?: (message: string) => void;
}

export interface Stack<Service extends string> {
  readonly directory: string;
  readonly postgres: Readonly<Record<PostgresName, PostgresServer>>;
  readonly temporal: TemporalDevServer;
  /** Undefined unless it was asked for. */
  readonly mail: MailServer | undefined;
  /** The connection string of a service's database for the role that its workers log in as; it contains a password. */
  databaseUrl(service: Service): string;
  /** The same for the role that owns the database, and migrates it. */
  ownerUrl(service: Service): string;
  /** Stops everything and gives up the directory. Idempotent. */
  stop(): Promise<void>;
}

interface Stoppable {
  stop(): Promise<unknown>;
}

/** Leaves the lock. */
async function empty(directory: string): Promise<void> {
  for (const name of await readdir(directory))
    if (!name.startsWith('stack.lock.'))
      await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5 });
}

/** Starts everything side by side and resolves when all of it can be used. */
export async function startStack<Service extends string>(options: StackOptions<Service>): Promise<Stack<Service>> {
  const directory = resolve(options.directory);
  const lock = await lockDirectory(directory, 'stack');
  if (options.fresh) await empty(directory);
  const started: Stoppable[] = [];
  const stop = once(async () => {
    const stopped = await Promise.allSettled(started.map((part) => part.stop()));
    lock.release();
    const failed = stopped.find((part) => part.status === 'rejected');
    if (failed) throw failed.reason;
  });
  const keep = async <Part extends Stoppable>(starting: Promise<Part>): Promise<Part> => {
    const part = await starting;
    started.push(part);
    return part;
  };

  const parts = await allOrStop(stop, [
    keep(startPostgres('a', directory, options)),
    keep(startPostgres('b', directory, options)),
    keep(startTemporal(directory, options)),
    options.mail ? keep(startMail(options)) : Promise.resolve(undefined),
  ]);
  const [a, b, temporal, mail] = parts;
  const postgres = { a, b };
  const services = Object.entries(options.databases) as [Service, PostgresName][];
  const urls = await allOrStop(
    stop,
    services.map(async ([service, name]) => {
      const owner = await postgres[name].createService(service);
      return [service, { owner, worker: await postgres[name].createServiceWorker(service) }] as const;
    }),
  );
  const urlsOf = new Map<Service, { readonly owner: string; readonly worker: string }>(urls);
  const urlsAt = (service: Service): { readonly owner: string; readonly worker: string } => {
    const found = urlsOf.get(service);
    if (found === undefined)
      throw new RangeError(
        `Nothing was changed: this stack has no database for ${service}. It has ${[...urlsOf.keys()].join(', ')}.`,
      );
    return found;
  };
  return {
    directory,
    postgres,
    temporal,
    mail,
    databaseUrl: (service) => urlsAt(service).worker,
    ownerUrl: (service) => urlsAt(service).owner,
    stop,
  };
}

async function startPostgres(
  name: PostgresName,
  directory: string,
  options: StackOptions<string>,
): Promise<PostgresServer> {
  options.progress?.(`starting PostgreSQL ${name}`);
  const server = await PostgresServer.start({
    directory: join(directory, `postgres-${name}`),
    durable: options.durable ?? true,
    ...(options.settings ? { settings: options.settings } : {}),
  });
  options.progress?.(`PostgreSQL ${name} is ready at ${server.host}:${server.port}`);
  return server;
}

async function startTemporal(
  directory: string,
  { durable = true, searchAttributes = [], dynamicConfig, temporalMetricsPort, progress }: StackOptions<string>,
): Promise<TemporalDevServer> {
  progress?.('starting Temporal');
  const onProgress = progress && { onProgress: progress };
  const server = await TemporalDevServer.start({
    directory: join(directory, 'temporal'),
    durable,
    searchAttributes,
    ...(dynamicConfig === undefined ? {} : { dynamicConfig }),
    ...(temporalMetricsPort === undefined ? {} : { metricsPort: temporalMetricsPort }),
    ...onProgress,
  });
  progress?.(`Temporal is ready at ${server.address}, its Web UI at ${server.uiUrl ?? 'no address'}`);
  return server;
}

/** Loaded only when asked for: the packages that it needs are not needed by anything else. */
async function startMail({ progress }: StackOptions<string>): Promise<MailServer> {
  const { MailServer } = await import('./mail.js');
  const server = await MailServer.start();
  progress?.(`mail is accepted at ${server.smtpUrl} and shown at ${server.url}`);
  return server;
}

/** Like Promise.all, but on failure waits for the rest first, so that nothing starts up after everything has been stopped. */
async function allOrStop<const Parts extends readonly Promise<unknown>[]>(
  stop: () => Promise<void>,
  parts: Parts,
): Promise<{ -readonly [Index in keyof Parts]: Awaited<Parts[Index]> }> {
  const settled = await Promise.allSettled(parts);
  const failed = settled.find((part) => part.status === 'rejected');
  if (!failed) return Promise.all(parts);
  await stop();
  throw failed.reason;
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= action());
}
