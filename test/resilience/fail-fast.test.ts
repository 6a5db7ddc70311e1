/** Transactions that rather fail at once: what their worker knows of participants, and how they end before they begin. */
import { WithStartWorkflowOperation } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { TransactionNotAttempted } from '../../src/client';
import { HERITAGE_MEMO } from '../../src/observability';
import { colocatedActivity, FailureType, WHO_IS_AWAY } from '../../src/protocol';
import type { BranchRequest, Heritage } from '../../src/protocol';
import { TransactionTestEnvironment } from '../../src/testing';
import { ParticipantCircuits } from '../../src/worker';
import { bundleWorkflows } from '../bundle';
import { step } from '../saga/fixture'; // which also makes the runtime quiet
import { compiledWorkflows } from '../saga-more/environment';

describe('what a coordinator knows of a participant', () => {
  let circuits: ParticipantCircuits;
  const silence = (times: number, participant = 'bank'): void => {
    for (let i = 0; i < times; i++) circuits.heard(participant, 'silence');
  };
  const flush = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
    circuits = new ParticipantCircuits({ halfOpenAfterMs: 5_000, jitter: 0 });
    return () => void vi.useRealTimers();
  });

  it('is nothing at first, and that it is away after five silences in a row', async () => {
    expect(circuits.whoIsAway(['bank', 'shop'])).toEqual([]);
    silence(4);
    circuits.heard('bank', 'answer');
    silence(4);
    await flush();
    expect(circuits.whoIsAway(['bank', 'shop'])).toEqual([]);
    silence(1);
    await flush();
    const away = circuits.whoIsAway(['bank', 'shop']);
    expect(away).toEqual([{ participant: 'bank', retryAfterMs: expect.any(Number) }]);
    expect(away[0]?.retryAfterMs).toBeGreaterThanOrEqual(5_000);
  });

  it('is tried by one transaction, whose answer closes the circuit for all', async () => {
    silence(5);
    await flush();
    vi.advanceTimersByTime(5_000);
    expect(circuits.whoIsAway(['bank'])).toEqual([]);
    await flush();
    expect(circuits.whoIsAway(['bank'])).toEqual([{ participant: 'bank', retryAfterMs: 1_000 }]);
    circuits.heard('bank', 'answer');
    await flush();
    expect(circuits.whoIsAway(['bank'])).toEqual([]);
    expect(circuits.reports()).toMatchObject([{ participant: 'bank', state: 'closed' }]);
  });

  it('is that it is still away, for twice as long, after another silence', async () => {
    silence(5);
    await flush();
    vi.advanceTimersByTime(5_000);
    circuits.whoIsAway(['bank']);
    circuits.heard('bank', 'silence');
    await flush();
    expect(circuits.whoIsAway(['bank'])[0]?.retryAfterMs).toBeGreaterThanOrEqual(10_000);
    expect(circuits.reports()).toMatchObject([{ participant: 'bank', state: 'open' }]);
  });

  it.each([
    ['has ended without a word of it', () => circuits.unheard('bank')],
    ['has heard nothing for a minute', () => vi.advanceTimersByTime(60_000)],
  ])('is no worse where the one that was to try it %s: the next one tries it', async (_, happens) => {
    silence(5);
    await flush();
    vi.advanceTimersByTime(5_000);
    circuits.whoIsAway(['bank']);
    await flush();
    expect(circuits.reports()).toMatchObject([{ participant: 'bank', state: 'half-open' }]);
    happens();
    await flush();
    expect(circuits.whoIsAway(['bank'])).toEqual([]);
    expect(circuits.whoIsAway(['bank']), 'one at a time').toEqual([{ participant: 'bank', retryAfterMs: 1_000 }]);
    circuits.heard('bank', 'silence');
    await flush();
    expect(circuits.whoIsAway(['bank'])[0]?.retryAfterMs, 'doubled once').toBeLessThanOrEqual(11_000);
  });

  it('is told at every change', async () => {
    const changes: string[] = [];
    circuits = new ParticipantCircuits({ halfOpenAfterMs: 5_000, jitter: 0 }, (_, { state }) => changes.push(state));
    silence(5);
    await flush();
    vi.advanceTimersByTime(5_000);
    expect(changes, 'though nobody asks').toEqual(['open', 'half-open']);
    circuits.whoIsAway(['bank']);
    circuits.heard('bank', 'silence');
    await flush();
    vi.advanceTimersByTime(10_000);
    circuits.whoIsAway(['bank']);
    circuits.unheard('bank');
    circuits.whoIsAway(['bank']);
    circuits.heard('bank', 'answer');
    await flush();
    expect(changes).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
  });

  it('is not tried by a transaction that another participant keeps from beginning', async () => {
    silence(5, 'bank');
    await flush();
    vi.advanceTimersByTime(4_000);
    silence(5, 'shop');
    await flush();
    vi.advanceTimersByTime(1_000);
    expect(circuits.whoIsAway(['bank', 'shop'])).toMatchObject([{ participant: 'shop' }]);
    await flush();
    expect(circuits.whoIsAway(['bank']), 'the trial is still to be had').toEqual([]);
  });
});

