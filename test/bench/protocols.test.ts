/**
 * What a transfer between two banks takes from Temporal by each protocol, counted in the histories of all its workflows. How many
 * workflow tasks there are depends on what arrives together, so no test counts those.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costOfAll } from '../../bench/cost';
import type { Cost } from '../../bench/cost';
import { WAYS, WORKFLOWS, workflowsOf } from '../../bench/protocols/ways';
import type { Way } from '../../bench/protocols/ways';
import type { Transfer } from '../../bench/transfer';
import { PARTICIPANT_BUNDLE, startRealTimeEnvironment } from '../real-server';
import type { RealTimeEnvironment } from '../real-server';
import { agreeing } from './agreeing';

const input: Transfer = { from: 'alice', to: 'bob', amount: 100, currency: 'EUR' };
let environment: RealTimeEnvironment;

beforeAll(async () => {
  environment = await startRealTimeEnvironment(
    '../bench/protocols',
    {
      'north-bank': { ...agreeing('debit'), ...agreeing('pay') },
      'south-bank': { ...agreeing('credit'), ...agreeing('receive') },
    },
    PARTICIPANT_BUNDLE,
  );
});

afterAll(() => environment?.stop());

/** Of all workflows of one transfer, when the last of them has ended. A workflow task is three events; the others are what is left. */
async function costOfTransfer(way: Way): Promise<Omit<Cost, 'workflowTasks'>> {
  const id = `transfer-${way}`;
  const result = await environment.transactions.execute<Transfer, number>(WORKFLOWS[way], { id, input });
  expect(result).toBe(900);
  const histories = workflowsOf(way, id).map(async (workflowId) => {
    const handle = environment.client.workflow.getHandle(workflowId);
    await handle.result();
    return handle.fetchHistory();
  });
  const { workflowTasks, events, ...counts } = costOfAll(await Promise.all(histories));
  return { ...counts, events: events - 3 * workflowTasks };
}

const none = { timers: 0, upserts: 0, signals: 0, updates: 0 };

const EXPECTED: Readonly<Record<Way, object>> = {
  saga: { ...none, events: 8, activities: 2, actions: 3 },
  '2pc': { ...none, events: 16, activities: 4, signals: 2, actions: 7 },
  // Three workflows, with a timer wherever one of them waits for another. How many signals and events there are depends on who
  // ends first: a coordinator that has ended is told no more.
  '3pc': { ...none, signals: expect.toBeOneOf([9, 10]), activities: 7, timers: 7, actions: expect.toBeOneOf([26, 27]) },
  tcc: { ...none, events: 14, activities: 4, actions: 5 },
};

describe('a transfer between two banks', () => {
  it.each(WAYS)('takes by %s', async (way) => {
    expect(await costOfTransfer(way)).toMatchObject(EXPECTED[way]);
  });
});
