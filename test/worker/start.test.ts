/** What is left of a worker whose start fails, with PostgreSQL and Temporal: nothing. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Connection } from '@temporalio/client';
import { bundleWorkflowCode } from '@temporalio/worker';
import type { BundleOptions, WorkflowBundleWithSourceMap } from '@temporalio/worker';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { bank } from '../../bench/protocols/operations';
import { TransactionClient } from '../../src/client';
import type { TemporalSettings } from '../../src/client';
import { encryptedDataConverter } from '../../src/encryption';
import { migrate } from '../../src/participant';
import { PostgresServer } from '../../src/testing';
import type * as WorkerRoom from '../../src/worker';
import { branch, participant } from '../../src/workflow';
import { runExample } from '../docs/example';
import { quietPool } from '../quiet-pool';
import { startServer } from '../real-server';
import type { RealServer } from '../real-server';
import { compiledWorkflows } from '../saga-more/environment';

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

describe('a coordinator with a bundle', () => {
  const silent = (): void => undefined;
  const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent };
  const workflowsPath = compiledWorkflows('two-phase-commit');
  const bundled = (options: Partial<BundleOptions>): Promise<WorkflowBundleWithSourceMap> =>
    bundleWorkflowCode({ workflowsPath, logger, ...options });

  /** What came of the first task after a signal that is no JSON. */
  async function taskAfterGarbage(id: string): Promise<'completed' | 'failed' | undefined> {
    await server.client.workflowService.signalWorkflowExecution({
      namespace: server.namespace,
      workflowExecution: { workflowId: id },
      signalName: 'vote',
      identity: 'mallory',
      input: { payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{') }] },
    });
    return vi.waitFor(async () => {
      const events = (await server.client.workflow.getHandle(id).fetchHistory()).events ?? [];
      const signalled = events.findIndex((event) => event.workflowExecutionSignaledEventAttributes);
      const tasks = events.slice(signalled).flatMap((event) => {
        if (event.workflowTaskFailedEventAttributes) return 'failed' as const;
        return event.workflowTaskCompletedEventAttributes ? ('completed' as const) : [];
      });
      expect(tasks).not.toEqual([]);
      return tasks[0];
    }, 20_000);
  }

  it('that is made as docs/latency.md says drops a signal that nobody can read', async () => {
    const { bundle } = runExample('docs/latency.md', 'bundleWorkflowCode', {
      modules: { '@temporalio/worker': { bundleWorkflowCode: bundled }, 'temporal-txn/worker': room },
      paths: { './workflows': workflowsPath },
    }) as { readonly bundle: () => Promise<WorkflowBundleWithSourceMap> }; // Cast: of the block.
    const worker = await room.runCoordinator({
      workflows: { workflowBundle: await bundle() },
      temporal,
      health: { port: 0 },
    });
    try {
      const branches = ['nobody', 'no-other'].map((name) =>
        branch(participant<typeof bank>(name).debit, { account: 'alice', amount: 1, currency: 'EUR' }),
      );
      await new TransactionClient({ client: server.client }).commit({ id: 'signalled', branches });
      expect(await taskAfterGarbage('signalled')).toBe('completed');
    } finally {
      await worker.stop();
    }
  });

  /** A bundle without workflows, that was made with these converters. */
  const markedAs = (...marks: readonly string[]) => ({ workflowBundle: { code: marks.join(' ') } });
  const encrypting = encryptedDataConverter({ current: 'a', keys: { a: Buffer.alloc(32, 1) } });
  const TOLERANT = 'temporal-txn: what cannot be read is tolerated';

  it('that was made without our payload converter is refused', async () => {
    const workflowBundle = await bundled({ preloadModules: [require.resolve('temporal-txn/workflow')] });
    expect(workflowBundle.code).toContain('The payload cannot be read');
    await expect(room.runCoordinator({ workflows: { workflowBundle }, temporal })).rejects.toMatchObject({
      name: 'InvalidWorkflowBundle',
      without: 'payloadConverter',
      message: expect.stringMatching(/^Nothing was started: .*\.\.\.workflowBundleOptions\(\)/),
    });
  });

  it('that was made without the failure converter of its worker is refused', async () => {
    const refused = { name: 'InvalidWorkflowBundle', without: 'failureConverter' };
    const failureConverterPath = join(directory, 'failure-converter.js');
    writeFileSync(
      failureConverterPath,
      "exports.failureConverter = { errorToFailure() {}, failureToError() {}, mark: 'of our own' };",
    );
    for (const dataConverter of [encrypting, { failureConverterPath }])
      await expect(
        room.runCoordinator({ workflows: markedAs(TOLERANT), temporal: { ...temporal, dataConverter } }),
      ).rejects.toMatchObject(refused);
  });

  it.each([
    [
      'has no mark',
      'exports.failureConverter = { errorToFailure() {}, failureToError() {} };',
      /has no failureConverter with a mark/,
    ],
    ['cannot be loaded', 'throw new Error("secret")', /cannot be loaded \(Error\)/],
  ])('is refused where the failure converter of its worker %s', async (what, code, says) => {
    const failureConverterPath = join(directory, `${what.replaceAll(' ', '-')}.js`);
    writeFileSync(failureConverterPath, code);
    const dataConverter = { failureConverterPath };
    await expect(
      room.runCoordinator({ workflows: markedAs(TOLERANT), temporal: { ...temporal, dataConverter } }),
    ).rejects.toMatchObject({ name: 'InvalidDataConverter', message: expect.stringMatching(says) });
  });
});
