/**
 * What does not depend on the machine: what the ways of the benchmark take from Temporal, counted in real histories. How many
 * workflow tasks a two-phase commit has depends on which votes arrive together, so no test counts those.
 */
import { resolve } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costOf } from '../../bench/cost';
import type { Cost } from '../../bench/cost';
import { handWrittenQueue } from '../../bench/transfer';
import type { Transfer } from '../../bench/transfer';
import { TransactionTestEnvironment } from '../../src/testing';
import { agreeing, result } from './agreeing';

Runtime.install({ logger: new DefaultLogger('ERROR') });

const transfer: Transfer = { from: 'alice', to: 'bob', amount: 100, currency: 'EUR' };
const movement = { account: 'alice', amount: 100, currency: 'EUR' };
const balance = async (): Promise<unknown> => result;

let environment: TransactionTestEnvironment;

beforeAll(async () => {
  environment = await TransactionTestEnvironment.start({
    workflows: resolve(__dirname, '../../dist/test/bench/workflows.js'),
    participants: {
      'north-bank': agreeing('debit'),
      'south-bank': { ...agreeing('credit'), ...agreeing('balance', 'read-only') },
      audit: agreeing('record'),
      [handWrittenQueue('north-bank')]: { debit: balance },
      [handWrittenQueue('south-bank')]: { credit: balance },
    },
  });
});

afterAll(() => environment?.stop());

/** Of one run of a workflow whose caller waits for the result, and may ask for the decision before. */
async function costOfRun(workflow: string, input: object, ask?: 'ask for the decision'): Promise<Cost> {
  const id = ask ? `${workflow}-asked` : workflow;
  const handle = await environment.transactions.start<object, number>(workflow, { id, input });
  if (ask) expect(await handle.decision()).toMatchObject({ decision: 'commit' });
  expect(await handle.result()).toBe(900);
  return costOf(await environment.temporal.client.workflow.getHandle(id).fetchHistory());
}

/** A workflow task is three events; the others are what is left. */
function withoutTasks({ workflowTasks, events, ...counts }: Cost): Omit<Cost, 'workflowTasks'> {
  return { ...counts, events: events - 3 * workflowTasks };
}

const none = { timers: 0, upserts: 0, signals: 0, updates: 0 };

describe('a transfer between two banks', () => {
  it('costs as a saga what it costs by hand', async () => {
    const saga = await costOfRun('transferBySaga', transfer);
    expect(saga).toEqual({ ...none, events: 17, workflowTasks: 3, activities: 2, actions: 3 });
    expect(await costOfRun('transferByHand', transfer)).toEqual(saga);
  });
});

describe('a transfer in three databases', () => {
  it('is a start and three activities as a saga', async () => {
    const saga = await costOfRun('transferInSteps', transfer);
    expect(saga).toEqual({ ...none, events: 23, workflowTasks: 4, activities: 3, actions: 4 });
  });

  it('takes six activities and three signals by two-phase commit', async () => {
    const signals = withoutTasks(await costOfRun('transferByVotes', transfer));
    expect(signals).toEqual({ ...none, events: 23, activities: 6, signals: 3, actions: 10 });
  });

  it('is spared the signals where the answers are the votes', async () => {
    const answers = withoutTasks(await costOfRun('transferByAnswers', transfer));
    expect(answers).toEqual({ ...none, events: 20, activities: 6, actions: 7 });
  });

  it('costs an update more where the caller asks for the decision', async () => {
    const asked = withoutTasks(await costOfRun('transferByAnswers', transfer, 'ask for the decision'));
    expect(asked).toEqual({ ...none, events: 22, activities: 6, updates: 1, actions: 8 });
  });
});

describe('two-phase commit', () => {
  it('leaves alone in its second phase a branch that only read', async () => {
    const looked = withoutTasks(await costOfRun('transferAndLook', movement));
    expect(looked).toEqual({ ...none, events: 17, activities: 5, actions: 6 });
  });

  it('is one activity where there is one branch', async () => {
    const alone = await costOfRun('debitAlone', movement);
    expect(alone).toEqual({ ...none, events: 11, workflowTasks: 2, activities: 1, actions: 2 });
  });
});
