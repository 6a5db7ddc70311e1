/** `show`, `timeline` and rulings of transactions that travel in a group, on real servers: while it runs, terminated, reset, and without a worker. */
import { exec } from 'node:child_process';
import { promisify } from 'node:util';
import { connectTemporal } from 'temporal-txn/client';
import { findBinary } from 'temporal-txn/testing';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestOf } from '../../src/client/request';
import { GROUP_WORKFLOW, groupId, idInDatabases } from '../../src/protocol';
import type { GroupAnswer } from '../../src/protocol';
import type { Transfer } from '../../workflows/bank-transfer';
import {
  branchesOf,
  endOf,
  expectAllOrNothing,
  expectTransferOnce,
  newId,
  transferOf,
  until,
  useShop,
} from '../end-to-end/fixture';
import { isTurnOf } from '../depth';
import { NOWHERE } from './fixture';
import { runInProcess } from './in-process';
import type { Printed } from './fixture';

const shop = useShop({ open: ['north-bank', 'south-bank', 'audit'] });
const WHO = ['--by', 'ann', '--reason', 'mended'];

let client: Client;
beforeAll(async () => {
  const { address, namespace } = shop().stack.temporal;
  client = await connectTemporal({ address, namespace });
});
afterAll(() => client?.connection.close());

const txn = (args: readonly string[], environment: Record<string, string> = {}): Promise<Printed> =>
  runInProcess(args, {
    TEMPORAL_ADDRESS: shop().stack.temporal.address,
    TXN_CONFIG: shop().configFile,
    ...environment,
  });

/** Starts a group of transfers under ids of their own. */
async function begin(transfers: Readonly<Record<string, Transfer>>, type = 'transferMoney'): Promise<string> {
  const group = groupId(type, newId('group'));
  const items = Object.entries(transfers).map(([id, input]) => ({ id, input, request: requestOf(id, input).hash }));
  await client.workflow.start(GROUP_WORKFLOW, {
    workflowId: group,
    taskQueue: 'transactions',
    args: [{ type, items }],
  });
  return group;
}

/** The debit and the credit are done, and nobody writes the record: the audit is closed. */
const untilHalfDone = (id: string): Promise<void> =>
  until(`${id} is half done`, async () => (await branchesOf(shop(), id)).length === 2);

/** Types the command that was printed. */
async function typeReset({ stdout }: Printed): Promise<void> {
  const [command = ''] = /temporal workflow reset .*/.exec(stdout) ?? [];
  const temporal = await findBinary('temporal');
  await promisify(exec)(command.replace(/^temporal/, JSON.stringify(temporal)), {
    env: { ...process.env, TEMPORAL_ADDRESS: shop().stack.temporal.address },
  });
}

const untilWorkflow = (id: string): Promise<void> =>
  until(`${id} is a workflow`, () =>
    runIdOf(id).then(
      () => true,
      () => false,
    ),
  );

const runIdOf = async (id: string): Promise<string> => (await client.workflow.getHandle(id).describe()).runId;

