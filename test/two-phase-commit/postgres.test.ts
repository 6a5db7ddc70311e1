/** The main runs on real PostgreSQL: what the reports say is what the databases hold. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionAborted, TransactionInputMismatch } from '../../src/client';
import type { VoteRequest } from '../../src/client';
import { requestOf } from '../../src/client/request';
import { REQUEST_MEMO } from '../../src/observability';
import { branch, participant } from '../../src/workflow';
import type { accounts } from '../../activities/accounts/operations';
import type { audit } from '../../activities/audit/operations';
import { TransactionTestEnvironment } from '../../src/testing';
import type { Transfer, TransferReceipt } from '../../workflows/bank-transfer';
import { compiledWorkflows, quiet } from '../saga-more/environment';
import { bundleWorkflows } from '../bundle';
import { surviveStandingClock } from '../standing-clock';
import { Bank, transferOf } from './bank';

let bank: Bank;
let env: TransactionTestEnvironment;
let money: number;

/** With banks of its own: where the clock stood, a transfer is left in the middle. */
const environment = {
  start: async (): Promise<void> => {
    bank = await Bank.open();
    money = await bank.money();
    env = await TransactionTestEnvironment.start({
      workflows: await bundleWorkflows(compiledWorkflows('two-phase-commit')),
      participants: bank.activities(),
    });
  },
  stop: async (): Promise<void> => {
    await env?.stop();
    await bank?.close();
  },
};

beforeAll(async () => {
  quiet();
  await environment.start();
});
afterAll(environment.stop);
surviveStandingClock(environment);

const TRANSFER = 'transferMoneyAtomically';
const north = participant<typeof accounts>('north-bank');
const south = participant<typeof accounts>('south-bank');
const ledger = participant<typeof audit>('audit');

let count = 0;
const newId = (): string => `real-${++count}`;

/** What every transaction has to leave behind. */
async function expectSound(): Promise<void> {
  expect(await bank.prepared()).toEqual([]);
  expect(await bank.money()).toBe(money);
}

async function expectAborted(id: string, error: unknown, cause: object): Promise<void> {
  expect(error).toBeInstanceOf(TransactionAborted);
  expect(error).toMatchObject({ report: { outcome: 'aborted', cause } });
  expect(await bank.entries(id)).toEqual([]);
  expect((await bank.branches(id)).filter(({ state }) => state === 'applied')).toEqual([]);
  await expectSound();
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail('It committed.'),
    (error: unknown) => error,
  );

describe('a transfer between two banks', () => {
  it('commits in all three databases, with the decision at the first', async () => {
    const id = newId();
    const receipt = await env.transactions.execute<Transfer, TransferReceipt>(TRANSFER, { id, input: transferOf(100) });
    expect(receipt).toEqual({ auditEntry: expect.any(String), balanceAfter: expect.any(Number) });
    expect(await bank.entries(id)).toEqual(['north-bank debit -100', 'south-bank credit 100']);
    expect(await bank.branches(id)).toEqual([
      { service: 'north-bank', branch: 'north-bank.debit', state: 'applied' },
      { service: 'south-bank', branch: 'south-bank.credit', state: 'applied' },
      { service: 'audit', branch: 'audit.record', state: 'applied' },
    ]);
    expect(await bank.decisions(id)).toEqual([{ service: 'north-bank', outcome: 'commit' }]);
    await expectSound();
  });

  it.each<[string, Partial<Transfer>, string, string]>([
    ['the first bank', { from: { bank: 'north-bank', account: 'nobody' } }, 'north-bank.debit', 'unknown-account'],
    ['the second bank', { to: { bank: 'south-bank', account: 'nobody' } }, 'south-bank.credit', 'unknown-account'],
    ['the balance', { amount: 1_000_000_000 }, 'north-bank.debit', 'insufficient-funds'],
  ])('that %s refuses leaves nothing', async (_, other, refusing, code) => {
    const id = newId();
    const error = await failureOf(env.transactions.execute(TRANSFER, { id, input: transferOf(100, other) }));
    await expectAborted(id, error, { kind: 'refused', branch: refusing, reason: { code } });
    expect(await bank.decisions(id)).toEqual([{ service: 'north-bank', outcome: 'abort' }]);
  });

  it('gives the same answer twice, also when Temporal asks everything anew', async () => {
    const id = newId();
    const first = await env.transactions.execute(TRANSFER, { id, input: transferOf(70) });
    const { client } = env.temporal;
    const again = await client.workflow.execute(TRANSFER, {
      workflowId: id,
      taskQueue: 'transactions',
      args: [transferOf(70)],
    });
    expect(again).toEqual(first);
    expect(await bank.entries(id)).toEqual(['north-bank debit -70', 'south-bank credit 70']);
    await expectSound();
  });

  it('that was refused is refused again for the same reason', async () => {
    const id = newId();
    const input = transferOf(70, { to: { bank: 'south-bank', account: 'nobody' } });
    await failureOf(env.transactions.execute(TRANSFER, { id, input }));
    const { client } = env.temporal;
    await client.workflow
      .start(TRANSFER, { workflowId: id, taskQueue: 'transactions', args: [input] })
      .then((handle) => handle.result())
      .catch(() => undefined);
    const error = await failureOf(env.transactions.handle(id).result());
    await expectAborted(id, error, { reason: { code: 'unknown-account' } });
  });

  it('whose id belongs to another input changes nothing, and that one stands', async () => {
    const id = newId();
    await env.transactions.execute(TRANSFER, { id, input: transferOf(30) });
    const { client } = env.temporal;
    await client.workflow
      .start(TRANSFER, {
        workflowId: id,
        taskQueue: 'transactions',
        args: [transferOf(31)],
        memo: { [REQUEST_MEMO]: requestOf('request', transferOf(31)).hash },
      })
      .then((handle) => handle.result())
      .catch(() => undefined);
    expect(await failureOf(env.transactions.handle(id).result())).toBeInstanceOf(TransactionInputMismatch);
    expect(await bank.entries(id)).toEqual(['north-bank debit -30', 'south-bank credit 30']);
    await expectSound();
  });
});

