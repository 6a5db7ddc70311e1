/** `show`, `explain`, `timeline`, `retry`, `skip` and `compensate`, on real servers, for a transaction in each state that it can be in. */
import { connectTemporal, TransactionClient } from 'temporal-txn/client';
import type { TransactionHandle } from 'temporal-txn/client';
import { keyOf } from 'temporal-txn/participant';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId, transferOf, until, untilReport, useShop } from '../end-to-end/fixture';
import { NOWHERE, runCommand } from './fixture';
import { runInProcess } from './in-process';
import type { Printed } from './fixture';

const shop = useShop({ open: ['north-bank', 'south-bank', 'audit'] });
const WHO = ['--by', 'ann', '--reason', 'Dave \u001b[2J has paid\n it in again'];
const ATOMICALLY = 'transferMoneyAtomically';

const txn = (args: readonly string[], environment: Record<string, string> = {}): Promise<Printed> =>
  runInProcess(args, {
    TEMPORAL_ADDRESS: shop().stack.temporal.address,
    TXN_CONFIG: shop().configFile,
    ...environment,
  });
const lines = ({ stdout }: Printed): string[] => stdout.split('\n');
/** The row of a branch on the page, cell by cell. */
const row = (printed: Printed, branch: string): string[] =>
  lines(printed)
    .find((line) => line.trim().startsWith(branch))
    ?.trim()
    .split(/ {2,}/) ?? [];

/** Nobody's terminal takes orders from what was written by others. */
const expectPlain = ({ stdout, stderr }: Printed): void => expect(stdout + stderr).not.toMatch(/[^\n\x20-\x7e]/);

const balanceOf = async (account: string): Promise<number> => {
  const { rows } = await shop().databases['south-bank'].query<{ balance: string }>(
    'select balance from account where id = $1',
    [account],
  );
  return Number(rows[0]?.balance);
};
const setBalance = (account: string, balance: number) =>
  shop().databases['south-bank'].query('update account set balance = $2 where id = $1', [account, balance]);

/** Starts a transfer to Dave that waits for the audit, which is closed. */
async function transferToDave(id: string): Promise<TransactionHandle> {
  const handle = await shop().transactions.start('transferMoney', { id, input: transferOf(10, 'dave') });
  await untilReport(handle, 'Dave has the money', ({ steps }) => steps[1]?.fate.kind === 'done');
  return handle;
}

/** Called off when Dave has spent what he was credited, their compensations are held. */
const [retried, skipped, terminated] = [newId('retried'), newId('skipped'), newId('terminated')];
let mend: () => Promise<unknown>;
beforeAll(async () => {
  await shop().workers.audit.stop();
  const [one, other] = await Promise.all([retried, skipped, terminated].map(transferToDave));
  const before = await balanceOf('dave');
  mend = () => setBalance('dave', before);
  await setBalance('dave', 0);
  await Promise.all([one?.cancel(), other?.cancel()]);
});

// While the audit is closed.
describe('a saga that was terminated', () => {
  it('needs a person, and a ruling on it points to resume', async () => {
    const id = terminated;
    const running = await txn(['show', id]);
    expect(running).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Nothing needs a person: it is under way, and 2 of 3 steps/),
    });
    expect(await txn(['skip', id, ...WHO, '--apply'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('It is running: it waits for audit.record, which needs nobody.'),
    });
    await shop().terminate(id);
    const page = await txn(['show', id]);
    expect(page.exitCode).toBe(4);
    expect(page.stdout).toMatch(
      /^Somebody has to act: its workflow was terminated, and what [23] steps did stands: north-bank\.debit, south-bank\.credit/,
    );
    expect(page.stdout).toContain(`resume('transferMoney', { id: '${id}', input })`);
    const refused = await txn(['retry', id, ...WHO, '--apply', '-o', 'json']);
    expect(refused.exitCode).toBe(4);
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: 'RulingOnInterrupted',
      message: expect.stringContaining('Resume it with the same input'),
    });
  });
});

