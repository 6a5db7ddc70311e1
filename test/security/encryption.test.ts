/** A deployment that encrypts: what Temporal is given and keeps, keys that are replaced while a saga runs, one that is lost. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import type { BundleOptions, WorkflowBundleWithSourceMap } from '@temporalio/worker';
import type { Pool } from 'pg';
import { connectTemporal, TransactionAborted, TransactionClient, TransactionCompensated } from 'temporal-txn/client';
import { encryptedDataConverter, encryptionKeysFrom, serveCodec } from 'temporal-txn/encryption';
import { migrate } from 'temporal-txn/participant';
import { findBinary, spawnGuarded, TemporalDevServer } from 'temporal-txn/testing';
import type { GuardedProcess } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import { HERITAGE_MEMO, searchAttributeList } from '../../src/observability';
import type * as DataConverters from '../../src/worker/data-converter';
import { runCommand } from '../cli/fixture';
import { until } from '../end-to-end/fixture';
import { runExample } from '../docs/example';
import { usePostgres } from '../participant/fixture';
import { TABLES } from './operations';

const MARKER = 'secret-marker-4711';
/** In messages that operations make. */
const SAID = 'said-by-the-operation';
const OLD = `old:${Buffer.alloc(32, 1).toString('base64')}`;
const NEW = `new:${Buffer.alloc(32, 2).toString('base64')}`;
const dist = resolve(__dirname, '../../dist');

const postgres = usePostgres();
let temporal: TemporalDevServer;
let client: Client;
let transactions: TransactionClient;
let directory: string;
let worker: GuardedProcess | undefined;
const pools: Pool[] = [];
const urls: string[] = [];

const clientWith = (keys: string): Promise<Client> =>
  connectTemporal({ address: temporal.address, dataConverter: encryptedDataConverter(encryptionKeysFrom(keys)) });

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'txn-encryption-'));
  const { bundle } = runExample('docs/security.md', 'bundleWorkflowCode', {
    modules: {
      './data-converter': { dataConverter: encryptedDataConverter(encryptionKeysFrom(OLD)) },
      '@temporalio/worker': {
        bundleWorkflowCode: (options: BundleOptions) => bundleWorkflowCode({ ...options, logger: SILENT }),
      },
      'temporal-txn/worker': await import(join(dist, 'src/worker/index.js')),
    },
    paths: { './workflows': join(dist, 'test/security/workflows.js') },
  }) as { readonly bundle: () => Promise<WorkflowBundleWithSourceMap> }; // Cast: of the block.
  const [started, { code }] = await Promise.all([
    TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() }),
    bundle(),
  ]);
  temporal = started;
  writeFileSync(join(directory, 'workflows.js'), code);
  for (const name of ['left', 'right']) {
    const url = await postgres.createService(name);
    const pool = quietPool({ connectionString: url, max: 3 });
    await migrate(pool);
    await pool.query(TABLES);
    pools.push(pool);
    urls.push(url);
  }
  client = await clientWith(OLD);
  transactions = new TransactionClient({ client });
  await startWorker({ TXN_ENCRYPTION_KEYS: OLD });
});
afterAll(async () => {
  await worker?.kill();
  await Promise.all(pools.map((pool) => pool.end()));
  await client?.connection.close();
  await temporal?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const silent = (): void => undefined;
const SILENT = { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent };

const log = (): string => join(directory, 'worker.log');

async function startWorker(encryption: Readonly<Record<string, string>>): Promise<void> {
  await worker?.kill();
  const begins = readLog().length;
  worker = await spawnGuarded(process.execPath, [join(dist, 'test/security/encrypting-worker.js')], {
    env: {
      PATH: process.env['PATH'],
      TEMPORAL_ADDRESS: temporal.address,
      ...encryption,
      LEFT_URL: urls[0],
      RIGHT_URL: urls[1],
      WORKFLOWS: join(directory, 'workflows.js'),
    },
    log: log(),
  });
  await until('the workers are ready', async () => readLog().slice(begins).includes('ready'), 60_000);
}

const readLog = (): string => {
  try {
    return readFileSync(log(), 'utf8');
  } catch {
    return '';
  }
};

const kept = async (transaction: string): Promise<number> => {
  const counts = await Promise.all(
    pools.map((pool) => pool.query('select from kept where transaction = $1', [transaction])),
  );
  return counts.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
};

const errorOf = (running: Promise<unknown>): Promise<unknown> =>
  running.then(
    (value) => expect.fail(`It succeeded with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );

/** Everything that can be read in something by whoever has no key: texts and bytes, wherever they are. */
function legible(value: unknown): string {
  if (typeof value === 'string') return `${value}\n`;
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('latin1')}\n`;
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, field]) => name + legible(field))
    .join('');
}

