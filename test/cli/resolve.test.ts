import { Client, Connection } from '@temporalio/client';
import { keyOf } from 'temporal-txn/participant';
import { TemporalDevServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newTransaction, useBanks } from './fixture';

const WHO = ['--by', 'ann', '--reason', 'its worker is gone', '--grace', '0'];

describe('temporal-txn resolve', () => {
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
  const resolve = (id: string, ...more: string[]) =>
    txn(['resolve', id, ...WHO, ...more], { TEMPORAL_ADDRESS: temporal.address });

  const prepareBoth = async (transaction = newTransaction()): Promise<string> => {
    await prepare({ at: 'north-bank', transaction });
    await prepare({ at: 'south-bank', transaction });
    return transaction;
  };
  const prepared = async () =>
    (await bank('north-bank').rows('select gid from pg_prepared_xacts order by gid')).map(({ gid: one }) =>
      String(one),
    );
  const entries = async () => {
    const [north, south] = await Promise.all(
      (['north-bank', 'south-bank'] as const).map((at) => bank(at).rows('select from entry')),
    );
    return [north?.length, south?.length];
  };
  const decisions = () => bank('north-bank').rows('select outcome, decided_by as by, reason from txn.decision');

  it('only tells, unless it is to apply', async () => {
    const transaction = await prepareBoth();
    const { stdout, exitCode } = await resolve(transaction);
    expect(stdout).toMatch(/^Nothing was changed: this is a dry run\. With --apply, abort is proposed/);
    expect(exitCode).toBe(4);
    expect(await prepared()).toHaveLength(2);
    expect(await decisions()).toEqual([]);
  });

  it('aborts what is undecided, through the register, in every database', async () => {
    const transaction = await prepareBoth();
    const { stdout, exitCode } = await resolve(transaction, '--apply');
    expect(stdout).toMatch(
      /^Changed: transfer-\S+ is now decided abort in the register at north-bank, and 2 of 2 branches did so\./,
    );
    expect(exitCode).toBe(0);
    expect(await prepared()).toEqual([]);
    expect(await entries()).toEqual([0, 0]);
    expect(await decisions()).toEqual([
      { outcome: 'abort', by: 'ann', reason: { code: 'recovered', message: 'its worker is gone' } },
    ]);
    expect(await bank('south-bank').rows('select state from txn.branch')).toEqual([{ state: 'fenced' }]);
    const again = await resolve(transaction, '--apply');
    expect(again).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Nothing was changed and nothing needs/),
    });
    expect(await txn(['audit', '--grace', '0'])).toMatchObject({ exitCode: 0 });
  });

  it('commits what is decided so, by the gid of any branch', async () => {
    const transaction = await prepareBoth();
    await decide(transaction, 'commit');
    const { stdout, exitCode } = await resolve(gid({ at: 'south-bank', transaction }), '--apply', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      changed: true,
      settled: [{ gid: gid({ at: 'south-bank', transaction }), followed: true, kind: 'applied' }],
    });
    expect(await entries()).toEqual([1, 1]);
  });

  it('rolls an orphan back by its gid alone', async () => {
    const transaction = newTransaction();
    await prepare({ at: 'south-bank', transaction });
    await bank('south-bank').rows('delete from txn.preparation');
    expect(await resolve(gid({ at: 'south-bank', transaction }), '--apply')).toMatchObject({ exitCode: 0 });
    expect(await prepared()).toEqual([]);
    expect(await decisions()).toMatchObject([{ outcome: 'abort' }]);
  });

  it('leaves a transaction to its running coordinator, unless told otherwise', async () => {
    const transaction = await prepareBoth();
    await client.workflow.start('transfer', { workflowId: transaction, taskQueue: 'nobody' });
    const refused = await resolve(transaction, '--apply');
    expect(refused).toMatchObject({
      exitCode: 4,
      stdout: '',
      stderr: expect.stringMatching(/^Nothing was changed: .* is running/),
    });
    expect(await prepared()).toHaveLength(2);
    expect(await resolve(transaction, '--apply', '--even-if-running')).toMatchObject({ exitCode: 0 });
    expect(await prepared()).toEqual([]);
  });

  it('settles what it can reach, and says what it cannot', async () => {
    const transaction = await prepareBoth();
    const environment = {
      TEMPORAL_ADDRESS: temporal.address,
      TXN_DATABASE_SOUTH_BANK: 'postgres://app:s3cret-word@127.0.0.1:1/south_bank',
    };
    const part = await txn(['resolve', transaction, ...WHO, '--apply'], environment);
    expect(part).toMatchObject({ exitCode: 3, stdout: expect.stringContaining('Not looked at: south-bank.') });
    expect(part.stdout).not.toContain('s3cret-word');
    expect(await prepared()).toEqual([gid({ at: 'south-bank', transaction })]);
    const without = await txn(['resolve', transaction, ...WHO, '--apply'], {
      TEMPORAL_ADDRESS: temporal.address,
      TXN_DATABASE_NORTH_BANK: 'postgres://app:s3cret-word@127.0.0.1:1/north_bank',
    });
    expect(without).toMatchObject({
      exitCode: 3,
      stderr: expect.stringMatching(/^Nothing was changed: the register .* database of north-bank/),
    });
    expect(await resolve(transaction, '--apply')).toMatchObject({ exitCode: 0 });
    expect(await prepared()).toEqual([]);
  });

  it('leaves what belongs to another role, and says whose it is', async () => {
    const transaction = newTransaction();
    const name = gid({ at: 'north-bank', transaction });
    await bank('north-bank').admin.query(`begin; insert into entry values (1); prepare transaction '${name}'`);
    const { stdout, exitCode } = await resolve(name, '--apply');
    expect(exitCode).toBe(4);
    expect(stdout).toContain('0 of 1 branch did so. A person has to look.');
    expect(stdout).toContain('It belongs to role postgres');
    expect(await prepared()).toEqual([name]);
  });

  it('finds out what was finished by hand', async () => {
    const transaction = await prepareBoth();
    await decide(transaction, 'commit');
    await bank('south-bank').admin.query(`rollback prepared '${gid({ at: 'south-bank', transaction })}'`);
    const { stdout, exitCode } = await resolve(transaction, '--apply');
    expect(exitCode).toBe(4);
    expect(stdout).toContain('LOST:');
  });

  describe('two participants that share a database', () => {
    const resolveThere = (id: string, ...more: string[]) =>
      txn(['resolve', id, ...WHO, ...more], {
        TEMPORAL_ADDRESS: temporal.address,
        TXN_DATABASE_SOUTH_BANK: bank('north-bank').url,
      });
    /** Decided, and finished at the primary only. */
    const decideThere = async (): Promise<{ transaction: string; late: string }> => {
      const transaction = newTransaction();
      await prepare({ at: 'north-bank', transaction });
      await prepare({ at: 'south-bank', in: 'north-bank', transaction });
      await decide(transaction, 'commit');
      return { transaction, late: gid({ at: 'south-bank', transaction }) };
    };

    it('have one register between them, which is followed', async () => {
      const { transaction } = await decideThere();
      const { stdout, exitCode } = await resolveThere(transaction, '--apply');
      expect(stdout).toMatch(/^Changed: transfer-\S+ was decided commit before, and 1 of 1 branch did so\./);
      expect(exitCode).toBe(0);
      expect(await prepared()).toEqual([]);
    });

    it('have it at the primary, also where no branch is left that names it', async () => {
      const transaction = newTransaction();
      const branches = ['south-bank', 'north-bank'].map((participant) => ({
        branch: participant,
        participant,
        vote: 'commit',
      }));
      await bank('north-bank').rows(
        `insert into txn.decision (transaction_key, transaction_id, outcome, decided_by, branches)
         values ($1, $2, 'abort', 'coordinator', $3)`,
        [keyOf(transaction), transaction, JSON.stringify(branches)],
      );
      const { stdout, exitCode } = await resolveThere(transaction, '--json');
      expect(exitCode).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ register: { participant: 'south-bank', says: 'abort' } });
    });

    it('have one, against which a branch can be forced', async () => {
      const { late } = await decideThere();
      const { stdout, exitCode } = await resolveThere(late, '--force', 'abort', '--i-accept-heuristic', '--apply');
      expect(stdout).toMatch(/^Changed: this one branch was rolled back although the register says commit\./);
      expect(exitCode).toBe(4);
    });
  });

  it('asks which of two registers is right, although one may be a copy of the other', async () => {
    const transaction = await prepareBoth();
    await decide(transaction, 'commit');
    const [row] = await bank('north-bank').rows('select to_json(d)::text as copy from txn.decision d');
    await bank('south-bank').rows(
      'insert into txn.decision select * from json_populate_record(null::txn.decision, $1)',
      [row?.['copy']],
    );
    for (const id of [transaction, gid({ at: 'south-bank', transaction })])
      expect(await resolve(id, '--apply')).toMatchObject({
        exitCode: 4,
        stderr: expect.stringContaining('has its register at north-bank and at south-bank. Only one of them can be'),
      });
    expect(await prepared()).toHaveLength(1);
  });

  describe('--force', () => {
    const force = (id: string, decision: string, ...more: string[]) => resolve(id, '--force', decision, ...more);

    it('is refused without the flag that accepts it, and where there is nothing to force', async () => {
      const transaction = await prepareBoth();
      const name = gid({ at: 'south-bank', transaction });
      expect(await force(name, 'commit', '--apply')).toMatchObject({
        exitCode: 2,
        stderr: expect.stringMatching(/^Nothing was changed: --force commit may make .* add --i-accept-heuristic/),
      });
      expect(await force(transaction, 'commit', '--i-accept-heuristic')).toMatchObject({ exitCode: 2 });
      await decide(transaction, 'commit');
      expect(await force(name, 'commit', '--i-accept-heuristic', '--apply')).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('is decided commit: leave out --force'),
      });
      expect(await prepared()).toEqual([name]);
      expect(await bank('south-bank').rows('select from txn.heuristic')).toEqual([]);
    });

    it('only tells, unless it is to apply', async () => {
      const transaction = await prepareBoth();
      const name = gid({ at: 'south-bank', transaction });
      const { stdout, exitCode } = await force(name, 'commit', '--i-accept-heuristic');
      expect(exitCode).toBe(4);
      expect(stdout).toMatch(/^Nothing was changed: this is a dry run\..*HEURISTIC/);
      expect(await prepared()).toHaveLength(2);
      expect(await bank('south-bank').rows('select from txn.heuristic')).toEqual([]);
    });

    it('finishes one branch against the register, keeps who and why, and the audit finds it', async () => {
      const transaction = await prepareBoth();
      await decide(transaction, 'commit');
      const name = gid({ at: 'south-bank', transaction });
      const { stdout, exitCode } = await txn(
        [
          'resolve',
          name,
          '--by',
          'ann',
          '--reason',
          'told by phone \u001b[2J\u202e',
          '--force',
          'abort',
          '--i-accept-heuristic',
          '--apply',
        ],
        { TEMPORAL_ADDRESS: temporal.address },
      );
      expect(exitCode).toBe(4);
      expect(stdout).toMatch(
        /^Changed: this one branch was rolled back although the register says commit\. The outcome .* HEURISTIC/,
      );
      expect(await prepared()).toEqual([]);
      expect(
        await bank('south-bank').rows(
          'select gid, transaction_id as id, branch_id as branch, took, decision, by, reason from txn.heuristic',
        ),
      ).toEqual([
        {
          gid: name,
          id: transaction,
          branch: 'book-south-bank',
          took: 'abort',
          decision: 'commit',
          by: 'ann',
          reason: 'told by phone \u001b[2J\u202e',
        },
      ]);
      const audit = await txn(['audit', '--grace', '0', '--pause', '0']);
      expect(audit.exitCode).toBe(4);
      expect(audit.stdout).toContain('heuristic at south-bank');
      expect(audit.stdout).toContain(
        'ann forced abort (told by phone \\u001b[2J\\u202e); the register at north-bank says commit.',
      );
      expect(audit.stdout).toContain('The register says commit, its row says fenced.');
    });

    describe('with the rights of workers', () => {
      const south = () => bank('south-bank');
      const role = async () => String((await south().rows('select current_user as role'))[0]?.['role']);
      beforeAll(async () => {
        await south().admin.query(
          `revoke all on txn.heuristic from ${await role()}; grant select, insert on txn.heuristic to ${await role()}`,
        );
      });
      afterAll(async () => {
        await south().admin.query(`grant all on txn.heuristic to ${await role()}`);
      });

      it('tells that it came too late, and the audit knows by what stands', async () => {
        const transaction = await prepareBoth();
        await decide(transaction, 'commit');
        const name = gid({ at: 'south-bank', transaction });
        const blocker = await south().admin.connect();
        try {
          await blocker.query('begin; lock table txn.heuristic in share mode');
          const forcing = force(name, 'abort', '--i-accept-heuristic', '--apply');
          const waiting = `select from pg_locks where relation = 'txn.heuristic'::regclass and not granted`;
          await expect.poll(async () => (await south().rows(waiting)).length).toBe(1);
          // As recovery would.
          await south().rows(`commit prepared '${name}'`);
          await blocker.query('rollback');
          expect(await forcing).toMatchObject({
            exitCode: 4,
            stdout: '',
            stderr: expect.stringMatching(
              /^No branch was changed: txn1_\S+ was finished by somebody else meanwhile\. The row in txn\.heuristic stays/,
            ),
          });
        } finally {
          blocker.release();
        }
        expect(await entries()).toEqual([1, 1]);
        const audit = await txn(['audit', '--grace', '0', '--pause', '0']);
        expect(audit.stdout).toContain(
          'ann forced abort (its worker is gone); the register at north-bank says commit. It has not come to that: its row says applied.',
        );
        expect(audit.exitCode).toBe(0);
      });

      it('has the audit know that it came to nothing while the branch is still prepared', async () => {
        const transaction = await prepareBoth();
        await south().rows(
          `insert into txn.heuristic (gid, transaction_key, took, by, reason) values ($1, $2, 'abort', 'ann', 'told by phone')`,
          [gid({ at: 'south-bank', transaction }), keyOf(transaction)],
        );
        const audit = await txn(['audit', '--grace', '60', '--pause', '0']);
        expect(audit.stdout).toContain('says nothing. It has not come to that: it is still prepared.');
        expect(audit.exitCode).toBe(0);
      });
    });

    it('works without the register', async () => {
      const transaction = newTransaction();
      await prepare({ at: 'south-bank', transaction });
      const name = gid({ at: 'south-bank', transaction });
      const { stdout } = await txn(['resolve', name, ...WHO, '--force', 'commit', '--i-accept-heuristic', '--apply'], {
        TEMPORAL_ADDRESS: temporal.address,
        TXN_DATABASE_NORTH_BANK: 'postgres://app:word@127.0.0.1:1/north_bank',
      });
      expect(stdout).toMatch(/^Changed: this one branch was committed without knowing the decision\./);
      expect(await entries()).toEqual([0, 1]);
      expect(await bank('south-bank').rows('select took, decision from txn.heuristic')).toEqual([
        { took: 'commit', decision: null },
      ]);
    });
  });
});