describe('a two-phase commit whose coordinator was terminated', () => {
  it('is left to recovery while it is young, and to resolve when it is not', async () => {
    const id = newId('in-doubt');
    await shop().transactions.start(ATOMICALLY, { id, input: transferOf(1) });
    const prepared = async (): Promise<number> =>
      (await shop().databases['north-bank'].query("select from pg_prepared_xacts where gid like 'txn1%'")).rows.length +
      (await shop().databases['south-bank'].query("select from pg_prepared_xacts where gid like 'txn1%'")).rows.length;
    await until('both banks have prepared', async () => (await prepared()) === 2);
    const running = await txn(['show', id]);
    expect(running).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Nothing needs a person: it is preparing\./),
    });
    expect(row(running, 'south-bank.credit').at(-1)).toMatch(/^prepared \d+ s ago \(txn1_/);
    expect(await txn(['retry', id, ...WHO])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('it waits for the vote of audit.record'),
    });
    // Their recovery would settle it while we look.
    const banks = [shop().workers['north-bank'], shop().workers['south-bank']];
    await Promise.all(banks.map((worker) => worker.stop()));
    await shop().terminate(id);
    const young = await txn(['explain', id]);
    expect(young).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Nothing needs a person yet: .* settled by recovery/),
    });
    const old = await txn(['show', id, '--grace', '0', '--pause', '0']);
    expect(old.exitCode).toBe(4);
    expect(old.stdout).toMatch(/^Somebody has to look: 2 branches are in doubt/);
    expect(old.stdout).toContain(`temporal-txn resolve ${id} --by <you> --reason <why> --apply`);
    const environment = { TEMPORAL_ADDRESS: shop().stack.temporal.address, TXN_CONFIG: shop().configFile };
    expect(await runCommand(['resolve', id, '--grace', '0', ...WHO, '--apply'], environment)).toMatchObject({
      exitCode: 0,
    });
    await Promise.all(banks.map((worker) => worker.start()));
    const settled = await txn(['show', id]);
    expect(settled).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Your money is safe: its workflow was terminated, but it is decided abort/),
    });
  });
});

describe('a three-phase commit whose coordinator was terminated', () => {
  it('is decided by its participants, and told so', async () => {
    const id = newId('three');
    // Accounts of its own: they are locked until its participants have come to an end.
    const at = shop().databases['south-bank'];
    await at.query("insert into account (id, owner, currency, balance) values ('ina', 'Ina', 'EUR', 0)");
    const input = { ...transferOf(1, 'ina'), from: { bank: 'north-bank', account: 'carol' } };
    await shop().transactions.start('transferMoneyInThreePhases', { id, input });
    await until('both banks have prepared', async () => {
      const counted = await Promise.all(
        (['north-bank', 'south-bank'] as const).map((bank) =>
          shop().databases[bank].query('select from txn.preparation where transaction_id = $1', [id]),
        ),
      );
      return counted.every(({ rows }) => rows.length > 0);
    });
    await shop().terminate(id);
    const told = await txn(['explain', id]);
    expect(told.exitCode).toBe(0);
    expect(told.stdout).toMatch(/Your money is safe/);
    expect(told.stdout).toContain('is a three-phase commit, run by the workflow transferMoneyInThreePhases');
    expect(told.stdout).toMatch(/The workflow ended: terminated/);
  });
});