/** All that Temporal keeps of all workflows. */
async function everythingKept(): Promise<{ readonly text: string; readonly ids: string[] }> {
  const ids: string[] = [];
  const texts: string[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    ids.push(workflowId);
    texts.push(
      legible(await client.workflow.getHandle(workflowId, runId).fetchHistory()),
      legible(
        await client.workflowService.describeWorkflowExecution({
          namespace: 'default',
          execution: { workflowId, runId },
        }),
      ),
    );
  }
  return { text: texts.join('\n'), ids };
}

describe('what Temporal keeps, and what workers log,', () => {
  it('holds nothing of what was sent, returned, refused, or quoted by PostgreSQL', async () => {
    const of = (left: string, right = left) => ({ left: `${MARKER} ${left}`, right: `${MARKER} ${right}` });
    const [saga, refused, failed, atomic, aborted] = await Promise.all([
      transactions.execute<unknown, unknown>('keepBySaga', { id: 'saga', input: of('a'), summary: `for ${MARKER}` }),
      errorOf(transactions.execute('keepBySaga', { id: 'refused', input: of('b', `refused ${SAID}`) })),
      errorOf(transactions.execute('keepBySaga', { id: 'failed', input: of('c', 'twice') })),
      transactions.execute<unknown, unknown>('keepAtOnce', { id: 'atomic', input: of('d') }),
      errorOf(transactions.execute('keepAtOnce', { id: 'aborted', input: of('e', `refused ${SAID}`) })),
    ]);
    // Whoever has the key reads all of it.
    expect(saga).toEqual([`${MARKER} a`, `${MARKER} a`]);
    expect(atomic).toEqual([`${MARKER} d`, `${MARKER} d`]);
    expect(refused).toBeInstanceOf(TransactionCompensated);
    expect(aborted).toBeInstanceOf(TransactionAborted);
    for (const error of [refused, aborted]) expect((error as Error).message).toContain(SAID);
    expect(failed).toMatchObject({ report: { cause: { message: expect.stringContaining('SQLSTATE 23505') } } });
    expect(await Promise.all(['saga', 'refused', 'failed', 'atomic', 'aborted'].map(kept))).toEqual([2, 0, 0, 2, 0]);

    const { text, ids } = await everythingKept();
    expect(ids).toEqual(expect.arrayContaining(['saga', 'refused', 'failed', 'atomic', 'aborted', 'recovery:left']));
    // It was all there to be looked at.
    expect(text.match(/binary\/encrypted/g)?.length).toBeGreaterThan(50);
    expect(text.match(/Encoded failure/g)?.length).toBeGreaterThan(3);
    expect(text).not.toContain(MARKER);
    expect(text).not.toContain(SAID);
    expect(text).not.toMatch(/Everything was undone|unwanted|the left one|Finishes what is prepared/);
    // Messages that an operation makes are in the log; what is sent and returned is not.
    expect(readLog()).toContain(SAID);
    expect(readLog().replaceAll(`${MARKER} refused`, '')).not.toContain(MARKER);
  });

  it('holds nothing of what travels in a group, nor of what leaves it and goes on alone', async () => {
    const grouping = new TransactionClient({ client, grouping: true });
    const input = { left: `${MARKER} l`, right: `${MARKER} r` };
    const members = Array.from({ length: 36 }, (_, i) => ({ id: `grouped-${i}`, input }));
    const [refused, undone, waiting] = [
      { id: 'grouped-refused', input: { ...input, left: `${MARKER} refused ${SAID}` } },
      { id: 'grouped-undone', input: { ...input, right: `${MARKER} refused ${SAID}` } },
      { id: 'grouped-waiting', input: { ...input, right: `${MARKER} waits` } },
    ] as const;
    const execute = (asked: (typeof members)[number]) =>
      grouping.execute<unknown, unknown>('keepBySaga', { ...asked, summary: `for ${MARKER}` });
    const late = execute(waiting);
    const failed = [refused, undone].map((asked) => errorOf(execute(asked)));
    const results = await Promise.all(members.map(execute));
    expect(results).toEqual(members.map(() => [input.left, input.right]));
    for (const error of await Promise.all(failed)) {
      expect(error).toBeInstanceOf(TransactionCompensated);
      expect((error as Error).message).toContain(SAID);
    }
    await gate('open');
    expect(await late).toEqual([input.left, waiting.input.right]);
    await gate('close');
    const all = [...members, waiting, refused, undone];
    expect(await Promise.all(all.map(({ id }) => kept(id)))).toEqual([...members.map(() => 2), 2, 0, 0]);

    // Whoever has the key reads what was handed over.
    for (const { id } of [undone, waiting]) {
      const { memo } = await client.workflow.getHandle(id).describe();
      const asked = expect.arrayContaining([expect.objectContaining({ input: { text: input.left } })]);
      expect(memo).toMatchObject({ [HERITAGE_MEMO]: { asked } });
    }
    const { text, ids } = await everythingKept();
    expect(ids).toEqual(expect.arrayContaining([undone.id, waiting.id]));
    expect(ids).not.toContain(refused.id);
    expect(ids.filter((id) => id.startsWith('group:keepBySaga:'))).toHaveLength(1);
    expect(text).toContain('summary');
    expect(text).not.toContain(MARKER);
    expect(text).not.toContain(SAID);
  }, 60_000);

  it('is read by the command with the keys, and without them it says so', async () => {
    const { events } = await client.workflow.getHandle('refused').fetchHistory();
    const file = join(directory, 'refused.json');
    writeFileSync(file, historyToJSON({ events: events ?? [] }));
    const environment = { TEMPORAL_ADDRESS: temporal.address };
    const keys = { TXN_ENCRYPTION_KEYS: OLD };
    const [explained, drawn, unreadable, listed] = await Promise.all([
      runCommand(['explain', 'refused'], { ...environment, ...keys }),
      runCommand(['timeline', '--history', file], keys),
      runCommand(['explain', 'refused'], environment),
      runCommand(['list', '-o', 'json'], environment),
    ]);
    for (const { stdout } of [explained, drawn]) expect(stdout).toContain(`We do not want ${MARKER} refused ${SAID}`);
    expect(unreadable.stdout).not.toContain(SAID);
    expect(unreadable.stdout + unreadable.stderr).not.toMatch(/TypeError|undefined/);
    expect(listed.exitCode).toBe(0);
    expect(listed.stdout).toContain('"refused"');
    for (const { stdout, stderr } of [explained, drawn]) expect(stdout + stderr).not.toContain(OLD.slice(4));
  });
});

