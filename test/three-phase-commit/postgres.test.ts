/**
 * Three-phase commit on real PostgreSQL: what is written down before anybody is told, and what participants and their recovery
 * do with it when those who asked are gone.
 */
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TransactionAborted, TransactionClient } from '../../src/client';
import type { Activities } from '../../src/testing';
import { startRecovery } from '../../src/worker/recovery';
import { Bank, SERVICES, transferOf } from '../two-phase-commit/bank';
import type { Service } from '../two-phase-commit/bank';
import { PARTICIPANT_BUNDLE, startServer, startWorkers } from '../real-server';
import { until } from './fixture';

let bank: Bank;
let client: Client;
let transactions: TransactionClient;
let money: number;
const endings: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  bank = await Bank.open();
  endings.push(() => bank.close());
  money = await bank.money();
  const server = await startServer();
  endings.push(() => server.stop());
  ({ client } = server);
  transactions = new TransactionClient({ client });
  endings.push(await startWorkers(server, 'three-phase-commit', bank.activities(), PARTICIPANT_BUNDLE));
});
afterAll(async () => {
  for (const end of endings.reverse()) await end();
}, 60_000);

const BRANCH: Readonly<Record<Service, string>> = {
  'north-bank': 'north-bank.debit',
  'south-bank': 'south-bank.credit',
  audit: 'audit.record',
};
const { 'north-bank': NORTH, 'south-bank': SOUTH, audit: AUDIT } = BRANCH;

let count = 0;
const newId = (): string => `three-phases-${++count}`;
const workflowOf = (id: string, branch: string) => client.workflow.getHandle(`${id}#${branch}`);

async function preCommitted(id: string): Promise<Service[]> {
  const found = await Promise.all(
    SERVICES.map(async (service) => {
      const { rows } = await bank.pools[service].query(
        'select 1 from txn.preparation where transaction_id = $1 and pre_committed_at is not null',
        [id],
      );
      return rows.length > 0 ? [service] : [];
    }),
  );
  return found.flat();
}

async function preparedOf(id: string): Promise<string[]> {
  const found = await Promise.all(
    SERVICES.map(async (service) => {
      const { rows } = await bank.pools[service].query<{ gid: string }>(
        `select gid from txn.preparation join pg_prepared_xacts using (gid) where transaction_id = $1`,
        [id],
      );
      return rows.map(({ gid }) => gid);
    }),
  );
  return found.flat();
}

async function expectSound(id: string, outcome: 'commit' | 'abort'): Promise<void> {
  expect(await bank.decisions(id)).toEqual([{ service: 'north-bank', outcome }]);
  const applied = (await bank.branches(id)).filter(({ state }) => state === 'applied').map(({ branch }) => branch);
  expect(applied).toEqual(outcome === 'commit' ? [NORTH, SOUTH, AUDIT] : []);
  expect(await preparedOf(id)).toEqual([]);
  expect(await bank.money()).toBe(money);
}

/** The three participants, voted and asked by nobody: the test is their coordinator. */
async function orphaned(uncertainMs: number, preCommittedMs = uncertainMs): Promise<string> {
  const id = newId();
  const { from, to, amount, currency } = transferOf(10);
  const sides = { 'north-bank': from, 'south-bank': to };
  const inputs: Readonly<Record<Service, object>> = {
    'north-bank': { account: sides['north-bank'].account, amount, currency },
    'south-bank': { account: sides['south-bank'].account, amount, currency },
    audit: { kind: 'transfer', from: 'north-bank/alice', to: 'south-bank/bob', amount, currency },
  };
  for (const participant of SERVICES)
    await client.workflow.start('participateInThreePhaseCommit', {
      workflowId: `${id}#${BRANCH[participant]}`,
      taskQueue: participant,
      args: [
        {
          transaction: id,
          branch: BRANCH[participant],
          participant,
          operation: BRANCH[participant].split('.')[1],
          input: inputs[participant],
          token: 'token',
          coordinator: id,
          register: 'north-bank',
          peers: SERVICES.filter((other) => other !== participant).map((other) => `${id}#${BRANCH[other]}`),
          secret: 'secret',
          mode: 'register',
          // All are there, and nobody may be taken for gone that is merely slow to answer.
          patience: { preCommitMs: 1_000, uncertainMs, preCommittedMs, peersMs: 30_000 },
          prepareMs: 30_000,
          attemptTimeoutMs: 10_000,
          retry: { initialInterval: 100 },
        },
      ],
    });
  await until(`${id} is prepared`, async () => (await preparedOf(id)).length === 3);
  return id;
}

async function preCommit(id: string, ...services: readonly Service[]): Promise<void> {
  for (const service of services) await workflowOf(id, BRANCH[service]).signal('preCommit', { token: 'token' });
  await until(`${id} is pre-committed`, async () => (await preCommitted(id)).length === services.length);
}

