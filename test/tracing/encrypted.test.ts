/** Where payloads are encrypted, whoever collects spans hears the types of errors and not what they say. */
import { NativeConnection, Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import type { Pool } from 'pg';
import { connectTemporal, TransactionClient, TransactionCompensated } from 'temporal-txn/client';
import { encryptedDataConverter } from 'temporal-txn/encryption';
import { searchAttributeList } from 'temporal-txn/observability';
import { migrate, participantActivities } from 'temporal-txn/participant';
import { TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { quietPool } from '../quiet-pool';
import { usePostgres } from '../participant/fixture';
import { quiet } from '../saga-more/environment';
import { traceHere, tracedBundle } from './here';
import type { TracedHere } from './here';
import { accounts, TABLES } from './services';
import type { TracedSpan } from './spans';

/** What the operation says, and what the coordinator makes of it. */
const SAID = /There is not enough/;
const MESSAGE = /exception\.message|exception\.stacktrace|"message"/;
/** The service, which runs the workflows too. */
const TASK_QUEUE = 'north-bank';

const postgres = usePostgres();
let here: TracedHere;
let temporal: TemporalDevServer;
let workflowBundle: WorkflowBundleWithSourceMap;
let pool: Pool;
beforeAll(async () => {
  quiet();
  here = traceHere();
  [temporal, workflowBundle] = await Promise.all([
    TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() }),
    tracedBundle(here.plugins),
  ]);
  pool = quietPool({ connectionString: await postgres.createService('north_bank'), max: 3 });
  await migrate(pool);
  await pool.query(TABLES);
});
afterAll(async () => {
  await pool?.end();
  await temporal?.stop();
  await here?.stop();
});

const ENCRYPTED = encryptedDataConverter({ current: 'a', keys: { a: Buffer.alloc(32, 1) } });

/** The spans of a transfer that is refused, and of a question about a workflow that is not there. */
async function spansOfRefusal(id: string, dataConverter: Partial<typeof ENCRYPTED>): Promise<readonly TracedSpan[]> {
  const { address } = temporal;
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    taskQueue: TASK_QUEUE,
    workflowBundle,
    activities: participantActivities(accounts, { pool }),
    plugins: [...here.plugins],
    dataConverter,
  });
  const client = await connectTemporal({ address, dataConverter, plugins: here.plugins });
  try {
    const { trace } = await worker.runUntil(
      here.asRequest(async () => {
        const transactions = new TransactionClient({ client, taskQueue: TASK_QUEUE });
        const input = { amount: 2_000_000_000, to: 'account-of-ben' };
        const running = transactions.execute('transferBySaga', { id, input });
        await expect(running).rejects.toThrow(TransactionCompensated);
        await expect(client.workflow.getHandle('nowhere').describe()).rejects.toThrow();
      }),
    );
    return await vi.waitFor(() => {
      const spans = here.spans().filter((span) => span.trace === trace);
      expect(spans.map(({ name }) => name)).toEqual(expect.arrayContaining(FAILED));
      return spans.filter(({ name }) => FAILED.includes(name));
    });
  } finally {
    await client.connection.close();
    await connection.close();
  }
}

const FAILED = ['StartActivity:debit', 'RunActivity:debit', 'RunWorkflow:transferBySaga', 'DescribeWorkflow'];

describe('the spans of what fails', () => {
  it('tell the types of errors, and no message, where payloads are encrypted', async () => {
    const spans = await spansOfRefusal('encrypted', ENCRYPTED);
    for (const { text } of spans) {
      expect(text).toContain('exception.type');
      expect(text).not.toMatch(SAID);
      expect(text).not.toMatch(MESSAGE);
    }
  });

  it('tell the messages as well where payloads are not', async () => {
    const spans = await spansOfRefusal('readable', {});
    for (const { text } of spans) expect(text).toMatch(MESSAGE);
    expect(spans.filter(({ text }) => SAID.test(text)).map(({ name }) => name)).toContain('RunActivity:debit');
  });
});