const gate = (what: 'open' | 'close') =>
  pools[1]!.query(what === 'open' ? 'insert into gate default values' : 'delete from gate');

const historyOf = async (id: string) => (await client.workflow.getHandle(id).fetchHistory()).events ?? [];

/** Sends a signal with bytes of somebody's own, as encrypted with a key. */
const sendRaw = (id: string, keyId: string, signalName = 'vote'): Promise<unknown> =>
  sendPayload(id, signalName, {
    metadata: { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from(keyId) },
    data: Buffer.alloc(64, 7),
  });

const sendPayload = (id: string, signalName: string, payload: Payload): Promise<unknown> =>
  client.workflowService.signalWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: id },
    signalName,
    identity: 'mallory',
    input: { payloads: [payload] },
  });

const taskFailures = async (id: string): Promise<string[]> =>
  (await historyOf(id)).flatMap(
    ({ workflowTaskFailedEventAttributes: failed }) => failed?.failure?.applicationFailureInfo?.type ?? [],
  );

const pending = async (id: string) => (await client.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];

const eventually = (what: string, condition: () => Promise<boolean>): Promise<void> => until(what, condition, 25_000);

/** Of `temporal.api.enums.v1.ResetReapplyExcludeType`, which the SDK exports only from its internals. */
const EXCLUDE_SIGNALS = 1;

