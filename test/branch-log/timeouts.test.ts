/** Nothing waits for ever: not for a key, not for a row, not for a statement, and not for a session that hangs. */
import { describe, expect, it } from 'vitest';
import { usePostgres } from '../participant/fixture';
import { gate, settled, useLedger } from './fixture';

const SHORT = { lockMs: 100, statementMs: 1_000, idleInTransactionMs: 3_000, startToCloseMs: 10_000 };
const test = useLedger(usePostgres(), 'timeouts', { timeouts: SHORT });

const IN_PROGRESS = { type: 'InProgress', nonRetryable: false };
const LOST = { type: 'OperationFailed', nonRetryable: false };

describe('the key of a branch whose attempt hangs', () => {
  it.each(['execute', 'compensate', 'query'] as const)('is not waited for longer than lockMs by %s', async (ask) => {
    const branch = test.ledger.branch();
    const held = gate();
    const hanging = settled(branch.execute(held.pass));
    await held.reached;
    const asked = Date.now();
    await expect(branch[ask]()).rejects.toMatchObject(IN_PROGRESS);
    expect(Date.now() - asked).toBeGreaterThanOrEqual(95);
    held.open();
    // It was still there, so nobody waited for its end.
    expect(await hanging).toMatchObject({ answer: 'applied' });
  });

  it('is free after idleInTransactionMs, and the attempt that hung has no effect', async () => {
    const branch = test.ledger.branch();
    const held = gate();
    const hanging = settled(branch.execute(held.pass));
    await held.reached;
    await expect
      .poll(() => settled(branch.compensate()), { timeout: 20_000 })
      .toEqual({ answer: 'nothing-to-compensate' });
    held.open();
    expect(await hanging).toMatchObject(LOST);
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });
});

describe('a statement', () => {
  it('that waits for a row that another transaction has locked is tried again later', async () => {
    await test.ledger.rows('create table if not exists contested (id int)');
    const holder = await test.ledger.pool.connect();
    await holder.query('begin; lock table contested');
    const branch = test.ledger.branch();
    await expect(branch.execute((tx) => tx.query('select from contested'))).rejects.toMatchObject(IN_PROGRESS);
    await holder.query('rollback');
    holder.release();
    expect(await branch.execute(async () => null)).toMatchObject({ answer: 'applied' });
  });

  it('that runs longer than statementMs fails the attempt', async () => {
    const branch = test.ledger.branch();
    const slow = branch.execute((tx) => tx.query('select pg_sleep(5)'));
    await expect(slow).rejects.toMatchObject({ ...LOST, message: expect.stringContaining('57014') as string });
    expect(await branch.row()).toBeUndefined();
  });
});

describe('the timeouts of the session', () => {
  it('are set for the transaction, under a name that says whose it is', async () => {
    const branch = test.ledger.branch();
    const answer = await branch.execute(async (tx) => {
      const { rows } = await tx.query(
        `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement,
                current_setting('idle_in_transaction_session_timeout') as idle, current_setting('application_name') as name,
                current_setting('transaction_isolation') as isolation`,
      );
      return rows[0];
    });
    expect(answer).toMatchObject({
      result: {
        lock: '100ms',
        statement: '1s',
        idle: '3s',
        name: `txn:the-branch:${branch.asked.transaction}`.slice(0, 63),
        isolation: 'read committed',
      },
    });
  });
});

describe('a coordinator that gives an attempt up before PostgreSQL does', () => {
  it.each([3_000, 2_999, 1])('is refused: start-to-close %i ms, idle 3,000 ms', async (startToCloseMs) => {
    const hasty = test.another({ timeouts: SHORT, startToCloseMs });
    const branch = test.ledger.branch();
    await expect(branch.at(hasty).execute()).rejects.toMatchObject({
      type: 'BadRequest',
      nonRetryable: true,
      message: expect.stringContaining(`${startToCloseMs} ms`) as string,
    });
    expect(await branch.row()).toBeUndefined();
  });

  it('is told what a branch did, and has it undone: somebody may have changed a timeout meanwhile', async () => {
    const hasty = test.another({ timeouts: SHORT, startToCloseMs: 1_000 });
    const branch = test.ledger.branch();
    await branch.execute();
    expect(await branch.at(hasty).query()).toMatchObject({ answer: 'applied' });
    expect(await branch.at(hasty).compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 1 });
    expect(await hasty.branch().query()).toEqual({ answer: 'never-applied' });
  });

  it('has a branch undone once, whatever an attempt still does that it has given up', async () => {
    const hasty = test.another({ timeouts: SHORT, startToCloseMs: 1_000 });
    const branch = test.ledger.branch();
    await branch.execute();
    const held = gate();
    const givenUp = settled(branch.at(hasty).compensate(held.pass));
    await held.reached;
    await expect(branch.at(hasty).compensate()).rejects.toMatchObject(IN_PROGRESS);
    held.open();
    expect(await givenUp).toEqual({ answer: 'compensated' });
    expect(await branch.at(hasty).compensate()).toEqual({ answer: 'compensated-before' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 1 });
  });

  it('is served from the first millisecond above', async () => {
    const fair = test.another({ timeouts: SHORT, startToCloseMs: 3_001 });
    expect(await fair.branch().execute()).toMatchObject({ answer: 'applied' });
  });

  it('cannot be configured', () => {
    expect(() => test.another({ timeouts: { lockMs: 6_000 } })).toThrow(
      /lockMs \(6000\) is not smaller than statementMs/,
    );
  });
});