describe('a transfer in three phases', () => {
  it('commits in all three databases, with the decision at the first', async () => {
    const id = newId();
    const receipt = await transactions.execute('transferMoneyInThreePhases', { id, input: transferOf(100) });
    expect(receipt).toEqual({ auditEntry: expect.any(String), balanceAfter: expect.any(Number) });
    expect(await bank.entries(id)).toEqual(['north-bank debit -100', 'south-bank credit 100']);
    await expectSound(id, 'commit');
    // The purge must ask about the coordinator: the participants' workflows have ended by now, and it may not have.
    for (const service of SERVICES) {
      const { rows } = await bank.pools[service].query<{ caller: string }>(
        'select workflow_id as caller from txn.branch where transaction_id = $1',
        [id],
      );
      expect(rows).toEqual([{ caller: id }]);
    }
  });

  it('that a bank refuses leaves nothing', async () => {
    const id = newId();
    const input = transferOf(100, { to: { bank: 'south-bank', account: 'nobody' } });
    const error: unknown = await transactions
      .execute('transferMoneyInThreePhases', { id, input })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TransactionAborted);
    expect(error).toMatchObject({ report: { cause: { branch: SOUTH, reason: { code: 'unknown-account' } } } });
    await expectSound(id, 'abort');
  });
});

describe('participants whose coordinator is gone', () => {
  // Who is told must be told before any of them loses patience, which is waited for.
  it.each<[string, readonly Service[], 'commit' | 'abort', readonly [uncertainMs: number, preCommittedMs: number]]>([
    ['before it told them that all can commit abort', [], 'abort', [5_000, 5_000]],
    ['after it told one of them commit', ['south-bank'], 'commit', [10_000, 10_000]],
    ['after it told all of them commit', SERVICES, 'commit', [60_000, 5_000]],
  ])('%s, without it', async (_, told, expected, patience) => {
    const id = await orphaned(...patience);
    await preCommit(id, ...told);
    for (const service of SERVICES)
      expect(await workflowOf(id, BRANCH[service]).result()).toMatchObject({
        outcome: expected,
        ack: { kind: 'applied' },
      });
    await expectSound(id, expected);
  });
});

describe('the recovery of participants whose workflows are gone too', () => {
  it.each<[string, readonly Service[], 'commit' | 'abort']>([
    ['proposes commit for a branch that is pre-committed', SERVICES, 'commit'],
    ['proposes abort for branches that are not', [], 'abort'],
  ])('%s, and finishes', async (_, told, expected) => {
    const id = await orphaned(600_000);
    await preCommit(id, ...told);
    for (const service of SERVICES) await workflowOf(id, BRANCH[service]).terminate('by a test');
    for (const participant of SERVICES) await startRecovery(client, { participant, graceMs: 500, everyMs: 200 });
    await until(`${id} is recovered`, async () => (await preparedOf(id)).length === 0);
    for (const participant of SERVICES) await client.workflow.getHandle(`recovery:${participant}`).terminate();
    await expectSound(id, expected);
  });
});

describe('the pre-commit of a branch', () => {
  let activities: Activities | undefined;
  const ask = async (id: string, question: string, other: object = {}): Promise<unknown> => {
    const activity = (activities ??= bank.activities()['south-bank'])[`credit.${question}`] as unknown as (
      request: object,
    ) => Promise<unknown>;
    const input = { account: 'bob', amount: 1, currency: 'EUR' };
    const request = {
      transaction: id,
      branch: SOUTH,
      input,
      register: 'north-bank',
      token: 'x',
      votes: 'answer',
      ...other,
    };
    return new MockActivityEnvironment({ taskQueue: 'south-bank', startToCloseTimeoutMs: 10_000 }).run(
      activity,
      request,
    );
  };
  const gidOf = async (id: string): Promise<string> => (await preparedOf(id))[0] ?? '';

  it('that is prepared is written down once, and stays as it was when asked again', async () => {
    const id = newId();
    await ask(id, 'prepare');
    expect(await ask(id, 'preCommit')).toBe('done');
    const first = await bank.pools['south-bank'].query(
      'select pre_committed_at from txn.preparation where transaction_id = $1',
      [id],
    );
    expect(await ask(id, 'preCommit')).toBe('done');
    const second = await bank.pools['south-bank'].query(
      'select pre_committed_at from txn.preparation where transaction_id = $1',
      [id],
    );
    expect(second.rows).toEqual(first.rows);
    expect(await preCommitted(id)).toEqual(['south-bank']);
    expect(await ask(id, 'commit')).toMatchObject({ kind: 'applied' });
    expect(await ask(id, 'preCommit')).toBe('commit');
    await bank.pools['south-bank'].query('update account set balance = balance - 1 where id = $1', ['bob']);
    await bank.pools['south-bank'].query('delete from entry where transaction_id = $1', [id]);
  });

  it('that is not prepared yet is to be asked again, and nothing is written', async () => {
    const id = newId();
    await expect(ask(id, 'preCommit')).rejects.toMatchObject({ nonRetryable: false });
    expect(await preCommitted(id)).toEqual([]);
  });

  it('that was aborted says so', async () => {
    const id = newId();
    await ask(id, 'prepare');
    await ask(id, 'abort');
    expect(await ask(id, 'preCommit')).toBe('abort');
  });

  it('that somebody rolled back by hand is never said to be done', async () => {
    const id = newId();
    await ask(id, 'prepare');
    await bank.pools['south-bank'].query(`rollback prepared '${await gidOf(id)}'`);
    expect(await ask(id, 'preCommit').catch(() => 'to be asked again')).not.toBe('done');
    expect(await preCommitted(id)).toEqual([]);
  });

  it('under another gid finds nothing prepared', async () => {
    const id = newId();
    await ask(id, 'prepare');
    expect(await ask(id, 'preCommit', { register: 'audit' }).catch(() => 'to be asked again')).toBe(
      'to be asked again',
    );
    expect(await preCommitted(id)).toEqual([]);
    await ask(id, 'abort');
  });
});
