/**
 * What a transaction takes from Temporal, in calls of its clients and workers and in writes of its server to its database. Unlike times,
 * these do not depend on the machine: what makes a transaction dearer fails here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/testing';
import { BANKS } from '../protocols/company';
import { quiet } from '../saga-more/environment';
import { openCompiledHouse, Town } from './fixture';
import type { House } from './house';

const TRANSFERS = 8;

let town: Town;
let metricsUrl = '';

beforeAll(async () => {
  quiet();
  const temporalMetricsPort = await freePort();
  metricsUrl = `http://127.0.0.1:${temporalMetricsPort}/metrics`;
  town = await Town.open({ temporalMetricsPort });
}, 60_000);

afterAll(() => town?.close());

/** Calls that a transaction causes; polls come and go with the clock. */
const CALLS = [
  'StartWorkflowExecution',
  'RespondWorkflowTaskCompleted',
  'RespondWorkflowTaskFailed',
  'RespondActivityTaskCompleted',
  'RespondActivityTaskFailed',
  'SignalWorkflowExecution',
  'UpdateWorkflowExecution',
  'DescribeWorkflowExecution',
];
/** Writes to the state of a workflow, each with the events that belong to it. */
const WRITES = ['CreateWorkflowExecution', 'UpdateWorkflowExecution'];

interface Counts {
  readonly calls: number;
  readonly writes: number;
}

/** The server tells them once a second. */
const TOLD_MS = 1_500;

async function countsNow(): Promise<Counts> {
  await sleep(TOLD_MS);
  const text = await (await fetch(metricsUrl)).text();
  const sum = (metric: string, service: string, operations: readonly string[]): number =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${metric}{`) && line.includes(`service_name="${service}"`))
      .filter((line) => line.includes('namespace="default"'))
      .filter((line) => operations.some((operation) => line.includes(`operation="${operation}"`)))
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  return {
    calls: sum('service_requests', 'frontend', CALLS),
    writes: sum('persistence_requests', 'history', WRITES),
  };
}

/** For each of some transfers that are made one after the other. */
async function countsOf(workflow: string): Promise<Counts> {
  const make = (): Promise<unknown> => town.transactions.execute(workflow, town.newTransfer());
  // Caches are filled, and sticky queues known.
  await make();
  const before = await countsNow();
  for (let i = 0; i < TRANSFERS; i++) await make();
  const after = await countsNow();
  return { calls: (after.calls - before.calls) / TRANSFERS, writes: (after.writes - before.writes) / TRANSFERS };
}

describe('from Temporal', () => {
  let house: House;

  beforeAll(async () => {
    const { temporal, databases } = town;
    // Recovery looks at the clock, and would be counted too.
    house = await openCompiledHouse({ temporal, databases, colocated: BANKS, recoveryEveryMs: 600_000 });
  }, 60_000);

  afterAll(() => house?.stop());

  it.each([
    ['transferBySagaFromAfar', { calls: 6, writes: 12 }],
    ['transferByTwoPhaseCommitFromAfar', { calls: 13, writes: 23 }],
    ['transferBySaga', { calls: 2, writes: 4 }],
    ['transferByTwoPhaseCommit', { calls: 2, writes: 4 }],
  ])('%s takes no more than it did', async (workflow, most) => {
    const { calls, writes } = await countsOf(workflow);
    expect(calls).toBeLessThanOrEqual(most.calls);
    expect(writes).toBeLessThanOrEqual(most.writes);
  });
});
