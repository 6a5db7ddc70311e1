/** The relay as a workflow: workers that are killed, stopped and deployed with other settings, and what the Web UI shows. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type { Pool } from 'pg';
import { searchAttributeList } from 'temporal-txn/observability';
import { defineOutbox, deadLetters, outboxStatus, retryDeadLetter, wakeRelays } from 'temporal-txn/outbox';
import { migrate } from 'temporal-txn/participant';
import { freePort, spawnGuarded, TemporalDevServer } from 'temporal-txn/testing';
import type { GuardedProcess } from 'temporal-txn/testing';
import { relayQuery } from 'temporal-txn/workflow';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import { currentDetails } from '../current-details';
import { usePostgres } from '../participant/fixture';

const postgres = usePostgres();
const outbox = defineOutbox('/orders');
const script = resolve(__dirname, '../../dist/test/outbox/relay-worker.js');

let temporal: TemporalDevServer;
let connection: Connection;
let client: Client;
let directory = '';
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'temporal-txn-relay-'));
  temporal = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection, namespace: temporal.namespace });
});
afterAll(async () => {
  await connection.close();
  await temporal.stop();
  rmSync(directory, { recursive: true, force: true });
});

let service = '';
let url = '';
let pool: Pool;
let workers: GuardedProcess[] = [];
let services = 0;
beforeEach(async () => {
  service = `shop-${++services}`;
  url = await postgres.createService(`shop_${services}`);
  pool = quietPool({ connectionString: url });
  await migrate(pool);
  await pool.query('create table published (at serial, key text, version bigint, pid int)');
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  workers = [];
  await client.workflow
    .getHandle(`outbox:${service}`)
    .terminate()
    .catch(() => undefined);
  await pool.end();
});

async function startWorker(seats = 2): Promise<GuardedProcess> {
  const port = await freePort();
  const log = join(directory, `${service}-${port}.log`);
  const worker = await spawnGuarded(process.execPath, [script], {
    env: {
      ...process.env,
      SERVICE: service,
      DATABASE_URL: url,
      SEATS: String(seats),
      TEMPORAL_ADDRESS: temporal.address,
      TXN_HEALTH_PORT: String(port),
    },
    log,
  });
  workers.push(worker);
  await until(`the worker is healthy (${log})`, async () => {
    if (!worker.running) throw new Error(readFileSync(log, 'utf8'));
    return fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return worker;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 45_000; Date.now() < deadline; await sleep(50)) if (await isSo()) return;
  throw new Error(`Waited in vain until ${what}.`);
}

let keys = 0;

async function append(count: number, type = 'Happened'): Promise<void> {
  const tx = await pool.connect();
  await tx.query('begin');
  await outbox.append(
    tx,
    Array.from({ length: count }, () => ({ type, key: `key-${++keys % 40}`, data: {} })),
  );
  await tx.query('commit');
  tx.release();
  wakeRelays(pool);
}

const drained = (): Promise<void> => until('all is published', async () => (await outboxStatus(pool)).pending === 0);

/** Which processes have published since a moment. */
async function publishers(since = 0): Promise<{ last: number; pids: number[] }> {
  const { rows } = await pool.query<{ at: number; pid: number }>(
    'select at, pid from published where at > $1 order by at',
    [since],
  );
  return { last: rows.at(-1)?.at ?? since, pids: [...new Set(rows.map(({ pid }) => pid))] };
}

/** Each key 1, 2, 3, …, whatever came twice. */
async function expectInOrder(): Promise<void> {
  const { rows } = await pool.query<{ key: string; version: string }>('select key, version from published order by at');
  const last = new Map<string, number>();
  for (const { key, version } of rows) {
    const expected = (last.get(key) ?? 0) + 1;
    if (Number(version) < expected) continue;
    expect(`${key} ${version}`).toBe(`${key} ${expected}`);
    last.set(key, expected);
  }
  const { rows: known } = await pool.query<{ key: string; version: string }>('select key, version from txn.outbox_key');
  expect(Object.fromEntries(last)).toEqual(Object.fromEntries(known.map(({ key, version }) => [key, Number(version)])));
}

it('a worker that is killed is replaced by another within seconds, and the order of each key holds', async () => {
  const first = await startWorker();
  await append(200);
  await drained();
  expect((await publishers()).pids).toEqual([first.pid]);
  const second = await startWorker();
  const writing = new AbortController();
  const writer = (async () => {
    while (!writing.signal.aborted) {
      await append(20);
      await sleep(10);
    }
  })();
  await sleep(300);
  await first.kill();
  const killedAt = Date.now();
  const { last } = await publishers();
  const { rows } = await pool.query<{ written: string }>('select max(position)::text as written from txn.outbox');
  await until('the other has all seats, and published what the killed one has left', async () => {
    const { rowCount } = await pool.query('select from txn.outbox_queue where position <= $1 limit 1', [
      rows[0]?.written,
    ]);
    return (await publishers(last)).pids.includes(second.pid) && rowCount === 0;
  });
  const seconds = (Date.now() - killedAt) / 1_000;
  console.log(`the seats of a killed relay were taken after ${seconds} s`);
  writing.abort();
  await writer;
  await drained();
  await expectInOrder();
  // Without heartbeats it would take as long as an activity may: minutes.
  expect(seconds).toBeLessThan(40);
}, 120_000);

it('a worker that is stopped gives its seats to another at once', async () => {
  const first = await startWorker();
  const second = await startWorker();
  await append(50);
  await drained();
  await first.stop();
  const { last } = await publishers();
  await append(50);
  await until('all is published', async () => (await outboxStatus(pool)).pending === 0);
  expect((await publishers(last)).pids).toEqual([second.pid]);
  await expectInOrder();
});

it('other seats are taken when a worker comes that has other settings', async () => {
  await startWorker(1);
  await append(50);
  await drained();
  await startWorker(3);
  const handle = client.workflow.getHandle(`outbox:${service}`);
  await until('there are three seats', async () => (await handle.query(relayQuery)).seats === 3);
  await until('each partition has an owner of three', async () => {
    const { rows } = await pool.query<{ owner: string }>('select owner from txn.outbox_partition');
    return rows.every(({ owner }) => owner.includes(' of 3'));
  });
  await append(50);
  await drained();
  await expectInOrder();
});

it('a dead letter shows in the Web UI, until it is settled', async () => {
  await startWorker();
  await append(1, 'Poison');
  const handle = client.workflow.getHandle(`outbox:${service}`);
  const needsAttention = async (): Promise<unknown> => {
    const { typedSearchAttributes } = await handle.describe();
    return typedSearchAttributes.getAll().find(({ key }) => key.name === 'TxnNeedsAttention')?.value;
  };
  await until('it needs attention', async () => (await needsAttention()) === true);
  expect(await handle.query(relayQuery)).toMatchObject({ service, deadLetters: 1 });
  expect(await currentDetails(handle)).toContain(`temporal-txn dead-letters ${service}`);
  const [letter] = await deadLetters(pool);
  await pool.query(`update txn.outbox set type = 'Happened' where key = $1`, [letter?.key]);
  await retryDeadLetter(pool, {
    key: letter?.key ?? '',
    version: letter?.version ?? 0,
    by: 'ann',
    reason: 'it is wanted now',
  });
  await until('it needs none', async () => (await needsAttention()) !== true);
  await drained();
}, 60_000);
