/** `temporal-txn list`: what Temporal's visibility has of transactions, by how they stand. */
import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import type { SearchAttributePair } from '@temporalio/common';
import { TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { searchAttributeList } from '../../src/observability';
import { NOWHERE } from './fixture';
import { runInProcess } from './in-process';

const KEYS = {
  status: defineSearchAttributeKey('TxnStatus', SearchAttributeType.KEYWORD),
  protocol: defineSearchAttributeKey('TxnProtocol', SearchAttributeType.KEYWORD),
  failedStep: defineSearchAttributeKey('TxnFailedStep', SearchAttributeType.KEYWORD),
  needsAttention: defineSearchAttributeKey('TxnNeedsAttention', SearchAttributeType.BOOL),
  participants: defineSearchAttributeKey('TxnParticipants', SearchAttributeType.KEYWORD_LIST),
};

const RECOVERIES = "WorkflowType = 'recoverParticipant'";

interface Listed {
  readonly page: number;
  readonly more: boolean;
  readonly transactions: readonly {
    readonly kind: string;
    readonly id: string;
    readonly status: string;
    readonly needsAttention: boolean;
  }[];
}

describe('temporal-txn list', () => {
  let temporal: TemporalDevServer;
  let client: Client;
  const run = randomUUID();
  const [plain, held, terminated, recovery] = ['plain', 'held', 'terminated', 'recovery'].map((one) => `${one}-${run}`);
  const group = `group:transfer:${run}`;
  beforeAll(async () => {
    temporal = await TemporalDevServer.start({ uiPort: false, searchAttributes: searchAttributeList() });
    client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
    const start = (workflowId = '', type = 'transfer', typedSearchAttributes: SearchAttributePair[] = []) =>
      client.workflow.start(type, { workflowId, taskQueue: 'nobody', typedSearchAttributes });
    const attributes: SearchAttributePair[] = [
      { key: KEYS.status, value: 'held' },
      { key: KEYS.protocol, value: 'saga' },
      { key: KEYS.failedStep, value: 'south-bank.credit' },
      { key: KEYS.needsAttention, value: true },
      { key: KEYS.participants, value: ['north-bank', 'south-bank'] },
    ];
    await start(plain);
    await start(held, 'transfer', attributes);
    await (await start(terminated, 'transfer', attributes)).terminate();
    await start(recovery, 'recoverParticipant');
    await start(group, 'runGroup');
    // Visibility lags behind, and each record of it by itself: that one has ended comes later than that it is there.
    const isComplete = async () => {
      expect((await listed()).transactions).toHaveLength(4);
      expect((await listed('--status', 'interrupted')).transactions).toHaveLength(1);
      expect((await listed('--query', RECOVERIES)).transactions).toHaveLength(1);
    };
    await vi.waitFor(isComplete, { timeout: 60_000, interval: 500 });
  });
  afterAll(async () => {
    await client?.connection.close();
    await temporal?.stop();
  });
  const list = (...args: string[]) => runInProcess(['list', ...args], { TEMPORAL_ADDRESS: temporal.address });
  const listed = async (...args: string[]): Promise<Listed> =>
    JSON.parse((await list(...args, '-o', 'json')).stdout) as Listed; // Cast: what the command prints.
  const ids = ({ transactions }: Listed) => transactions.map(({ id }) => id).sort();

  it('says how each stands, which wait for a person, and nothing of what workers run for themselves', async () => {
    const { stdout, exitCode } = await list();
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(
      /^3 transactions and 1 group in which others travel, 1 of them \(!\) waiting for a person\.\n/,
    );
    expect(stdout).toMatch(new RegExp(`${held} +transfer +saga +held \\(!\\) +south-bank.credit `));
    expect(stdout).toMatch(new RegExp(`${plain} +transfer +- +running +- `));
    // It was ended under its person: nobody can rule on it any more.
    expect(stdout).toMatch(new RegExp(`${terminated} +transfer +saga +held, terminated +south-bank.credit `));
    expect(stdout).toMatch(new RegExp(`${group} +runGroup +\\(group\\) +running +- `));
    expect(stdout).not.toContain(recovery);
  });

  it.each([
    ['--needs-attention', [held, terminated]],
    ['--status interrupted', [terminated]],
    ['--status running', [plain, held, group]],
    ['--protocol saga --participant south-bank', [held, terminated]],
    ['--participant nobody', []],
    ['--since 1h --status held', [held, terminated]],
    ['--since 2000-01-01 --status committed', []],
  ])('narrows it: %s', async (args, expected) => {
    expect(ids(await listed(...args.split(' ')))).toEqual([...expected].sort());
  });

  it('says to programs too which of them are groups', async () => {
    const { transactions } = await listed();
    expect(transactions.filter(({ kind }) => kind === 'group').map(({ id }) => id)).toEqual([group]);
  });

  it("takes a filter of Temporal's own, which finds everything", async () => {
    expect(ids(await listed('--query', RECOVERIES))).toEqual([recovery]);
    const refused = await list('--query', 'NoSuchAttribute = 1');
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain('Temporal does not answer the query');
    expect(refused.stderr).toContain('run temporal-txn setup');
  });

  it('goes page by page, and leaves none out', async () => {
    const pages = await Promise.all(['1', '2', '3', '4'].map((page) => listed('--limit', '1', '--page', page)));
    expect(pages.map(({ more }) => more)).toEqual([true, true, true, false]);
    expect(pages.flatMap(ids).sort()).toEqual([plain, held, terminated, group].sort());
    expect((await list('--limit', '1', '--page', '5')).stdout).toBe('There is none on page 5.\n');
  });

  it('says so when Temporal does not answer', async () => {
    const { stderr, exitCode } = await runInProcess(['list'], { TEMPORAL_ADDRESS: NOWHERE });
    expect(exitCode).toBe(2);
    expect(stderr).toContain(NOWHERE);
  });

  it('refuses what makes no sense', async () => {
    const bad = [
      ['--since', 'yesterday'],
      ['--limit', '0'],
      ['--status', 'well'],
      ['--participant', 'a b'],
    ];
    const printed = await Promise.all(
      bad.map((args) => runInProcess(['list', ...args], { TEMPORAL_ADDRESS: temporal.address })),
    );
    for (const { stderr, exitCode } of printed) {
      expect(stderr).toMatch(/^Nothing was changed/);
      expect(exitCode).toBe(2);
    }
  });
});