/** Longer than a busy machine takes to try a transaction and to start it again. */
const HALF_OPEN_MS = 8_000;

describe('a transaction that wants to fail fast', () => {
  const circuits = new ParticipantCircuits({ trip: { consecutive: 2 }, halfOpenAfterMs: HALF_OPEN_MS, jitter: 0 });
  const asked: string[] = [];
  const lines: (() => Promise<unknown>)[] = [];
  const refusal = ApplicationFailure.nonRetryable('No', FailureType.Refusal, { code: 'no', message: 'No' });
  const answer = async (request: BranchRequest, usual: object): Promise<unknown> => {
    asked.push(`${request.branch}${request.failFast ? ', failing fast' : ''}`);
    return (lines.shift() ?? (async () => usual))();
  };
  const activities = {
    debit: (request: BranchRequest) => answer(request, { answer: 'applied', result: null }),
    'debit.prepare': (request: BranchRequest) => answer(request, { vote: 'commit', result: null }),
    'debit.preCommit': async () => 'done',
    'debit.decide': async () => ({ decision: 'commit', by: 'coordinator', ack: { kind: 'applied' } }),
    'debit.commit': async () => ({ kind: 'applied' }),
    'debit.compensate': async () => ({ answer: 'compensated' }),
    releaseLocks: async () => undefined,
  };
  let environment: TransactionTestEnvironment;
  let workflowBundle: WorkflowBundleWithSourceMap;
  let told = 0;
  beforeAll(async () => {
    workflowBundle = await bundleWorkflows(compiledWorkflows('resilience'));
    environment = await TransactionTestEnvironment.start({
      workflows: workflowBundle,
      participants: { bank: activities, shop: activities },
      threePhaseCommit: true,
      circuits,
    });
  });
  afterAll(() => environment.stop());
  beforeEach(async () => {
    asked.length = 0;
    if (circuits.reports().every(({ state }) => state === 'closed')) return;
    // Left open by the test before: the next answer closes it.
    await new Promise((resolve) => setTimeout(resolve, HALF_OPEN_MS + 50));
    for (const participant of ['bank', 'shop']) {
      circuits.whoIsAway([participant]);
      await Promise.resolve();
      circuits.heard(participant, 'answer');
    }
  });

  const away = (): void => {
    circuits.heard('bank', 'silence');
    circuits.heard('bank', 'silence');
  };
  const saga = { moves: [step('shop.debit'), step('bank.debit')], options: { failFast: ['shop', 'bank'] } };
  const commit = {
    branches: [
      { participant: 'shop', operation: 'debit' },
      { participant: 'bank', operation: 'debit' },
    ],
    options: { failFast: true, votes: 'answer' },
  };
  const start = (workflow: string, input: unknown, id = `fast-${++told}`): Promise<unknown> =>
    environment.transactions.execute<unknown, unknown>(workflow, { id, input });

  it.each([
    ['saga', 'settled', saga],
    ['two-phase commit', 'settles', commit],
  ])(
    '(%s) asks nobody anything, says who is away, and goes on under its id when it is started again',
    async (_, workflow, input) => {
      away();
      const id = `fast-${++told}`;
      const failure: unknown = await start(workflow, input, id).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(TransactionNotAttempted);
      expect(failure).toMatchObject({ id, away: [{ participant: 'bank', retryAfterMs: expect.any(Number) }] });
      expect((failure as Error).message).toMatch(/^Nothing was attempted/);
      expect(asked).toEqual([]);
      await expect(start(workflow, input, id), 'too soon').rejects.toBeInstanceOf(TransactionNotAttempted);
      await new Promise((resolve) => setTimeout(resolve, HALF_OPEN_MS + 50));
      expect(await start(workflow, input, id)).toMatchObject({ outcome: 'committed' });
      expect(await start(workflow, input, id), 'the same answer for ever').toMatchObject({ outcome: 'committed' });
      expect(asked).toHaveLength(2);
    },
  );

  it.each([
    ['saga', 'settled', saga],
    ['two-phase commit', 'settles', commit],
  ])('(%s) is not refused where it goes on with what was begun before', async (_, workflow, input) => {
    away();
    const heritage: Heritage = { asked: [], resumed: [] };
    const handle = await environment.temporal.client.workflow.start(workflow, {
      workflowId: `fast-${++told}`,
      taskQueue: 'transactions',
      args: [input],
      memo: { [HERITAGE_MEMO]: heritage },
    });
    expect(await handle.result()).toMatchObject({ outcome: 'committed' });
    expect(asked).toHaveLength(2);
  });

  it('inside a step has done nothing where it was not attempted', async () => {
    away();
    expect(await start('decidesFast', null)).toMatchObject({
      outcome: 'compensated',
      steps: [{ fate: { kind: 'not-done', refusal: { code: 'not-attempted' } } }],
    });
    expect(asked).toEqual([]);
  });

  it('tells participants, so that an open circuit behind them is a refusal', async () => {
    await start('settled', saga);
    expect(asked).toEqual(['shop.debit, failing fast', 'bank.debit, failing fast']);
  });

  it('tells its worker of answers and silence, and leaves no event for that', async () => {
    away();
    await new Promise((resolve) => setTimeout(resolve, HALF_OPEN_MS + 50));
    const id = `fast-${++told}`;
    await start('settled', saga, id);
    expect(circuits.reports()).toMatchObject([{ state: 'closed' }, { state: 'closed' }]);
    const { events } = await environment.temporal.client.workflow.getHandle(id).fetchHistory();
    const extra = (events ?? []).filter(({ markerRecordedEventAttributes: marker }) => marker);
    expect(extra, 'the question at the beginning').toHaveLength(1);
  });

  it('asks by an activity from the moment at which somebody waits for the decision, and is told the same', async () => {
    const { client } = environment.temporal;
    const decision = (id: string): Promise<unknown> =>
      client.workflow.executeUpdateWithStart('decision', {
        startWorkflowOperation: new WithStartWorkflowOperation('settles', {
          workflowId: id,
          taskQueue: 'transactions',
          args: [commit],
          workflowIdConflictPolicy: 'FAIL',
        }),
      });
    const questionsOf = async (id: string): Promise<unknown> => {
      const { events } = await client.workflow.getHandle(id).fetchHistory();
      return {
        asActivity: events?.filter(
          ({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name === WHO_IS_AWAY,
        ).length,
        locally: events?.filter(({ markerRecordedEventAttributes: marker }) => marker).length,
      };
    };
    const id = `fast-${++told}`;
    expect(await decision(id)).toMatchObject({ decision: 'commit' });
    expect(await questionsOf(id)).toEqual({ asActivity: 1, locally: 0 });
    away();
    const tooSoon = `fast-${++told}`;
    await expect(decision(tooSoon)).rejects.toThrow();
    expect(await questionsOf(tooSoon)).toEqual({ asActivity: 1, locally: 0 });
    await expect(environment.transactions.handle(tooSoon).result()).rejects.toBeInstanceOf(TransactionNotAttempted);
  });

  it('has the time that a scope gives it run once', async () => {
    const id = `fast-${++told}`;
    await start('hurried', null, id);
    const { events } = await environment.temporal.client.workflow.getHandle(id).fetchHistory();
    expect((events ?? []).flatMap(({ timerStartedEventAttributes: timer }) => timer?.timerId ?? [])).toEqual([
      '1',
      '2',
    ]);
  });

  it('tells its worker of a participant that answers by signals alone', async () => {
    const heard = vi.spyOn(circuits, 'heard');
    onTestFinished(() => heard.mockRestore());
    const { votes: _, ...options } = commit.options;
    expect(await start('settlesInThreePhases', { ...commit, options })).toMatchObject({ outcome: 'committed' });
    await expect.poll(() => heard.mock.calls).toContainEqual(['bank', 'answer']);
  });

  it.each([
    ['does', undefined, 'committed'],
    ['refuses', () => Promise.reject(refusal), 'compensated'],
  ])('tells its worker of a participant in the same process that %s what it is asked', async (_, line, outcome) => {
    const heard = vi.spyOn(circuits, 'heard');
    onTestFinished(() => heard.mockRestore());
    if (line) lines.push(line);
    const { nativeConnection: connection, client } = environment.temporal;
    const house = await Worker.create({
      connection,
      taskQueue: 'house',
      workflowBundle,
      activities: { ...circuits.activities, [colocatedActivity('bank', 'debit')]: activities.debit },
      sinks: circuits.sinks,
    });
    const report = await house.runUntil(
      client.workflow.execute('settledAtHome', { workflowId: `fast-${++told}`, taskQueue: 'house' }),
    );
    expect(report).toMatchObject({ outcome });
    expect(heard.mock.calls).toEqual([['bank', 'answer']]);
  });

  it('gives back to its worker the trial of whom it has not come to ask', async () => {
    const unheard = vi.spyOn(circuits, 'unheard');
    onTestFinished(() => unheard.mockRestore());
    lines.push(() => Promise.reject(refusal));
    expect(await start('settled', saga)).toMatchObject({ outcome: 'compensated' });
    expect(asked).toEqual(['shop.debit, failing fast']);
    await expect.poll(() => unheard.mock.calls).toEqual([['bank']]);
  });

  it('is not one that does not say so', async () => {
    away();
    expect(await start('settled', { ...saga, options: {} })).toMatchObject({ outcome: 'committed' });
    expect(asked).toEqual(['shop.debit', 'bank.debit']);
  });
});
