import { describe, expect, it } from 'vitest';
import { auditDatabases } from '../../src/cli';
import type { AuditOptions } from '../../src/cli';
import { decide as register, keyOf } from '../../src/participant';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import { newTransaction, useBanks } from './fixture';

describe('temporal-txn audit', () => {
  const { bank, prepare, commit, decide, gid, txn } = useBanks();
  const audit = (...more: string[]) => txn(['audit', '--grace', '0', '--pause', '0', ...more]);
  const databases = () =>
    (['north-bank', 'south-bank'] as const).map((participant) => ({ participant, pool: bank(participant).pool }));
  const auditNow = (options: AuditOptions = {}) => auditDatabases(databases(), { graceMs: 0, pauseMs: 0, ...options });

  const transfer = async (decision: 'commit' | 'abort' = 'commit'): Promise<string> => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    await prepare({ at: 'south-bank', transaction });
    await decide(transaction, decision);
    return transaction;
  };
  const kinds = async (options: AuditOptions = {}) =>
    (await auditNow(options)).findings.map(({ kind, participant }) => `${kind} at ${participant}`);

  it('is content with what agrees, and says what it looked at', async () => {
    const transaction = await transfer();
    await commit({ at: 'south-bank', transaction });
    const { stdout, exitCode } = await audit();
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^Nothing needs a person\. Nothing was changed\.\nLooked at 2 databases: north-bank, south-bank\./,
    );
    expect(stdout).toContain('1 in the registers: 1 commit, 0 abort');
    expect(stdout).toContain('2 compared with the decision');
  });

  it('says so when there is nothing to compare', async () => {
    const { stdout, exitCode } = await audit('--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'well', needPerson: 0, counts: { commits: 0, aborts: 0 } });
  });

  it('finds a branch that is prepared for too long, decided or not', async () => {
    await transfer();
    await prepare({ at: 'north-bank', transaction: newTransaction() });
    const { stdout, exitCode } = await audit();
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(/^2 findings need a person\./);
    expect(stdout).toContain('the register says commit.');
    expect(stdout).toContain('the register says nothing.');
    expect(await audit('--grace', '60')).toMatchObject({ exitCode: 0 });
    expect((await kinds()).sort()).toEqual(['in-doubt at north-bank', 'in-doubt at south-bank']);
    // Looked for in the wrong namespace, it is not taken for lost.
    expect(await kinds({ namespace: 'elsewhere' })).toEqual(['in-doubt at south-bank']);
  });

  it('finds a committed transaction with a branch that was given up, and one with a branch that is gone', async () => {
    const fenced = await transfer();
    await bank('south-bank').admin.query(`rollback prepared '${gid({ at: 'south-bank', transaction: fenced })}'`);
    expect(await kinds()).toEqual(['lost at south-bank']);
    // Old absences prove nothing where branch logs are purged.
    await bank('south-bank').rows('delete from txn.preparation');
    expect(await kinds({ purgedAfterMs: 0 })).toEqual([]);
    expect(await kinds()).toEqual(['lost at south-bank']);
    await bank('south-bank').rows(
      "insert into txn.branch (transaction_id, branch_id, operation, state) values ($1, 'book-south-bank', 'book', 'fenced')",
      [fenced],
    );
    expect(await kinds()).toEqual(['not-applied at south-bank']);
  });

  it('finds an aborted transaction with a branch that took effect, wherever it is', async () => {
    const transaction = await transfer('abort');
    await bank('south-bank').admin.query(`commit prepared '${gid({ at: 'south-bank', transaction })}'`);
    expect(await kinds()).toEqual(['took-effect at south-bank']);
  });

  it('finds a branch that took effect without a decision', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'south-bank', transaction });
    await bank('south-bank').admin.query(`commit prepared '${gid({ at: 'south-bank', transaction })}'`);
    expect(await kinds()).toEqual(['no-decision at south-bank']);
  });

  it('is content with a commit that participants decided by themselves, which lists no branches', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'north-bank', transaction });
    await prepare({ at: 'south-bank', transaction });
    const key = keyOf(transaction);
    await register(bank('north-bank').pool, {
      key,
      transaction: parseTransactionId(transaction),
      propose: 'commit',
      by: `${transaction}#book-south-bank`,
    });
    expect(await kinds({ graceMs: 60_000 })).toEqual([]);
    await commit({ at: 'north-bank', transaction });
    await commit({ at: 'south-bank', transaction });
    expect(await kinds()).toEqual([]);
    await bank('south-bank').pool.query(`update txn.branch set state = 'fenced' where transaction_id = $1`, [
      transaction,
    ]);
    expect(await kinds()).toEqual(['not-applied at south-bank']);
  });

  it('finds two registers that differ, and a decision that says too little or ignores a vote', async () => {
    const [differ, bare, ignored] = [newTransaction(), newTransaction(), newTransaction()];
    const write = (at: 'north-bank' | 'south-bank', id: string, propose: 'commit' | 'abort', vote?: 'abort') =>
      register(bank(at).pool, {
        key: keyOf(id),
        transaction: parseTransactionId(id),
        propose,
        by: 'test',
        ...(vote ? { branches: [{ branch: parseBranchId('book'), participant: 'north-bank', vote }] } : {}),
      });
    await write('north-bank', differ, 'abort');
    await write('south-bank', differ, 'abort');
    expect(await kinds()).toEqual([]);
    await write('north-bank', bare, 'commit');
    await write('north-bank', ignored, 'commit', 'abort');
    expect((await kinds()).sort()).toEqual(['branches-unknown at north-bank', 'vote-ignored at north-bank']);
    await write('south-bank', bare, 'abort');
    expect(await kinds()).toContain('two-decisions at north-bank');
  });

  it.each([
    ['commit', 'confirmed', []],
    ['commit', 'tried', ['in-doubt at south-bank']],
    ['commit', 'cancelled', ['not-applied at south-bank']],
    ['abort', 'cancelled', []],
    ['abort', 'tried', ['in-doubt at south-bank']],
    ['abort', 'confirmed', ['took-effect at south-bank']],
  ] as const)('holds a reservation against its decision: %s, %s', async (propose, state, expected) => {
    const transaction = newTransaction();
    await register(bank('north-bank').pool, {
      key: keyOf(transaction),
      transaction: parseTransactionId(transaction),
      propose,
      by: 'test',
      branches: [{ branch: parseBranchId('place'), participant: 'south-bank', vote: 'commit' }],
    });
    await bank('south-bank').rows(
      "insert into txn.branch (transaction_id, branch_id, operation, state) values ($1, 'place', 'place', $2)",
      [transaction, state],
    );
    expect(await kinds()).toEqual(expected);
    // Its recovery is given time to settle what is only decided.
    if (state === 'tried') expect(await kinds({ graceMs: 60_000 })).toEqual([]);
  });

  it('needs no row of a branch that only read', async () => {
    const transaction = newTransaction();
    await register(bank('north-bank').pool, {
      key: keyOf(transaction),
      transaction: parseTransactionId(transaction),
      propose: 'commit',
      by: 'test',
      branches: [{ branch: parseBranchId('balance'), participant: 'south-bank', vote: 'read-only' }],
    });
    expect(await auditNow()).toMatchObject({ verdict: 'well', counts: { readOnly: 1, compared: 0 } });
  });

  it('looks again at what looks wrong', async () => {
    const transaction = await transfer();
    const audited = auditNow({ pauseMs: 5_000 });
    await new Promise((passed) => setTimeout(passed, 300));
    await commit({ at: 'south-bank', transaction });
    expect(await audited).toMatchObject({ verdict: 'well', findings: [] });
  });

  it('does not take what is on its way for a violation', async () => {
    let going = true;
    const traffic = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (going) await commit({ at: 'south-bank', transaction: await transfer() });
      }),
    );
    try {
      // Time enough for what is on its way to arrive.
      expect(await auditNow({ pauseMs: 5_000 })).toMatchObject({ verdict: 'well', findings: [] });
    } finally {
      going = false;
      await traffic;
    }
    expect((await auditNow()).counts.compared).toBeGreaterThan(20);
  });

  it('is no audit when nothing, and half an audit when not everything could be looked at', async () => {
    const gone = 'postgres://app:s3cret-word@127.0.0.1:1/bank';
    const half = await txn(['audit'], { TXN_DATABASE_SOUTH_BANK: gone });
    expect(half).toMatchObject({ exitCode: 3, stdout: expect.stringContaining('Not looked at: south-bank.') });
    expect(half.stdout).not.toContain('s3cret-word');
    const none = await txn(['audit'], { TXN_DATABASE_NORTH_BANK: gone, TXN_DATABASE_SOUTH_BANK: gone });
    expect(none).toMatchObject({ exitCode: 2, stdout: expect.stringMatching(/^Nothing could be looked at/) });
    // A register names a participant that is not configured.
    const transaction = await transfer();
    await commit({ at: 'south-bank', transaction });
    const unknown = await txn(['audit', '--grace', '0'], { TXN_DATABASE_SOUTH_BANK: '' });
    expect(unknown).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining('Not looked at: south-bank. It is not configured, and registers name it.'),
    });
  });
});
