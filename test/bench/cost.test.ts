/** What does not depend on the machine: a saga that goes well takes nothing from Temporal that the hand-written transfer does not. */
import { resolve } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costOf } from '../../bench/cost';
import type { Cost } from '../../bench/cost';
import { handWrittenQueue } from '../../bench/transfer';
import type { Transfer } from '../../bench/transfer';
import { TransactionTestEnvironment } from '../../src/testing';

Runtime.install({ logger: new DefaultLogger('ERROR') });

const input: Transfer = { from: 'alice', to: 'bob', amount: 100, currency: 'EUR' };

const answer = async (): Promise<unknown> => ({ answer: 'applied', result: { balance: 900 } });
const balance = async (): Promise<unknown> => ({ balance: 900 });

let environment: TransactionTestEnvironment;

beforeAll(async () => {
  environment = await TransactionTestEnvironment.start({
    workflows: resolve(__dirname, '../../dist/test/bench/workflows.js'),
    participants: {
      'north-bank': { debit: answer },
      'south-bank': { credit: answer },
      [handWrittenQueue('north-bank')]: { debit: balance },
      [handWrittenQueue('south-bank')]: { credit: balance },
    },
  });
});

afterAll(() => environment?.stop());

async function costOfTransfer(workflow: 'transferBySaga' | 'transferByHand'): Promise<Cost> {
  const handle = await environment.transactions.start<Transfer, number>(workflow, { id: workflow, input });
  expect(await handle.result()).toBe(900);
  return costOf(await environment.temporal.client.workflow.getHandle(workflow).fetchHistory());
}

describe('a transfer between two banks', () => {
  it('costs as a saga what it costs by hand', async () => {
    const saga = await costOfTransfer('transferBySaga');
    expect(saga).toEqual({ events: 17, workflowTasks: 3, activities: 2, timers: 0, upserts: 0, actions: 3 });
    expect(await costOfTransfer('transferByHand')).toEqual(saga);
  });
});
