/** What is left of a worker whose start fails, with PostgreSQL and Temporal: nothing. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Connection } from '@temporalio/client';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { bank } from '../../bench/protocols/operations';
import type { TemporalSettings } from '../../src/client';
import { migrate } from '../../src/participant';
import { PostgresServer } from '../../src/testing';
import type * as WorkerRoom from '../../src/worker';
import { quietPool } from '../quiet-pool';
import { startServer } from '../real-server';
import type { RealServer } from '../real-server';

let directory = '';
let postgres: PostgresServer;
let server: RealServer;
let temporal: TemporalSettings;
let database: { readonly connectionString: string };
/** Compiled, as what workers load by path is. */
let room: typeof WorkerRoom;

beforeAll(async () => {
  room = (await import(join(__dirname, '../../dist/src/worker/index.js'))) as typeof WorkerRoom; // Cast: compiled from it.
  directory = mkdtempSync(join(tmpdir(), 'temporal-txn-worker-'));
  chmodSync(directory, 0o711);
  postgres = await PostgresServer.start({ directory, durable: false });
  database = { connectionString: await postgres.createService('bank') };
  const pool = quietPool(database);
  await migrate(pool);
  await pool.end();
  server = await startServer();
  const { options } = server.client.connection as Connection; // Cast: startServer has made it.
  temporal = { address: options.address, namespace: server.namespace };
});
afterAll(async () => {
  await server.stop();
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const publisher = { publish: async () => undefined };

type Settings = Pick<WorkerRoom.RunParticipantOptions, 'temporal' | 'health'>;
const ways: readonly [string, (name: string, more?: Settings) => Promise<WorkerRoom.RunningWorker>, string][] = [
  ['a participant', (name, more) => room.runParticipant(bank, { name, database, temporal, ...more }), 'recovery:'],
  ['a relay', (name, more) => room.runOutboxRelay(name, { publisher, database, temporal, ...more }), 'outbox:'],
];

/** Whether a worker has had its workflow started. */
const hasBegun = (id: string): Promise<boolean> =>
  server.client.workflow
    .getHandle(id)
    .describe()
    .then(
      () => true,
      (error: unknown) => {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      },
    );

describe.each(ways)('%s', (what, start, prefix) => {
  it('begins nothing where another worker has the port of its health check', async () => {
    const first = await start(`first-${what.slice(2)}`);
    try {
      vi.stubEnv('TXN_HEALTH_PORT', new URL(first.healthUrl).port);
      const name = `second-${what.slice(2)}`;
      await expect(start(name)).rejects.toMatchObject({
        name: 'HealthNotServed',
        code: 'EADDRINUSE',
        message: expect.stringMatching(/^Nothing was started: .* TXN_HEALTH_PORT /),
      });
      expect(await hasBegun(`${prefix}${name}`)).toBe(false);
      expect((await fetch(first.healthUrl)).status).toBe(200);
    } finally {
      await first.stop();
    }
  });

  it.each(['abc', '70000'])('begins nothing where TXN_HEALTH_PORT is %s', async (port) => {
    vi.stubEnv('TXN_HEALTH_PORT', port);
    const name = `port-${port}-${what.slice(2)}`;
    await expect(start(name)).rejects.toMatchObject({ name: 'InvalidHealthPort' });
    expect(await hasBegun(`${prefix}${name}`)).toBe(false);
  });

  it('ends what it has begun when its start fails late', async () => {
    const begun = vi.spyOn(globalThis, 'setInterval');
    const ended = vi.spyOn(globalThis, 'clearInterval');
    const broken = {
      name: 'broken',
      configureBundler: () => {
        throw new Error('A broken plugin.');
      },
    };
    const name = `late-${what.slice(2)}`;
    await expect(start(name, { temporal: { ...temporal, plugins: [broken] } })).rejects.toThrow('A broken plugin.');
    expect(await hasBegun(`${prefix}${name}`)).toBe(true);
    const left = begun.mock.results.filter(({ value }) => !ended.mock.calls.some(([timer]) => timer === value));
    expect(begun.mock.calls.length).toBeGreaterThanOrEqual(2);
    expect(left).toEqual([]);
  });
});

describe('a participant', () => {
  it.each([0, -1, NaN, 1.5, Infinity])('begins nothing with a concurrency of %d', async (concurrency) => {
    const name = `concurrency-${Math.abs(concurrency)}`.toLowerCase().replace('.', '-');
    await expect(room.runParticipant(bank, { name, database, temporal, concurrency })).rejects.toThrow(
      new RangeError(`Nothing was started: concurrency is ${concurrency}, not a whole number from 1 up.`),
    );
    expect(await hasBegun(`recovery:${name}`)).toBe(false);
  });

  it('has its relay keep a limit of its own for statements, whatever silence it allows its database', async () => {
    const { Pool } = pg;
    const pools = vi.spyOn(pg, 'Pool').mockImplementation(function (settings) {
      return new Pool(settings);
    });
    const options = { name: 'relaying', database: { ...database, query_timeout: 0 }, temporal, outbox: { publisher } };
    await (await room.runParticipant(bank, options)).stop();
    expect(pools.mock.calls.map(([settings]) => settings?.query_timeout)).toEqual([undefined, 40_000]);
  });
});
