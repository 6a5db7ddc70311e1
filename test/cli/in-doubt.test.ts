import { Client, Connection } from '@temporalio/client';
import { TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newTransaction, NOWHERE, useBanks } from './fixture';

describe('temporal-txn in-doubt', () => {
  const { bank, prepare, decide, gid, txn } = useBanks();
  let temporal: TemporalDevServer;
  let client: Client;
  beforeAll(async () => {
    temporal = await TemporalDevServer.start({ uiPort: false });
    client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  });
  afterAll(async () => {
    await client?.connection.close();
    await temporal?.stop();
  });
  const inDoubt = (args: readonly string[] = [], environment: Record<string, string> = {}) =>
    txn(['in-doubt', '--grace', '0', ...args], { TEMPORAL_ADDRESS: temporal.address, ...environment });

  it('says so when nothing is in doubt', async () => {
    const { stdout, exitCode } = await inDoubt();
    expect(stdout).toMatch(
      /^Nothing needs a person\. Nothing was changed\.\nLooked at 2 databases: north-bank, south-bank\./,
    );
    expect(exitCode).toBe(0);
  });

  it('leaves a young branch to its coordinator', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    const quiet = await inDoubt(['--grace', '60']);
    expect(quiet).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining(transaction) });
    const all = await inDoubt(['--grace', '60', '--all']);
    expect(all).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(transaction) });
    expect(all.stdout).toMatch(/^Nothing needs a person\. Nothing was changed\.\n/);
    expect(all.stdout).toContain('leave it alone. It is young');
  });

  it('tells what is undecided and has no coordinator, and what to type', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'south-bank', transaction });
    const { stdout, exitCode } = await inDoubt();
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(/^1 branch needs a person\. Nothing was changed\./);
    expect(stdout).toContain(gid({ at: 'south-bank', transaction }));
    expect(stdout).toContain('nothing decided (at north-bank)');
    expect(stdout).toContain('not known to Temporal');
    expect(stdout).toContain('propose abort to the register and do what it says');
    expect(stdout).toContain(`temporal-txn resolve ${transaction} --by <you> --reason <why> --apply`);
  });

  it('tells what is decided and not finished, and what is missing', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    await prepare({ at: 'south-bank', transaction });
    await decide(transaction, 'commit');
    const decided = await inDoubt();
    expect(decided.stdout).toContain('do as decided: commit. The register says commit.');
    // By hand, and not by us: nothing of it is left.
    await bank('south-bank').admin.query(`rollback prepared '${gid({ at: 'south-bank', transaction })}'`);
    const missing = await inDoubt();
    expect(missing.exitCode).toBe(4);
    expect(missing.stdout).toContain('it was finished by hand or is LOST');
  });

  it('asks Temporal whether the coordinator runs', async () => {
    const transaction = newTransaction();
    await client.workflow.start('transfer', { workflowId: transaction, taskQueue: 'nobody' });
    await prepare({ at: 'north-bank', transaction });
    const running = await inDoubt();
    expect(running).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Its coordinator is running.') });
    expect(running.stdout).toMatch(
      /^No person is needed yet: 1 branch is in doubt, and its coordinator is running\. Nothing was changed\.\n/,
    );
    await prepare({ at: 'south-bank', transaction });
    const both = await inDoubt();
    expect(both.exitCode).toBe(0);
    expect(both.stdout).toMatch(
      /^No person is needed yet: 2 branches are in doubt, and their coordinators are running\./,
    );
    await client.workflow.getHandle(transaction).terminate();
    const ended = await inDoubt();
    expect(ended).toMatchObject({ exitCode: 4, stdout: expect.stringContaining('ended: TERMINATED') });
  });

  it('is not deceived by another Temporal that has a namespace of the same name (O6)', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    const { namespaceInfo } = await client.workflowService.describeNamespace({ namespace: 'default' });
    const askedIn = (id: unknown) => bank('north-bank').rows('update txn.preparation set namespace_id = $1', [id]);
    await askedIn(namespaceInfo?.id);
    expect(await inDoubt()).toMatchObject({ exitCode: 4, stdout: expect.stringContaining('not known to Temporal') });
    await askedIn('another');
    const { stdout } = await inDoubt();
    expect(stdout).toContain('unknown: this is another Temporal, with a namespace of the same name');
    expect(stdout).toContain('It is not known whether its coordinator is running.');
  });

  it('works with Temporal down, and says so', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    const { stdout, exitCode } = await inDoubt([], { TEMPORAL_ADDRESS: NOWHERE });
    expect(exitCode).toBe(4);
    expect(stdout).toContain(`Temporal could not be asked: no Temporal server answers at ${NOWHERE}`);
    expect(stdout).toContain('It is not known whether its coordinator is running.');
  });

  it('knows an orphan by its gid alone', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    await bank('north-bank').rows('delete from txn.preparation');
    const { stdout, exitCode } = await inDoubt();
    expect(exitCode).toBe(4);
    expect(stdout).toContain('not recorded (orphan)');
    expect(stdout).toContain(`temporal-txn resolve ${gid({ at: 'north-bank', transaction })} --by`);
  });

  it('names what it may not finish and what is not ours', async () => {
    const transaction = newTransaction();
    const { admin } = bank('north-bank');
    const prepareAsAdmin = (name: string) =>
      admin.query(`begin; insert into entry values (1); prepare transaction '${name}'`);
    await prepareAsAdmin(gid({ at: 'north-bank', transaction }));
    await prepareAsAdmin(gid({ at: 'north-bank', transaction }, 'elsewhere'));
    await prepareAsAdmin(gid({ at: 'south-bank', transaction }));
    await prepareAsAdmin('payroll\u001b[31m\u202e');
    const { stdout, exitCode } = await inDoubt();
    expect(exitCode).toBe(4);
    expect(stdout).toContain('a person has to look. Its prepared transaction belongs to a database role');
    expect(stdout).toContain('of another Temporal namespace');
    expect(stdout).toContain('of participant south-bank, in the database of north-bank');
    expect(stdout).toContain('payroll\\u001b[31m\\u202e');
    expect(stdout).not.toContain('\u001b');
  });

  it('shows hostile text escaped, and never as something to type', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    await bank('north-bank').rows('update txn.preparation set transaction_id = $1', ['x; rm -rf /\n\u001b[2J']);
    const { stdout } = await inDoubt();
    expect(stdout).toContain('x; rm -rf /\\u000a\\u001b[2J');
    expect(stdout).toContain(`temporal-txn resolve ${gid({ at: 'north-bank', transaction })} --by`);
  });

  it('names a database that does not answer', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'south-bank', transaction });
    const gone = 'postgres://app:s3cret-word@127.0.0.1:1/north_bank';
    const { stdout, exitCode } = await inDoubt(['--json'], { TXN_DATABASE_NORTH_BANK: gone });
    expect(exitCode).toBe(4);
    expect(stdout).not.toContain('s3cret-word');
    const answer = JSON.parse(stdout) as { notLookedAt: object[]; branches: object[] };
    expect(answer.notLookedAt).toEqual([{ participant: 'north-bank', why: expect.stringContaining('ECONNREFUSED') }]);
    expect(answer.branches).toEqual([
      expect.objectContaining({ transaction, register: expect.objectContaining({ says: 'unreadable' }) }),
    ]);
    const none = await inDoubt([], { TXN_DATABASE_NORTH_BANK: gone, TXN_DATABASE_SOUTH_BANK: gone });
    expect(none).toMatchObject({ exitCode: 2, stdout: expect.stringMatching(/^Nothing could be looked at\./) });
  });
});
