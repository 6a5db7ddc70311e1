/** What Prometheus gets from a worker process after real transactions: names, kinds, labels and values. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { TransactionClient } from 'temporal-txn/client';
import { METRIC_TABLE, METRICS, searchAttributeList } from 'temporal-txn/observability';
import type { Metric } from 'temporal-txn/observability';
import { recordRuling } from 'temporal-txn/participant';
import { freePort, spawnGuarded, TemporalDevServer } from 'temporal-txn/testing';
import type { GuardedProcess } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { quietPool } from '../quiet-pool';
import { setUpService } from '../../activities/setup';
import type { Transfer } from '../../workflows/bank-transfer';
import { usePostgres } from '../participant/fixture';
import { readMetrics } from './prometheus';
import type { Scraped } from './prometheus';

const postgres = usePostgres();
const SERVICES = ['north-bank', 'south-bank', 'audit'] as const;
const script = resolve(__dirname, '../../dist/test/observability/metrics-worker.js');

let temporal: TemporalDevServer;
let connection: Connection;
let worker: GuardedProcess;
let directory = '';
let endpoint = '';
const urls: string[] = [];
/** Whatever names one transaction, branch or person: none of it may be a label. */
const IDS = ['txn-committed', 'txn-refused', '2pc-committed', '2pc-refused', 'in-group', 'alice', 'bob', 'txn1_'];

const transferOf = (amount: number): Transfer => ({
  from: { bank: 'north-bank', account: 'alice' },
  to: { bank: 'south-bank', account: amount === 1 ? 'nobody' : 'bob' },
  amount: amount === 1 ? 100 : amount,
  currency: 'EUR',
});

const scrape = async (): Promise<Scraped> => readMetrics(await (await fetch(endpoint)).text());