describe('a signal', () => {
  it('that was not encrypted with our keys is dropped, and one of a person is understood', async () => {
    const handle = await transactions.start('keepAtOnce', { id: 'forged', input: { left: 'x', right: 'waits' } });
    await eventually('it has voted', async () => (await handle.reports()).length > 0);
    for (const _ of [1, 2]) await sendRaw('forged', 'old');
    await sendPayload('forged', 'vote', { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{') });
    await sendRaw('recovery:left', 'old', 'look');
    await gate('open');
    expect(await handle.result()).toEqual(['x', 'waits']);
    expect(await taskFailures('forged')).toEqual([]);
    expect(await taskFailures('recovery:left')).toEqual([]);
    await gate('close');
  });

  it('that names a key which nobody has stops its workflow, until that is reset to before it', async () => {
    const id = 'unknown-key';
    const handle = await transactions.start('keepAtOnce', { id, input: { left: 'z', right: 'waits' } });
    await eventually('it has asked', async () => (await handle.reports()).length > 0);
    await sendRaw(id, 'a-key-of-mallory');
    await eventually('its task has failed', async () => (await taskFailures(id)).length > 0);
    const done = (await historyOf(id)).findLast((event) => event.workflowTaskCompletedEventAttributes);
    await client.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: id },
      workflowTaskFinishEventId: done?.eventId ?? null,
      requestId: id,
      reason: 'a signal that nobody can read',
      resetReapplyExcludeTypes: [EXCLUDE_SIGNALS],
    });
    await gate('open');
    expect(await handle.result()).toEqual(['z', 'waits']);
    expect(await kept(id)).toBe(2);
    await gate('close');
  });
});

describe('a person who uses the Temporal CLI', () => {
  it('reads and sends by a codec server what Temporal cannot read', async () => {
    const id = 'by-hand';
    await client.workflow.start('nobody', { workflowId: id, taskQueue: 'nobody', args: [`${MARKER} sent`] });
    const executable = await findBinary('temporal');
    const server = await serveCodec({
      ...encryptedDataConverter(encryptionKeysFrom(OLD)),
      authorize: ({ authorization, namespace }) => authorization === 'Bearer of-an-operator' && namespace === 'default',
      origin: 'https://temporal.example.org',
      port: 0,
    });
    const ask = async (...words: string[]): Promise<string> => {
      const codec = ['--codec-endpoint', server.url, '--codec-auth', 'Bearer of-an-operator'];
      const own = ['--address', temporal.address, '--workflow-id', id];
      const { stdout } = await promisify(execFile)(executable, ['workflow', ...words, ...own, ...codec]);
      return stdout;
    };
    try {
      await ask('signal', '--name', 'vote', '--input', JSON.stringify(`${MARKER} by hand`));
      expect(await everythingKept().then(({ text }) => text)).not.toContain(MARKER);
      const shown = await ask('show', '--output', 'json');
      for (const what of [`${MARKER} sent`, `${MARKER} by hand`])
        expect(shown).toContain(Buffer.from(JSON.stringify(what)).toString('base64'));
    } finally {
      await server.close();
      await client.workflow.getHandle(id).terminate();
    }
  });
});

describe('a key', () => {
  it('that is lost stops what it has encrypted, and nothing is concluded; once it is back, all goes on with a new one', async () => {
    const handle = await transactions.start('keepBySaga', { id: 'rotated', input: { left: 'y', right: 'waits' } });
    await eventually('the second step is tried', async () => ((await pending('rotated'))[0]?.attempt ?? 0) > 1);

    await startWorker({ TXN_ENCRYPTION_KEYS: NEW });
    await client.workflow.getHandle('rotated').signal('vote', 'to wake it');
    await eventually('its task has failed', async () => (await taskFailures('rotated')).length > 0);
    expect(new Set(await taskFailures('rotated'))).toEqual(new Set(['EncryptionKeyMissing']));
    const lastFailure = async () => (await pending('rotated'))[0]?.lastFailure?.applicationFailureInfo?.type;
    await eventually('the second step fails', async () => (await lastFailure()) === 'EncryptionKeyMissing');
    expect(readLog()).toContain('encrypted with the key "old", which this process does not have');
    // A client without the key cannot tell whether it is the same transaction, and says so.
    const stranger = await clientWith(NEW);
    const again = new TransactionClient({ client: stranger }).start('keepBySaga', {
      id: 'rotated',
      input: { left: 'y', right: 'waits' },
    });
    expect(await errorOf(again)).toMatchObject({
      name: 'AnswerUnreadable',
      id: 'rotated',
      cause: { name: 'EncryptionKeyMissing', keyId: 'old' },
    });
    await stranger.connection.close();
    // Its workers' own workflows are there, and need it too.
    const examined = () =>
      runCommand(['doctor'], {
        TEMPORAL_ADDRESS: temporal.address,
        TXN_ENCRYPTION_KEYS: NEW,
        TXN_DATABASE_LEFT: urls[0] ?? '',
      });
    await until(
      'the doctor knows what recovery lacks',
      async () => (await examined()).stdout.includes('in a row (EncryptionKeyMissing)'),
      60_000,
    );

    await startWorker({ TXN_ENCRYPTION_KEYS: `${NEW},${OLD}` });
    await gate('open');
    const rotating = await clientWith(`${NEW},${OLD}`);
    expect(await new TransactionClient({ client: rotating }).handle('rotated').result()).toEqual(['y', 'waits']);
    await rotating.connection.close();
    expect(await kept('rotated')).toBe(2);
    const keys = [...legible(await historyOf('rotated')).matchAll(/encryption-key-id(\w+)/g)].map(([, id]) => id);
    expect(new Set(keys)).toEqual(new Set(['old', 'new']));
    expect(await handle.status()).toBe('COMPLETED');
  }, 120_000);
});