describe('a saga that is held', () => {
  beforeAll(async () => {
    await shop().workers.audit.start();
  });
  const untilHeld = (id: string): Promise<void> =>
    untilReport(shop().transactions.handle(id), 'it is held', ({ outcome }) => outcome === 'held');

  it('is shown, explained, refused what it does not wait for, and ends as a person rules', async () => {
    const id = retried;
    await untilHeld(id);
    const [page, told, compensated, elsewhere, dry] = await Promise.all([
      txn(['show', id]),
      txn(['explain', id]),
      txn(['compensate', id, ...WHO, '--apply']),
      txn(['retry', id, '--step', 'north-bank.debit', ...WHO]),
      txn(['retry', id, ...WHO]),
    ]);
    expect(page.stdout).toMatch(
      /^Somebody has to decide: the compensation of south-bank\.credit keeps failing, .* Nothing was changed\.\n/,
    );
    expect(page.exitCode).toBe(4);
    expect(row(page, 'north-bank.debit')).toEqual(['north-bank.debit', 'north-bank', 'done', 'armed', 'applied']);
    expect(row(page, 'south-bank.credit')).toEqual([
      'south-bank.credit',
      'south-bank',
      'done',
      expect.stringMatching(/^HELD: /),
      'applied',
    ]);
    expect(page.stdout).toContain(
      `temporal-txn retry ${id} --step south-bank.credit --by <you> --reason <why> --apply`,
    );
    expect(told.exitCode).toBe(4);
    expect(told.stdout).toMatch(/^ {2}1\. .*: The workflow was started\.$/m);
    expect(told.stdout).toMatch(
      /credit\.compensate of south-bank\.credit at south-bank was asked for: (failed|refused)/,
    );
    expect(told.stdout).toContain('What happens by itself: A failure that a retry could cure goes on being retried');

    expect(compensated).toMatchObject({
      exitCode: 4,
      stdout: '',
      stderr: expect.stringMatching(
        /^Nothing was changed: .* does not wait for being compensated\. It is being compensated already, and waits for a ruling on the compensation of south-bank\.credit/,
      ),
    });
    expect(elsewhere).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('It waits for a ruling on the compensation of south-bank.credit'),
    });
    expect(dry).toMatchObject({
      exitCode: 4,
      stdout: expect.stringMatching(
        /^Nothing was changed: this is a dry run\. With --apply, the compensation of south-bank\.credit of \S+ is tried again/,
      ),
    });
    expectPlain(dry);
    expect((await shop().transactions.handle(id).reports())[0]?.outcome).toBe('held');

    await mend();
    const done = await txn(['retry', id, ...WHO, '--apply']);
    expect(done).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Changed: the workflow has taken the ruling/),
    });
    expectPlain(done);
    await until('it ends', async () => (await shop().transactions.handle(id).status()) === 'FAILED');
    const after = await txn(['show', id]);
    expect(after).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Your money is safe: everything that was done is undone\./),
    });
    expect(row(after, 'south-bank.credit')).toEqual([
      'south-bank.credit',
      'south-bank',
      'done',
      'compensated',
      'compensated',
    ]);
    const timeline = await txn(['timeline', id]);
    expectPlain(timeline);
    expect(timeline.stdout).toContain(
      'retryStep of south-bank.credit by ann: Dave \\u001b[2J has paid\\u000a it in again',
    );
    expect(await txn(['retry', id, ...WHO, '--apply'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('Its workflow has ended: compensated. It waits for nothing'),
    });
  });

  it('is mixed when a person skips its compensation, and both commands say who let it stand', async () => {
    const id = skipped;
    await untilHeld(id);
    expect(await txn(['skip', id, '--by', 'ann', '--reason', 'Dave may keep it', '--apply'])).toMatchObject({
      exitCode: 0,
    });
    await until('it ends', async () => (await shop().transactions.handle(id).status()) === 'FAILED');
    const page = await txn(['show', id]);
    expect(page.exitCode).toBe(4);
    expect(page.stdout).toMatch(
      /^Somebody has to know: some effects stay and others do not \(the effect of south-bank\.credit stays: its compensation was given up by ann: Dave may keep it\)/,
    );
    expect(await txn(['explain', id])).toMatchObject({
      exitCode: 4,
      stdout: expect.stringContaining('skipStep of south-bank.credit by ann'),
    });
  });

  it('says where database and workflow disagree, after a second look', async () => {
    const id = newId('disagrees');
    await shop().transactions.execute('transferMoney', { id, input: transferOf(1) });
    expect(await txn(['show', id])).toMatchObject({ exitCode: 0 });
    const set = (state: string) =>
      shop().databases['south-bank'].query(
        'update txn.branch set state = $2, ended_at = now() where transaction_id = $1',
        [id, state],
      );
    await set('compensated');
    const page = await txn(['show', id, '--pause', '0']);
    expect(page.exitCode).toBe(4);
    expect(page.stdout).toContain(
      'DISAGREEMENT: south-bank.credit at south-bank: the workflow says done, the branch log of south-bank says compensated.',
    );
    await set('applied');
    expect(await txn(['show', id])).toMatchObject({ exitCode: 0 });
  });
});

