/** A bug in a body stops the transaction and undoes nothing; under the mended code it goes on where it was. */
import { resolve } from 'node:path';
import { Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { TransactionClient } from '../../src/client';
import { bundleWorkflows } from '../bundle';
import { puppetFixture } from './fixture';

const fixture = puppetFixture();
const taskQueue = 'mended';

async function workerOf(directory: string, options: Partial<WorkerOptions> = {}): Promise<Worker> {
  return Worker.create({
    ...options,
    connection: fixture.environment.temporal.nativeConnection,
    taskQueue,
    workflowBundle: await bundleWorkflows(resolve(__dirname, '../../dist/test', directory, 'workflows.js')),
  });
}

describe('a body with a bug', () => {
  it('fails the workflow task, undoes nothing, and goes on once it is mended: no step is done twice', async () => {
    const { client } = fixture.environment.temporal;
    const handle = await new TransactionClient({ client, taskQueue }).start('buys', { id: 'buys', input: null });
    const broken = await workerOf('workflow/broken');
    await broken.runUntil(async () => {
      const events = async () => (await client.workflow.getHandle('buys').fetchHistory()).events ?? [];
      const problem = async () =>
        (await events()).flatMap(({ workflowTaskFailedEventAttributes: failed }) => failed?.failure?.message ?? []);
      await expect.poll(problem, { timeout: 10_000 }).toContain('total.cents is not a function');
    });
    expect(fixture.puppets.asked('buys')).toEqual(['shop.reserve']);
    expect(await handle.status()).toBe('RUNNING');

    const mended = await workerOf('workflow');
    expect(await mended.runUntil(handle.result())).toMatchObject({ outcome: 'committed', result: 'bank.debit' });
    expect(fixture.puppets.asked('buys')).toEqual(['shop.reserve', 'bank.debit']);
  });

  it('is undone where its worker has workflows fail with such errors', async () => {
    const { client } = fixture.environment.temporal;
    const impatient = await workerOf('workflow/broken', { workflowFailureErrorTypes: { '*': ['TypeError'] } });
    const transactions = new TransactionClient({ client, taskQueue });
    const report = impatient.runUntil(transactions.execute('buys', { id: 'buys-once', input: null }));
    expect(await report).toMatchObject({ outcome: 'compensated', cause: { message: 'total.cents is not a function' } });
    expect(fixture.puppets.asked('buys-once')).toEqual(['shop.reserve', 'undo shop.reserve']);
  });
});