describe('a client that cannot read the answer', () => {
  const unreadable = (id: string, cause: object) => ({
    name: 'AnswerUnreadable',
    id,
    message: expect.stringMatching(new RegExp(`^It is not known what became of transaction ${id}: `)),
    cause: expect.objectContaining(cause),
  });

  it.each<[string, () => Promise<Client>, object]>([
    ['for want of the new key', () => clientWith(OLD), { name: 'EncryptionKeyMissing', keyId: 'new' }],
    [
      'for want of any key',
      () => connectTemporal({ address: temporal.address }),
      { message: 'Unknown encoding: binary/encrypted' },
    ],
    [
      'because its key has other bytes',
      () => clientWith(`${OLD},new:${Buffer.alloc(32, 3).toString('base64')}`),
      { name: 'UndecodablePayload' },
    ],
  ])('%s does not call undone what has committed', async (why, connect, cause) => {
    const id = why.replaceAll(' ', '-');
    const stranger = await connect();
    const input = { left: why, right: why };
    try {
      const asking = new TransactionClient({ client: stranger });
      const [ended, decided] = await Promise.all([
        errorOf(asking.execute('keepAtOnce', { id, input })),
        errorOf(asking.execute('keepAtOnce', { id: `${id}-2`, input, waitFor: 'decision' })),
      ]);
      expect(ended).toMatchObject(unreadable(id, cause));
      expect(decided).toMatchObject(unreadable(`${id}-2`, cause));
      expect(await errorOf(asking.handle(id).reports())).toMatchObject(unreadable(id, cause));
      expect(await kept(id)).toBe(2);
    } finally {
      await stranger.connection.close();
    }
  });
});

describe('a client without the key of the others', () => {
  it.each<[string, () => Promise<Client>]>([
    ['with another one', () => clientWith(NEW)],
    ['with none', () => connectTemporal({ address: temporal.address })],
  ])('lists transactions, %s', async (how, connect) => {
    const id = `listed-${how.replaceAll(' ', '-')}`;
    await errorOf(transactions.execute('keepAtOnce', { id, input: { left: 'a', right: 'refused' } }));
    const stranger = await connect();
    try {
      const listed = async (): Promise<string[]> => {
        const ids: string[] = [];
        const listing = new TransactionClient({ client: stranger }).list({ status: 'aborted' });
        for await (const one of listing) ids.push(one.id);
        return ids;
      };
      await expect.poll(listed).toContain(id);
    } finally {
      await stranger.connection.close();
    }
  });
});

const flipped = ({ metadata, data }: Payload, mark: Record<string, Uint8Array>): Payload => {
  const { flipped: _, ...others } = metadata ?? {};
  return { metadata: { ...others, ...mark }, data: Buffer.from(data ?? []).map((byte) => byte ^ 0xff) };
};