describe('a group that was terminated while its transactions were half done', () => {
  const half = [newId('half'), newId('half'), newId('half')];
  const [member = ''] = half;
  const left = newId('left');
  const input = transferOf(10);
  let group: string;
  let page: Printed;
  beforeAll(async () => {
    await shop().workers.audit.stop();
    group = await begin({ ...Object.fromEntries(half.map((id) => [id, input])), [left]: transferOf(10, 'nobody') });
    await Promise.all(half.map(untilHalfDone));
    expect(await endOf(shop(), left)).toBe('compensated');
    await shop().terminate(group);
    page = await txn(['show', group]);
  });

  it('is told with how many stand how, what to type, and those that need it', () => {
    expect(page.exitCode).toBe(4);
    expect(page.stdout).toMatch(
      /^Somebody has to act: the group was terminated\. Its 4 transactions: 3 interrupted half done, 1 gone on under its own id\. /,
    );
    for (const id of half) expect(page.stdout).toContain(`Of ${id}:`);
    expect(page.stdout).not.toContain(`Of ${left}:`);
    expect(page.stdout).toContain(
      `temporal workflow reset --workflow-id ${group} --type LastWorkflowTask --reason '<why>'`,
    );
  });

  it('is named where one of its transactions is asked for', async () => {
    const shown = await txn(['show', member]);
    expect(shown).toMatchObject({
      exitCode: 4,
      stdout: expect.stringMatching(
        /^Somebody has to act: its workflow was terminated, and what [23] steps? did stands/,
      ),
    });
    expect(shown.stdout).toContain(`temporal workflow reset --workflow-id ${group} `);
    const timeline = await txn(['timeline', member]);
    expect(timeline).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`temporal-txn timeline ${group}`) });
  });

  it.each(['retry', 'skip', 'compensate'])('cannot be ruled on, nor what was in it: %s', async (ruling) => {
    for (const id of [group, member]) {
      const { exitCode, stderr } = await txn([ruling, id, ...WHO, '--apply']);
      expect(exitCode).toBe(4);
      expect(stderr).toContain(`temporal workflow reset --workflow-id ${group} `);
      expect(stderr).not.toContain('resume(');
    }
  });

  it('is told as one that may be a group where no database is configured', async () => {
    const environment = { TXN_CONFIG: '' };
    for (const args of [
      ['retry', member, ...WHO],
      ['timeline', member],
    ])
      expect(await txn(args, environment)).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('It may travel in a group, or have ended in one'),
      });
  });

  it('does not lose a transaction when the command is typed that was printed: each goes on under its id', async () => {
    const before = await runIdOf(left);
    await typeReset(page);
    await shop().workers.audit.start();
    for (const id of half) {
      await untilWorkflow(id);
      expect(await endOf(shop(), id)).toBe('committed');
      await expectTransferOnce(shop(), id, input, 'committed');
    }
    // What had left before is let alone.
    expect(await runIdOf(left)).toBe(before);
    await until(
      'the group has ended',
      async () => (await client.workflow.getHandle(group).describe()).status.name === 'COMPLETED',
    );
    const after = await txn(['show', group]);
    expect(after).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(
        /^Nothing needs a person: the group has ended well\. Its 4 transactions: 4 gone on under their own ids\. /,
      ),
    });
  });
});

describe('a group of two-phase commits that was terminated while they were half prepared', () => {
  const isDue = isTurnOf('faults of two-phase commit', 'in groups');

  it.skipIf(!isDue)('hands them over when it is reset, and each comes to one decision', async () => {
    await shop().workers.audit.stop();
    const ids = [newId('atomic'), newId('atomic')];
    // Of accounts of their own: those that wait for each other's locks try it again, under other ids.
    const inputs = [
      transferOf(10),
      { ...transferOf(10, 'dave'), from: { bank: 'north-bank', account: 'carol' } } as const,
    ];
    const group = await begin(
      Object.fromEntries(ids.map((id, i) => [id, inputs[i] ?? transferOf(10)])),
      'transferMoneyAtomically',
    );
    const prepared = async (): Promise<number> => {
      const { rows } = await shop().databases['north-bank'].query(
        'select from txn.preparation where transaction_id = any($1)',
        [ids],
      );
      return rows.length;
    };
    await until('one of them is prepared', async () => (await prepared()) > 0);
    await shop().terminate(group);
    const page = await txn(['show', group]);
    expect(page.exitCode).toBe(0);
    expect(page.stdout).toMatch(
      /^Your money is safe: the group was terminated, and nothing is half done\. Its 2 transactions: 2 interrupted\. /,
    );
    await typeReset(page);
    await shop().workers.audit.start();
    for (const id of ids) {
      await untilWorkflow(id);
      await until(`${id} ends`, async () => (await shop().transactions.handle(id).status()) !== 'RUNNING');
      const [report] = await shop().transactions.handle(id).reports();
      // The banks recover meanwhile, and may have given it up.
      if (report === undefined) throw new Error(`${id} reports nothing.`);
      await expectAllOrNothing(
        shop(),
        idInDatabases(report),
        report.outcome === 'committed' ? 'committed' : 'compensated',
      );
    }
  });
});