describe('the ready-made coordinator', () => {
  it('commits what a client lists, reads included', async () => {
    const id = newId();
    const money = { amount: 10, currency: 'EUR' };
    const handle = await env.transactions.commit({
      id,
      branches: [
        branch(north.debit, { account: 'alice', ...money }),
        branch(south.credit, { account: 'bob', ...money }),
        branch(south.balance, { account: 'bob' }),
        branch(ledger.record, { kind: 'transfer', from: 'north-bank/alice', to: 'south-bank/bob', ...money }),
      ],
    });
    expect(await handle.decision()).toMatchObject({ decision: 'commit' });
    expect(await handle.result()).toHaveLength(4);
    const [report] = await handle.reports<'two-phase-commit'>();
    expect(report?.branches[2]).toMatchObject({ vote: 'read-only', finish: { kind: 'not-needed' } });
    await expectSound();
  });

  it('keeps the decision at the first branch although that one only reads', async () => {
    const id = newId();
    const money = { amount: 10, currency: 'EUR' };
    const handle = await env.transactions.commit({
      id,
      branches: [
        branch(south.balance, { account: 'bob' }),
        branch(north.debit, { account: 'alice', ...money }),
        branch(south.credit, { account: 'bob', ...money }),
      ],
    });
    expect(await handle.result()).toHaveLength(3);
    expect(await bank.decisions(id)).toEqual([{ service: 'south-bank', outcome: 'commit' }]);
    expect(await bank.entries(id)).toEqual(['north-bank debit -10', 'south-bank credit 10']);
    await expectSound();
  });

  it('decides nothing when all branches only read', async () => {
    const id = newId();
    const balances = [branch(south.balance, { account: 'bob' }), branch(north.balance, { account: 'alice' })];
    expect(await (await env.transactions.commit({ id, branches: balances })).result()).toHaveLength(2);
    expect(await bank.decisions(id)).toEqual([]);
  });

  it('commits one operation in one phase', async () => {
    const id = newId();
    const handle = await env.transactions.commit({ id, branches: [branch(south.balance, { account: 'bob' })] });
    expect(await handle.result()).toEqual([{ balance: expect.any(Number), currency: 'EUR' }]);
    expect(await bank.decisions(id)).toEqual([]);
  });
});

describe('a transfer that a person has to approve', () => {
  async function pending(id: string) {
    const workflow = env.temporal.client.workflow.getHandle(id);
    await expect.poll(() => workflow.query('pendingApproval')).not.toBeNull();
    return workflow.query<{ transfer: Transfer; request: VoteRequest }>('pendingApproval');
  }

  it('locks nothing while she thinks for three days, and commits then', async () => {
    const id = newId();
    const handle = await env.transactions.start('transferOnceApproved', { id, input: transferOf(20) });
    const { transfer, request } = await pending(id);
    expect(transfer).toEqual(transferOf(20));
    await env.sleep('3 days');
    expect(await bank.prepared()).toEqual([]);
    expect(await handle.status()).toBe('RUNNING');
    await env.transactions.vote(request, 'commit');
    expect(await handle.result()).toEqual({ balanceAfter: expect.any(Number) });
    expect(await bank.entries(id)).toEqual(['north-bank debit -20', 'south-bank credit 20']);
    await expectSound();
  });

  it('is aborted when she declines, and the banks never hear of it', async () => {
    const id = newId();
    const handle = await env.transactions.start('transferOnceApproved', { id, input: transferOf(20) });
    const { request } = await pending(id);
    await env.transactions.vote(request, 'abort', { code: 'declined', message: 'Not this month.' });
    await expectAborted(id, await failureOf(handle.result()), { branch: 'approval', reason: { code: 'declined' } });
  });

  it('is aborted after a week of silence', async () => {
    const id = newId();
    const handle = await env.transactions.start('transferOnceApproved', { id, input: transferOf(20) });
    await expectAborted(id, await failureOf(handle.result()), { kind: 'timed-out' });
  });
});