describe('a codec of your own', () => {
  it('that fails for a while ends no worker, and all goes on once it works', async () => {
    const down = join(directory, 'down');
    const module = join(directory, 'switch.js');
    writeFileSync(
      module,
      `const { existsSync } = require('node:fs');
       const { encryptedDataConverter, encryptionKeysFrom } = require(${JSON.stringify(join(dist, 'src/encryption'))});
       const { payloadCodecs: [codec] } = encryptedDataConverter(encryptionKeysFrom(${JSON.stringify(`${NEW},${OLD}`)}));
       const ask = (what) => async (...args) => {
         if (existsSync(${JSON.stringify(down)})) throw new Error('The key management service is away.');
         return codec[what](...args);
       };
       exports.dataConverter = { payloadCodecs: [{ encode: ask('encode'), decode: ask('decode') }] };`,
    );
    await startWorker({ TXN_DATA_CONVERTER: module });
    const begins = readLog().length;
    await gate('close');
    const handle = await transactions.start('keepBySaga', { id: 'kms', input: { left: 'k', right: 'waits' } });
    await eventually('the second step is tried', async () => ((await pending('kms'))[0]?.attempt ?? 0) > 1);
    writeFileSync(down, '');
    await client.workflow.getHandle('kms').signal('vote', 'to wake it');
    await gate('open');
    await eventually('nobody can encode', async () => readLog().slice(begins).includes('could not be encoded'));
    await sleep(3_000);
    rmSync(down);
    const reading = await clientWith(`${NEW},${OLD}`);
    expect(await new TransactionClient({ client: reading }).handle(handle.id).result()).toEqual(['k', 'waits']);
    await reading.connection.close();
    expect(await kept('kms')).toBe(2);
    expect(readLog().slice(begins)).not.toMatch(/IllegalStateError/);
  }, 90_000);

  it('that refuses some payloads for good takes no place from others for good, and ends no worker', async () => {
    // Compiled, as what workers load by path is.
    const { workerDataConverter } = (await import(join(dist, 'src/worker/data-converter.js'))) as typeof DataConverters; // Cast: compiled from it.
    // Of these, everything that comes after.
    const disabled = new Set<string | undefined>();
    const refusing: PayloadCodec = {
      encode: async (payloads, context) => {
        const isRefused = payloads.some(({ data }) => Buffer.from(data ?? []).includes('poison'));
        if (isRefused || disabled.has(context?.workflowId)) throw new Error('The key management service refuses it.');
        return payloads;
      },
      decode: async (payloads) => payloads,
    };
    // After it, where nothing could be recognised any more.
    const flipping: PayloadCodec = {
      encode: async (payloads) => payloads.map((payload) => flipped(payload, { flipped: Buffer.from('yes') })),
      decode: async (payloads) =>
        payloads.map((payload) => (payload.metadata?.['flipped'] ? flipped(payload, {}) : payload)),
    };
    const payloadCodecs = [refusing, flipping];
    const connection = await NativeConnection.connect({ address: temporal.address });
    const refused = await Worker.create({
      connection,
      taskQueue: 'refused',
      workflowBundle: { codePath: join(directory, 'workflows.js') },
      dataConverter: workerDataConverter({ payloadCodecs }, () => false),
      maxConcurrentActivityTaskExecutions: 3,
      activities: {
        say: async (what: string) => {
          if (what === 'all of it') disabled.add(what);
          if (what === 'a message')
            throw ApplicationFailure.create({ type: 'Poisoned', message: 'poison', details: ['poison'] });
          return what === 'a result' ? 'poison' : what;
        },
      },
    });
    const running = refused.run();
    const { workflow } = new Client({ connection: client.connection, dataConverter: { payloadCodecs } });
    const begin = (what: string) => workflow.start('hasSaid', { workflowId: what, taskQueue: 'refused', args: [what] });
    const activityOf = async (what: string) => (await workflow.getHandle(what).describe()).raw.pendingActivities?.[0];
    const all = ['a result', 'a message', 'all of it'];
    try {
      const handles = await Promise.all([...all, 'a command'].map(begin));
      for (const what of all)
        await eventually(`${what} is tried again`, async () => ((await activityOf(what))?.attempt ?? 0) > 3);
      expect(await (await begin('something else')).result()).toBe('something else');
      const failureOf = async (what: string) => (await activityOf(what))?.lastFailure;
      await eventually(
        'it is told',
        async () => (await failureOf('a result'))?.applicationFailureInfo?.type === 'PayloadNotEncoded',
      );
      await eventually('a workflow tells it too', async () =>
        (await taskFailures('a command')).includes('PayloadNotEncoded'),
      );
      await eventually(
        'what can be told of it is',
        async () => (await failureOf('a message'))?.applicationFailureInfo?.type === 'Poisoned',
      );
      await Promise.all(handles.map((handle) => handle.terminate()));
      expect(refused.getState()).toBe('RUNNING');
    } finally {
      refused.shutdown();
      await running;
      await connection.close();
    }
  }, 90_000);
});