describe('a group without a worker', () => {
  it('is named where one of its transactions is asked for, with what to start', async () => {
    await shop().workers.audit.stop();
    const id = newId('lonely');
    const group = await begin({ [id]: transferOf(10) });
    await untilHalfDone(id);
    expect(await txn(['retry', id, ...WHO])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(`It travels in group ${JSON.stringify(group)}`),
    });
    expect(await txn(['retry', group, ...WHO])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('What travels in a group waits for no ruling'),
    });
    await shop().workers.transactions.stop();
    const running = await txn(['show', id]);
    expect(running.exitCode).toBe(3);
    expect(running.stdout).toMatch(
      /^It cannot be told whether somebody is needed: its group runs, and no worker of task queue transactions answers\. /,
    );
    expect(running.stdout).toContain(`runGroup, RUNNING, in ${group}`);
    expect(running.stdout).toContain('  Start a worker of task queue transactions.');
    await shop().terminate(group);
    const terminated = await txn(['show', id]);
    expect(terminated.exitCode).toBe(3);
    expect(terminated.stdout).toContain(`runGroup, TERMINATED, in ${group}`);
    expect(terminated.stdout).toContain('  Start a worker of task queue transactions.');
    expect(terminated.stdout).toContain(`temporal workflow reset --workflow-id ${group} `);
    await shop().workers.transactions.start();
    await shop().workers.audit.start();
  });
});

/** On a busy machine the one that is to stay may leave it too. */
async function untilOneStays(): Promise<[group: string, stays: string, leaves: string]> {
  for (let tries = 1; ; tries++) {
    const [stays, leaves] = [newId('stays'), newId('leaves')];
    const group = await begin({ [stays]: transferOf(10), [leaves]: transferOf(10, 'nobody') });
    const { outcomes } = await client.workflow.getHandle<() => Promise<GroupAnswer>>(group).result();
    if (outcomes[0]?.kind === 'ended') return [group, stays, leaves];
    expect(tries, 'groups that nobody stayed in').toBeLessThan(5);
  }
}

describe('what travelled in a group that has ended', () => {
  it('is no alarm where one has left it, with and without Temporal', async () => {
    const [group, stays, leaves] = await untilOneStays();
    expect(await endOf(shop(), leaves)).toBe('compensated');
    const page = await txn(['show', group, '--pause', '0']);
    expect(page.stdout).toMatch(
      /^Nothing needs a person: the group has ended well\. Its 2 transactions: 1 committed, 1 gone on under its own id\. /,
    );
    expect(page.exitCode).toBe(0);
    expect(await txn(['timeline', stays])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(`It has ended in group ${JSON.stringify(group)}`),
    });
    expect(await txn(['show', stays], { TEMPORAL_ADDRESS: NOWHERE })).toMatchObject({ exitCode: 3 });
    // As it is after Temporal's retention.
    for (const service of ['north-bank', 'south-bank', 'audit'] as const)
      await shop().databases[service].query(
        "update txn.branch set workflow_id = 'group:transferMoney:forgotten' where transaction_id = $1",
        [stays],
      );
    const forgotten = await txn(['show', stays]);
    expect(forgotten.exitCode).toBe(3);
    expect(forgotten.stdout).toContain('begun in group:transferMoney:forgotten');
    expect(forgotten.stdout).toContain('  Execute it again with the same id and input: ');
    expect(await txn(['retry', stays, ...WHO])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('which Temporal has forgotten'),
    });
  });
});