/** One workflow that waits for a person, one that did, and an outbox that has a gauge of its own for that. */
async function leaveWaiting(): Promise<void> {
  const { workflow } = new Client({ connection, namespace: temporal.namespace });
  const needsAttention = defineSearchAttributeKey('TxnNeedsAttention', SearchAttributeType.BOOL);
  const start = (workflowId: string, type: string): Promise<WorkflowHandle> =>
    workflow.start(type, {
      workflowId,
      taskQueue: 'nobody',
      typedSearchAttributes: [{ key: needsAttention, value: true }],
    });
  await start('waits', 'transferMoney');
  await start('outbox', 'relayOutbox');
  await (await start('waited', 'transferMoney')).terminate();
  const isShown = async (): Promise<boolean> => {
    const { count } = await workflow.count(`TxnNeedsAttention = true and ExecutionStatus = 'Running'`);
    return count === 2;
  };
  await vi.waitFor(async () => expect(await isShown()).toBe(true), { timeout: 20_000, interval: 100 });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'temporal-txn-metrics-'));
  temporal = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
  connection = await Connection.connect({ address: temporal.address });
  for (const name of SERVICES) {
    const url = await postgres.createService(name.replace('-', '_'));
    await setUpService(name, url);
    urls.push(url);
  }
  await leaveWaiting();
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}/metrics`;
  const log = join(directory, 'worker.log');
  worker = await spawnGuarded(process.execPath, [script], {
    env: {
      ...process.env,
      DATABASE_URLS: urls.join(' '),
      TEMPORAL_ADDRESS: temporal.address,
      TXN_METRICS_ADDRESS: String(port),
    },
    log,
  });
  await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toContain('ready'), { timeout: 90_000, interval: 100 });

  const client = new Client({ connection, namespace: temporal.namespace });
  const transactions = new TransactionClient({ client });
  const run = (id: string, workflow: string, input: Transfer): Promise<unknown> =>
    transactions.execute(workflow, { id, input }).catch((error: unknown) => error);
  await run('txn-committed-1', 'transferMoney', transferOf(100));
  await run('txn-committed-2', 'transferMoney', transferOf(200));
  await run('txn-refused', 'transferMoney', transferOf(1));
  await run('2pc-committed', 'transferMoneyAtomically', transferOf(300));
  await run('2pc-refused', 'transferMoneyAtomically', transferOf(1));
  const grouped = new TransactionClient({ client, grouping: true });
  const inGroup = [1, 2, 3].map((n) =>
    grouped.execute('transferMoney', { id: `in-group-${n}`, input: transferOf(n * 10) }),
  );
  await Promise.all(inGroup);
  await grouped.close();
  const admin = quietPool({ connectionString: urls[0], max: 1 });
  await recordRuling(admin, { circuit: 'participant', ruling: 'isolate', by: 'ann', reason: 'test' });
  await admin.end();
});
afterAll(async () => {
  await worker?.kill();
  await connection?.close();
  await temporal?.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('after three sagas, three more in a group, and two two-phase commits', () => {
  it('transactions are counted by how they ended, with how long they took and at how many participants', async () => {
    const scraped = await scrape();
    const endings = {
      'committed saga': 5,
      'compensated saga': 1,
      'committed two-phase-commit': 1,
      'aborted two-phase-commit': 1,
    };
    expect(scraped.values(METRICS.transactions, ['outcome', 'protocol'])).toEqual(endings);
    expect(scraped.values(`${METRICS.transactionDuration}_count`, ['outcome', 'protocol'])).toEqual(endings);
    for (const seconds of Object.values(
      scraped.values(`${METRICS.transactionDuration}_sum`, ['outcome', 'protocol']),
    )) {
      expect(seconds).toBeGreaterThan(0.01);
      expect(seconds).toBeLessThan(60);
    }
    expect(scraped.values(`${METRICS.participants}_sum`, ['protocol'])).toEqual({
      saga: 3 + 3 + 2 + 9,
      'two-phase-commit': 6,
    });
  });

  it('every attempt at every question is there, by participant and operation', async () => {
    const scraped = await scrape();
    const counts = scraped.values(`${METRICS.operationDuration}_count`, ['participant_id', 'operation', 'success']);
    const { 'north-bank debit true': debit = 0, 'south-bank credit true': credit = 0 } = counts;
    const { 'audit record true': record = 0, 'audit record.prepare true': recordPrepared = 0 } = counts;
    // On a busy machine the three may travel in more than one group, and any of them may be asked again.
    expect(debit).toBeGreaterThanOrEqual(3 + 1);
    expect(credit).toBeGreaterThanOrEqual(3 + 1);
    expect(record).toBeGreaterThanOrEqual(2 + 3);
    // What a set-based form does together is one attempt, else it were 3 + 3 each. The record of each transaction is one by itself.
    expect(debit + credit).toBeLessThanOrEqual(2 * record);
    // Where another has refused before it was asked, it is not asked any more.
    expect(recordPrepared).toBeGreaterThanOrEqual(1);
    expect(recordPrepared).toBeLessThanOrEqual(2);
    expect(counts).toMatchObject({
      'north-bank debit.compensate true': 1,
      'north-bank debit.prepare true': 2,
      'south-bank credit.prepare true': 2,
      'north-bank debit.decide true': 2,
    });
    expect(scraped.buckets(METRICS.operationDuration)).toEqual(METRIC_TABLE.operationDuration.buckets);
    expect(scraped.buckets(METRICS.transactionDuration)).toEqual(METRIC_TABLE.transactionDuration.buckets);
    expect(scraped.values(METRICS.compensations, ['participant_id', 'operation', 'fate'])).toEqual({
      'north-bank debit compensated': 1,
    });
  });

  it('databases and circuits are watched, and what waits for a person', async () => {
    await expect
      .poll(async () => (await scrape()).values(METRICS.preparedSlots, ['participant_id']), { timeout: 20_000 })
      .toEqual({ 'north-bank': 64, 'south-bank': 64, audit: 64 });
    await expect
      .poll(async () => (await scrape()).values(METRICS.circuitState, ['participant_id', 'circuit']), {
        timeout: 20_000,
      })
      .toEqual({ 'north-bank participant': 3, 'south-bank participant': 0, 'audit participant': 0 });
    await expect
      .poll(async () => (await scrape()).values(METRICS.needsAttention, ['namespace']), { timeout: 20_000 })
      .toEqual({ [temporal.namespace]: 1 });
    const unseen = (await scrape()).values(METRICS.databaseUnseen, ['service', 'worker']);
    expect(Object.keys(unseen).sort()).toEqual([
      'audit participant',
      'north-bank participant',
      'south-bank participant',
    ]);
    expect(Math.max(...Object.values(unseen))).toBeLessThan(10);
    // What was prepared when somebody last looked may be decided since.
    await expect
      .poll(async () => (await scrape()).values(METRICS.inDoubt, ['participant_id']), { timeout: 20_000 })
      .toEqual({ 'north-bank': 0, 'south-bank': 0, audit: 0 });
  });

  it('all of it is as the table says, and no label holds an id', async () => {
    const scraped = await scrape();
    const table = new Map<string, Metric>(Object.values<Metric>(METRIC_TABLE).map((metric) => [metric.name, metric]));
    const ours = scraped.families.filter(({ name }) => name.startsWith('txn_'));
    expect(ours.length).toBeGreaterThan(8);
    for (const { name, kind, labels } of ours) {
      const metric = table.get(name);
      expect(metric, name).toBeDefined();
      expect(kind, name).toBe(metric?.kind);
      // Temporal's SDK adds its own.
      expect(labels, name).toEqual(expect.arrayContaining([...(metric?.labels ?? [])]));
      const known = [...(metric?.labels ?? []), ...SDK_LABELS];
      expect(
        labels.filter((label) => !known.includes(label)),
        name,
      ).toEqual([]);
    }
    const values = scraped.samples
      .filter(({ name }) => name.startsWith('txn_'))
      .flatMap(({ labels }) => Object.values(labels));
    for (const id of IDS) expect(values.filter((value) => value.includes(id))).toEqual([]);
  });
});

const SDK_LABELS = [
  'namespace',
  'task_queue',
  'taskQueue',
  'workflow_type',
  'workflowType',
  'activity_type',
  'activityType',
  'service_name',
  'le',
];
