import { TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditDatabases } from '../../src/cli';
import { newTransaction, useBanks } from './fixture';
import type { Name, Printed } from './fixture';

const WHO = ['--by', 'ann', '--reason', 'repaired by entry 17'];
const HOSTILE = 'told by phone \u001b[2J\u202e\nNothing needs a person.';

describe('temporal-txn accept', () => {
  const { bank, prepare, commit, decide, gid, ...banks } = useBanks();
  let temporal: TemporalDevServer;
  beforeAll(async () => {
    temporal = await TemporalDevServer.start({ uiPort: false });
  });
  afterAll(() => temporal?.stop());
  // Asked about coordinators, it answers at once that it knows none.
  const txn = (args: readonly string[], environment: Record<string, string> = {}) =>
    banks.txn(args, { TEMPORAL_ADDRESS: temporal.address, ...environment });
  const NOW = ['--grace', '0', '--pause', '0'];
  const accept = (id: string, ...more: string[]) => txn(['accept', id, ...WHO, ...NOW, ...more]);
  const audit = (...more: string[]) => txn(['audit', ...NOW, ...more]);
  const acceptances = (at: Name = 'south-bank') =>
    bank(at).rows(
      'select transaction_id as id, branch_id as branch, took, decision, by, reason from txn.acceptance order by id',
    );

  const transfer = async (decision: 'commit' | 'abort' = 'commit'): Promise<string> => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    await prepare({ at: 'south-bank', transaction });
    await decide(transaction, decision);
    return transaction;
  };
  /** As somebody does in psql. */
  const finishByHand = (transaction: string, what: 'commit' | 'rollback', at: Name = 'south-bank') =>
    bank(at).admin.query(`${what} prepared '${gid({ at, transaction })}'`);
  const force = (transaction: string, decision: 'commit' | 'abort', by = 'bob', reason = 'told by phone') =>
    txn([
      'resolve',
      gid({ at: 'south-bank', transaction }),
      ...['--by', by, '--reason', reason, '--grace', '0', '--force', decision, '--i-accept-heuristic', '--apply'],
    ]);
  /** Everything that could be changed, in both databases. */
  const everything = () =>
    Promise.all(
      (['north-bank', 'south-bank'] as const).flatMap((at) =>
        [
          'txn.decision',
          'txn.branch',
          'txn.preparation',
          'txn.heuristic',
          'txn.acceptance',
          'entry',
          'pg_prepared_xacts',
        ].map((table) => bank(at).rows(`select t::text from ${table} t order by 1`)),
      ),
    );
  const expectClean = async (accepted: string) => {
    const { stdout, exitCode } = await audit();
    expect(stdout).toMatch(/^Nothing needs a person[.:]/);
    expect(stdout).toContain(accepted);
    expect(exitCode).toBe(0);
  };
  const expectRefused = ({ exitCode, stdout, stderr }: Printed, says: RegExp) => {
    expect(stderr).toMatch(says);
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  };

  it('only tells, unless it is to apply', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort');
    const before = await everything();
    const { stdout, exitCode } = await accept(transaction);
    expect(stdout).toMatch(
      /^Nothing was changed: this is a dry run\. With --apply, it is kept that book-south-bank of transfer-\S+ at south-bank was accepted/,
    );
    expect(stdout).toContain('bob forced abort (told by phone); the register at north-bank says commit.');
    expect(exitCode).toBe(4);
    expect(await everything()).toEqual(before);
    expect(await audit()).toMatchObject({ exitCode: 4 });
  });

  it('makes a note of what was forced, keeps who and why, and changes nothing else', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort');
    const found = await audit();
    expect(found.exitCode).toBe(4);
    expect(found.stdout).toContain(
      `temporal-txn accept ${transaction} --branch book-south-bank --by <you> --reason <why>`,
    );
    const before = await everything();
    const { stdout, exitCode } = await accept(gid({ at: 'south-bank', transaction }), '--apply');
    expect(stdout).toMatch(
      /^Changed: it is kept that book-south-bank of .* was accepted, and nothing else was changed\./,
    );
    expect(exitCode).toBe(0);
    expect(await acceptances()).toEqual([
      {
        id: transaction,
        branch: 'book-south-bank',
        took: 'abort',
        decision: 'commit',
        by: 'ann',
        reason: 'repaired by entry 17',
      },
    ]);
    await expectClean(`Note: south-bank: book-south-bank of ${transaction}: accepted by ann: repaired by entry 17 (`);
    await bank('south-bank').rows('delete from txn.acceptance');
    expect(await everything()).toEqual(before);
  });

  it('says so in JSON', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort');
    const { stdout } = await accept(transaction, '--apply', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ changed: true, by: 'ann', participant: 'south-bank', others: 0 });
    const audited = await audit('--json');
    expect(audited.exitCode).toBe(0);
    expect(JSON.parse(audited.stdout)).toMatchObject({
      verdict: 'well',
      needPerson: 0,
      findings: [],
      accepted: [
        {
          participant: 'south-bank',
          transaction,
          branch: 'book-south-bank',
          took: 'abort',
          by: 'ann',
          reason: 'repaired by entry 17',
          kinds: ['not-applied', 'heuristic'],
        },
      ],
      counts: { accepted: 1, heuristics: 1 },
    });
  });

  it('accepts what somebody did in psql, and resolve agrees', async () => {
    const transaction = await transfer('abort');
    await finishByHand(transaction, 'commit');
    expect(await txn(['resolve', transaction, ...WHO])).toMatchObject({ exitCode: 4 });
    expect(await accept(transaction, '--apply')).toMatchObject({ exitCode: 0 });
    expect(await acceptances()).toMatchObject([{ took: 'commit', decision: 'abort', branch: 'book-south-bank' }]);
    await expectClean('took-effect: it amounts to commit');
    const { stdout, exitCode } = await txn(['resolve', transaction, ...WHO]);
    expect(stdout).toContain('that it took commit is accepted by ann: repaired by entry 17');
    expect(exitCode).toBe(0);
  });

  it('accepts a lost branch, and nobody looks for it any more', async () => {
    const transaction = await transfer();
    await finishByHand(transaction, 'rollback');
    expect(await txn(['in-doubt', '--grace', '0'])).toMatchObject({ exitCode: 4 });
    expect(await accept(transaction, '--branch', 'book-south-bank', '--apply')).toMatchObject({ exitCode: 0 });
    await expectClean('lost: it amounts to abort');
    expect(await txn(['in-doubt', '--grace', '0'])).toMatchObject({ exitCode: 0 });
    // Also when nothing is left that says that it was asked to prepare.
    await bank('south-bank').rows('delete from txn.preparation');
    await expectClean('lost: it amounts to abort');
  });

  it('accepts what was forced on an orphan, of which nothing but its gid is known', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'south-bank', transaction });
    await bank('south-bank').rows('delete from txn.preparation');
    await force(transaction, 'commit');
    const { stdout, exitCode } = await accept(gid({ at: 'south-bank', transaction }), '--apply');
    expect(stdout).toContain(
      'Nothing is decided: should it be decided otherwise later, the audit finds this branch again.',
    );
    expect(exitCode).toBe(0);
    expect(await acceptances()).toMatchObject([{ id: null, branch: null, took: 'commit', decision: null }]);
    await expectClean('accepted by ann: repaired by entry 17');
  });

  it('does not accept with it what happens later', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'south-bank', transaction });
    await prepare({ at: 'north-bank', transaction });
    await force(transaction, 'commit');
    await accept(transaction, '--branch', 'book-south-bank', '--apply');
    const kinds = async () =>
      (
        await auditDatabases(
          (['north-bank', 'south-bank'] as const).map((participant) => ({ participant, pool: bank(participant).pool })),
          { graceMs: 0, pauseMs: 0 },
        )
      ).findings.map(({ kind, participant }) => `${kind} at ${participant}`);
    expect(await kinds()).toEqual(['in-doubt at north-bank']);
    await decide(transaction, 'abort');
    await txn(['resolve', transaction, ...WHO, '--grace', '0', '--apply']);
    expect(await kinds()).toEqual(['took-effect at south-bank', 'heuristic at south-bank']);
    expect(await accept(transaction, '--apply')).toMatchObject({ exitCode: 0 });
    expect(await kinds()).toEqual([]);
    // The same deed, done once more.
    await bank('south-bank').rows(
      `insert into txn.heuristic (gid, transaction_key, transaction_id, branch_id, took, by, reason)
       select gid, transaction_key, transaction_id, branch_id, took, by, 'again' from txn.heuristic`,
    );
    expect(await kinds()).toEqual(['heuristic at south-bank']);
  });

  it('stays accepted when the decision is purged', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort');
    await accept(transaction, '--apply');
    // Recovery has forgotten what has ended long before.
    for (const at of ['north-bank', 'south-bank'] as const) await bank(at).rows('delete from txn.preparation');
    await bank('north-bank').admin.query("set txn.purging = 'on'; delete from txn.decision; reset txn.purging");
    await expectClean('heuristic: it amounts to abort');
  });

  it('accepts one branch at a time, and leaves the others found', async () => {
    const [one, other] = [await transfer(), await transfer()];
    await force(one, 'abort');
    await force(other, 'abort');
    await accept(one, '--apply');
    const { stdout, exitCode } = await audit();
    expect(exitCode).toBe(4);
    expect(stdout).toContain(`accepted by ann`);
    expect(stdout).toContain(`transaction  ${other}`);
    expect(stdout).not.toContain(`transaction  ${one}`);

    await bank('north-bank').rows("update txn.branch set state = 'fenced' where transaction_id = $1", [other]);
    expectRefused(
      await accept(other, '--apply'),
      /^Nothing was changed: of \S+, more than one branch .*: book-north-bank at north-bank, book-south-bank at south-bank\. Name one/,
    );
    const half = await accept(other, '--branch', 'book-north-bank', '--apply');
    expect(half.stdout).toMatch(/^Changed: /);
    expect(half.stdout).toContain('2 other findings of this transaction');
    expect(half.exitCode).toBe(4);
    expect(await acceptances('north-bank')).toMatchObject([{ id: other, branch: 'book-north-bank' }]);
    expect(await accept(other, '--apply')).toMatchObject({ exitCode: 0 });
    await expectClean('book-north-bank');
  });

  it('keeps the first one who accepted it', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort');
    await accept(transaction, '--apply');
    const { stdout, exitCode } = await txn([
      ...['accept', transaction, '--by', 'eve', '--reason', 'me too', ...NOW, '--apply'],
    ]);
    expect(stdout).toMatch(/^Nothing was changed and nothing needs a person: it is accepted already\.\n.*by ann/);
    expect(exitCode).toBe(0);
    expect(await acceptances()).toHaveLength(1);
  });

  it('refuses what agrees with its decision', async () => {
    const transaction = await transfer();
    await commit({ at: 'south-bank', transaction });
    const agrees =
      /^Nothing was changed: .*transfer-\S+ agrees with its decision, commit: there is nothing to accept\./;
    expectRefused(await accept(transaction, '--apply'), agrees);
    expectRefused(await accept(transaction, '--branch', 'book-south-bank', '--apply'), agrees);
    expectRefused(
      await accept(transaction, '--branch', 'other', '--apply'),
      /other of \S+ is not known: check --branch/,
    );
    expectRefused(
      await accept(gid({ at: 'south-bank', transaction }), '--branch', 'other'),
      /^Nothing was changed: --branch is "other"\. It is not the branch of that gid/,
    );
    expectRefused(
      await accept('transfer-nobody-knows', '--apply'),
      /is in no register, branch log.*temporal-txn audit what may be accepted/,
    );
    expect(await acceptances()).toEqual([]);
  });

  it('refuses what is still prepared, decided or not', async () => {
    const decided = await transfer();
    const undecided = newTransaction();
    await prepare({ at: 'south-bank', transaction: undecided });
    for (const id of [decided, undecided, gid({ at: 'south-bank', transaction: decided })])
      expectRefused(await accept(id, '--apply'), /^Nothing was changed: txn1_\S+ is still prepared at south-bank/);
    expectRefused(await accept(decided, '--grace', '60', '--apply'), /is still prepared at south-bank/);
    expect(await acceptances()).toEqual([]);
  });

  it('refuses what it cannot judge', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort');
    const gone = 'postgres://app:s3cret-word@127.0.0.1:1/bank';
    const without = (name: string) =>
      txn(['accept', transaction, ...WHO, ...NOW, '--apply'], { [`TXN_DATABASE_${name}`]: gone });
    const register = await without('NORTH_BANK');
    expect(register).toMatchObject({
      exitCode: 3,
      stderr: expect.stringMatching(/^Nothing was changed: the register .* database of north-bank/),
    });
    const branch = await without('SOUTH_BANK');
    expect(branch).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('Not looked at: south-bank') });
    expect(register.stderr + branch.stderr).not.toContain('s3cret-word');
    expect(await acceptances()).toEqual([]);
  });

  it('escapes what others wrote', async () => {
    const transaction = await transfer();
    await force(transaction, 'abort', HOSTILE, HOSTILE);
    const printed = [await txn(['accept', transaction, '--by', HOSTILE, '--reason', HOSTILE, ...NOW, '--apply'])];
    printed.push(
      await accept(transaction),
      await audit(),
      await audit('--json'),
      await txn(['resolve', transaction, ...WHO]),
    );
    for (const { stdout, stderr, exitCode } of printed) {
      expect(stdout + stderr).not.toMatch(/[^\x20-\x7e\n]/);
      expect(stdout).not.toMatch(/\nNothing needs a person/);
      expect(exitCode).toBe(0);
    }
    expect(printed[2]?.stdout).toContain('accepted by told by phone \\u001b[2J\\u202e\\u000aNothing needs a person.');
    expect(await acceptances()).toMatchObject([{ by: HOSTILE, reason: HOSTILE }]);
  });
});