describe('a two-phase commit', () => {
  it('that committed is told so from both sides, and drawn with its votes', async () => {
    const id = newId('committed');
    await shop().transactions.execute(ATOMICALLY, { id, input: transferOf(1) });
    const page = await txn(['show', id]);
    expect(page).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Your money is safe: it is committed, every branch took effect\./),
    });
    expect(row(page, 'south-bank.credit')).toEqual([
      'south-bank.credit',
      'south-bank',
      'commit',
      'commit',
      'done',
      'applied',
    ]);
    expect(lines(page).find((line) => line.includes('register'))).toMatch(/commit \(at north-bank\), by /);
    const { stdout } = await txn(['timeline', id, '-o', 'json']);
    const { lanes } = JSON.parse(stdout) as { lanes: { name: string; marks: { label: string }[] }[] };
    expect(lanes.map(({ name }) => name).slice(0, 1)).toEqual(['coordinator']);
    for (const branch of ['north-bank.debit', 'south-bank.credit', 'audit.record'])
      expect(lanes.find(({ name }) => name === branch)?.marks).toContainEqual(
        expect.objectContaining({ label: 'vote commit' }),
      );
  });

  it('that was refused says by whom and why', async () => {
    const id = newId('refused');
    await shop()
      .transactions.execute(ATOMICALLY, { id, input: transferOf(1, 'nobody') })
      .catch(() => undefined);
    const told = await txn(['explain', id]);
    expect(told.exitCode).toBe(0);
    expect(told.stdout).toMatch(/^Your money is safe: it is aborted, nothing took effect\./);
    expect(told.stdout).toMatch(
      /Why it stands as it stands: It is decided abort because: refused at south-bank\.credit: /,
    );
  });

  it('is told from the databases alone where Temporal is down, and half where a database is', async () => {
    const id = newId('databases');
    await shop().transactions.execute(ATOMICALLY, { id, input: transferOf(1) });
    const [alone, half, without] = await Promise.all([
      txn(['show', id], { TEMPORAL_ADDRESS: NOWHERE }),
      txn(['show', id], { TXN_DATABASE_SOUTH_BANK: 'postgres://app:s3cret-word@127.0.0.1:1/south_bank' }),
      txn(['explain', id], { TXN_CONFIG: '' }),
    ]);
    expect(alone.exitCode).toBe(0);
    expect(alone.stdout).toMatch(
      /^Your money is safe: it is decided commit, and every branch that was looked at did so\./,
    );
    expect(alone.stdout).toMatch(/not looked at: no Temporal server answers/);
    expect(row(alone, 'south-bank.credit')).toEqual(['south-bank.credit', id, 'south-bank', 'applied']);
    expect(half.exitCode).toBe(3);
    expect(half.stdout).toContain('Not looked at: south-bank.');
    expect(row(half, 'south-bank.credit').at(-1)).toBe('not looked at');
    expect(half.stdout).not.toContain('s3cret-word');
    expect(without).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining('Not looked at: audit. It is not configured.'),
    });
  });

  it('that met contention is not told to be over where nobody says that it is', async () => {
    const id = newId('contended');
    // As its coordinator decides before it pauses and tries again.
    await shop().databases['north-bank'].query(
      "insert into txn.decision (transaction_key, transaction_id, outcome, reason, decided_by) values ($1, $2, 'abort', $3, 'coordinator')",
      [keyOf(id), id, { code: 'contention', message: 'It waited for a lock.' }],
    );
    expect(await txn(['show', id], { TEMPORAL_ADDRESS: NOWHERE })).toMatchObject({
      exitCode: 3,
      stdout: expect.stringMatching(/^It cannot be told how it ends: /),
    });
  });
});

describe('transactions that travelled in a group', () => {
  it('are told by their group, each by itself', async () => {
    const { address, namespace } = shop().stack.temporal;
    const client = await connectTemporal({ address, namespace });
    const grouping = new TransactionClient({ client, grouping: true });
    const [first, second, refused] = [newId('grouped'), newId('grouped'), newId('grouped')];
    const amounts = { [first]: 10, [second]: 20, [refused]: 10 ** 12 };
    await Promise.allSettled(
      Object.entries(amounts).map(([id, amount]) =>
        grouping.execute('transferMoney', { id, input: transferOf(amount) }),
      ),
    );
    await client.connection.close();
    const page = await txn(['show', second]);
    expectPlain(page);
    expect(page).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Your money is safe: /) });
    expect(page.stdout).toMatch(/workflow +runGroup, COMPLETED, in group:transferMoney:/);
    expect(row(page, 'status')).toEqual(['status', 'committed']);
    expect(row(page, 'south-bank.credit').at(-1)).toBe('applied');
    expect(page.stdout).not.toContain(first);
    const other = await txn(['show', refused]);
    expect(other.exitCode).toBe(0);
    expect(row(other, 'status')).toEqual(['status', 'compensated']);
  });
});

describe('what is no transaction', () => {
  it.each([
    { args: ['show', 'nobody-knows'], exitCode: 2, says: 'Nothing was changed: nobody-knows is in no register' },
    { args: ['timeline', 'nobody-knows'], exitCode: 2, says: 'Temporal knows no workflow "nobody-knows"' },
    { args: ['retry', 'nobody-knows', ...WHO], exitCode: 2, says: 'Temporal knows no workflow "nobody-knows"' },
    {
      args: ['explain', 'recovery:north-bank'],
      exitCode: 2,
      says: 'Nothing was changed: "recovery:north-bank" is a workflow of type "recoverParticipant" that reports no transaction',
    },
    { args: ['skip', 'recovery:north-bank', ...WHO], exitCode: 2, says: 'reports no transaction' },
  ])('$args.0 $args.1', async ({ args, exitCode, says }) => {
    expect(await txn(args)).toMatchObject({ exitCode, stdout: '', stderr: expect.stringContaining(says) });
  });

  it('is not called unknown where Temporal was not asked', async () => {
    const environment = { TEMPORAL_ADDRESS: NOWHERE };
    const [page, timeline] = await Promise.all([
      txn(['show', 'nobody-knows'], environment),
      txn(['timeline', 'any'], environment),
    ]);
    expect(page).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('Not looked at: Temporal') });
    expect(timeline).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--history') });
  });
});
