/** How a vote reaches the coordinator as a signal, and what its absence means: nothing (P5-P7, C6, O5). */
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { participantActivities } from 'temporal-txn/participant';
import type { ParticipantActivities } from 'temporal-txn/participant';
import { armCrashpoints } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newId, SHORT, useBanks } from './fixture';
import { bank } from './bank';

const banks = useBanks();
let activities: ParticipantActivities | undefined;

interface Signalled {
  readonly workflow: string;
  readonly runId: string | undefined;
  readonly signal: string;
  readonly message: unknown;
}

/** Asks as a workflow's activity, and records what is signalled to that workflow. */
async function ask(question: string, request: object, { fail, attempt = 1 }: { fail?: Error; attempt?: number } = {}) {
  const signalled: Signalled[] = [];
  const client = {
    options: { namespace: 'default' },
    withAbortSignal: (_: AbortSignal, call: () => unknown) => call(),
    workflow: {
      getHandle: (workflow: string, runId?: string) => ({
        signal: async (signal: string, message: unknown) => {
          signalled.push({ workflow, runId, signal, message });
          if (fail) throw fail;
        },
      }),
    },
  } as unknown as Client; // Cast: all that a vote needs of one.
  activities ??= participantActivities(bank, { pool: banks.south.pool, timeouts: SHORT });
  const activity = activities[question] as (request: object) => Promise<unknown>;
  const environment = new MockActivityEnvironment(
    {
      startToCloseTimeoutMs: 9_000,
      attempt,
      taskQueue: 'south',
      workflowExecution: { workflowId: 'transfer-7', runId: 'a-run' },
    },
    { client, logger: new DefaultLogger('ERROR') },
  );
  const asked = environment.run(activity, {
    branch: 'debit',
    token: 'the-token',
    register: 'north',
    votes: 'signal',
    ...request,
  });
  const [ended] = await Promise.allSettled([asked]);
  return { signalled, ended };
}

const debit = async (amount = 30) => ({
  transaction: newId(),
  input: { account: await banks.south.account(), amount },
});

describe('the vote', () => {
  it('goes to whichever run of the coordinator is there, with the token of the request', async () => {
    const request = await debit();
    const { signalled, ended } = await ask('debit.prepare', request);
    expect(ended).toMatchObject({ status: 'fulfilled', value: { vote: 'commit' } });
    expect(signalled).toEqual([
      {
        workflow: 'transfer-7',
        runId: undefined,
        signal: 'vote',
        message: { transaction: request.transaction, branch: 'debit', token: 'the-token', vote: 'commit' },
      },
    ]);
    await ask('debit.abort', request);
  });

  it('to abort says why, and is on record before it is sent (P10)', async () => {
    const request = await debit(1_000);
    const { signalled } = await ask('debit.prepare', request, { fail: new Error('Temporal is away') });
    expect(signalled).toMatchObject([{ message: { vote: 'abort', reason: { code: 'insufficient-funds' } } }]);
    expect(
      await banks.south.rows('select state from txn.branch where transaction_id = $1', [request.transaction]),
    ).toEqual([{ state: 'refused' }]);
  });

  it('of a branch that only reads is sent as well', async () => {
    const { signalled } = await ask('balance.prepare', await debit());
    expect(signalled).toMatchObject([{ message: { vote: 'read-only' } }]);
    expect(JSON.stringify(signalled)).not.toContain('"balance"');
  });

  it('is sent again when the signal failed, by an attempt that changes nothing (P5)', async () => {
    const request = await debit();
    const first = await ask('debit.prepare', request, { fail: new Error('Temporal is away') });
    expect(first.ended).toMatchObject({ status: 'rejected', reason: { nonRetryable: false } });
    const gids = await banks.south.prepared();
    const second = await ask('debit.prepare', request, { attempt: 2 });
    expect(second.signalled).toMatchObject([{ message: { vote: 'commit', token: 'the-token' } }]);
    expect(await banks.south.prepared()).toEqual(gids);
    expect(gids).toHaveLength(1);
    await ask('debit.abort', request);
  });

  it('is sent again when the answer was lost after the decision, and changes nothing (P7, P9)', async () => {
    const request = await debit();
    const disarm = armCrashpoints([{ at: 'two-phase.voted-before-answer', action: { kind: 'fail' } }]);
    onTestFinished(disarm);
    const { ended } = await ask('debit.prepare', request);
    expect(ended.status).toBe('rejected');
    disarm();
    await ask('debit.commit', request);
    const late = await ask('debit.prepare', request, { attempt: 2 });
    expect(late.signalled).toMatchObject([{ message: { vote: 'commit' } }]);
    expect(await banks.south.balance(request.input.account)).toBe(70);
    expect(await banks.south.prepared()).toEqual([]);
  });

  it('that finds its coordinator gone leaves the branch prepared: that decides nothing (C6, O5)', async () => {
    const request = await debit();
    const { ended } = await ask('debit.prepare', request, {
      fail: new WorkflowNotFoundError('gone', 'transfer-7', undefined),
    });
    expect(ended).toMatchObject({ status: 'fulfilled', value: { vote: 'commit' } });
    expect(await banks.south.prepared()).toHaveLength(1);
    expect(await banks.north.rows('select * from txn.decision')).toEqual([]);
    await ask('debit.abort', request);
  });

  it('is not sent where the answer is all that is wanted, nor while nothing is known', async () => {
    const request = await debit();
    const quiet = await ask('debit.prepare', { ...request, votes: 'answer' });
    expect(quiet.signalled).toEqual([]);
    await ask('debit.abort', request);

    const held = await debit();
    const blocker = await banks.south.pool.connect();
    await blocker.query('begin');
    await blocker.query(
      `insert into txn.branch (transaction_id, branch_id, operation, state, input_hash) values ($1, 'debit', 'debit', 'applied', '')`,
      [held.transaction],
    );
    const unknown = await ask('debit.prepare', held);
    await blocker.query('rollback');
    blocker.release();
    expect(unknown.ended).toMatchObject({ status: 'rejected', reason: { type: 'InProgress', nonRetryable: false } });
    expect(unknown.signalled).toEqual([]);
  });
});
