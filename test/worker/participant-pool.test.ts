/** A database that falls silent: its host is gone without a word, or a proxy before it lives on. Nobody waits for it for ever. */
import type { Socket } from 'node:net';
import { participantCircuit } from 'temporal-txn/participant';
import type { Fault } from 'temporal-txn/testing';
import { PostgresFaultProxy } from 'temporal-txn/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkLocalTimeouts, DEFAULT_LOCAL_TIMEOUTS } from '../../src/protocol';
import { participantPool } from '../../src/worker/participant-pool';
import { useLedger } from '../branch-log/fixture';
import { Ledger } from '../branch-log/ledger';
import { Bank, newId, useBanks } from '../prepared/fixture';
import { quieten } from '../quiet-pool';

const banks = useBanks();
const test = useLedger({ createService: (name) => banks.server.createService(name) }, 'silence');

/** Longer than a busy machine takes to answer. */
const LIMIT_MS = 800;
/** As good as never. */
const SILENT: Fault = { kind: 'delay-answer', ms: 600_000 };
const LOST = {
  type: 'OperationFailed',
  nonRetryable: false,
  message: expect.stringContaining('did not answer') as string,
};

/** A worker's connections, through a network in which statements stay unanswered. */
async function behind(url: string, max = 1) {
  const proxy = await PostgresFaultProxy.start({ target: banks.server });
  const pool = quieten(
    participantPool({ connectionString: proxy.url(url), query_timeout: LIMIT_MS, max }, max, DEFAULT_LOCAL_TIMEOUTS),
  );
  onTestFinished(async () => {
    await proxy.stop();
    await pool.end();
  });
  return { proxy, pool };
}

describe('a database that does not answer', () => {
  it.each([
    ['the beginning', /^begin/],
    ['a statement of the operation', /^insert into mark/],
    ['the end', /^commit/],
  ])('%s costs that attempt alone, and not for ever', async (_, statement) => {
    const { proxy, pool } = await behind(test.url);
    const ledger = new Ledger(pool);
    const [branch, other] = [ledger.branch(), ledger.branch()];
    proxy.inject({ statement, fault: SILENT });
    await expect(branch.execute()).rejects.toMatchObject(LOST);
    expect(await other.execute(), 'it has the place that became free').toMatchObject({ answer: 'applied' });
    // With the lost answer of a commit nobody knows: the next attempt finds out.
    const isCommitted = statement.test('commit');
    expect(await branch.execute()).toMatchObject({ answer: isCommitted ? 'applied-before' : 'applied' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
  });

  it('counts as away, also for whoever tries its open circuit', async () => {
    const { proxy, pool } = await behind(test.url);
    const circuit = participantCircuit({ trip: { consecutive: 1 }, halfOpenAfterMs: 1, jitter: 0 });
    const ledger = new Ledger(pool, { circuit });
    proxy.inject({ statement: /^begin/, fault: SILENT, passage: 'every' });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(ledger.branch().execute()).rejects.toMatchObject(LOST);
      expect(circuit.report()).toMatchObject({ cutOff: 1 });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it('a statement whose error the operation swallows commits nothing', async () => {
    const { proxy, pool } = await behind(test.url);
    const branch = new Ledger(pool).branch();
    proxy.inject({ statement: /^select 'swallowed'/, fault: SILENT });
    const attempt = branch.execute((tx) => tx.query(`select 'swallowed'`).catch(() => null));
    await expect(attempt).rejects.toMatchObject({ type: 'OperationFailed', nonRetryable: false });
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });

  it.each(['prepare', 'commit', 'abort'] as const)('%s is asked again, and nothing is taken for done', async (how) => {
    const { proxy, pool } = await behind(banks.south.url);
    const south = new Bank('south', pool, banks.south.url);
    const prepared = how === 'prepare' ? undefined : await banks.south.prepareBranch();
    const account = prepared?.account ?? (await banks.south.account());
    const request = prepared?.request ?? { transaction: newId(), input: { account, amount: 30 } };
    proxy.inject({ statement: / (prepared|transaction) '/, fault: SILENT });
    await expect(south.ask(`debit.${how}`, request)).rejects.toMatchObject(LOST);
    expect(await south.insist(`debit.${how}`, { ...request, attempt: 2 })).toMatchObject(
      how === 'prepare' ? { vote: 'commit' } : { kind: 'applied' },
    );
    expect(await banks.south.balance(account)).toBe(how === 'commit' ? 70 : 100);
  });
});

describe('what is not silence', () => {
  it('is an operation that does something else for longer, and its next statement has the whole time', async () => {
    const { proxy, pool } = await behind(test.url);
    const branch = new Ledger(pool).branch();
    proxy.inject({ statement: /^select 'slow'/, fault: { kind: 'delay-answer', ms: LIMIT_MS / 4 } });
    const attempt = branch.execute(async (tx) => {
      await new Promise((resolve) => setTimeout(resolve, 1.2 * LIMIT_MS));
      await tx.query(`select 'slow'`);
      return null;
    });
    expect(await attempt).toMatchObject({ answer: 'applied' });
  });

  it('is a connection that nobody uses', async () => {
    const { pool } = await behind(test.url);
    const pid = async (): Promise<unknown> => (await pool.query('select pg_backend_pid() as pid')).rows[0];
    const before = await pid();
    await new Promise((resolve) => setTimeout(resolve, 1.2 * LIMIT_MS));
    expect(await pid()).toEqual(before);
  });
});

describe('how long is too long', () => {
  it.each([
    ['40 seconds', {}, {}, 40_000],
    ['5 seconds longer than an attempt that lasts longer', { startToCloseMs: 60_000 }, {}, 65_000],
    ['what query_timeout says', { startToCloseMs: 60_000 }, { query_timeout: 90_000 }, 90_000],
    ['as long as it takes where that is 0', {}, { query_timeout: 0 }, 0],
  ])('is %s', async (_, timeouts, database, limitMs) => {
    const settings = { connectionString: test.url, ...database };
    const pool = quieten(participantPool(settings, 1, checkLocalTimeouts(timeouts)));
    onTestFinished(() => pool.end());
    const client = await pool.connect();
    const { connection } = client as unknown as { connection: { stream: Socket } }; // Cast: its types hide it.
    client.release();
    expect(connection.stream.timeout ?? 0).toBe(limitMs);
  });

  it.each([-1, 0.5, 1e12, NaN, '40000'])('is refused as %s', (limit) => {
    const database = { query_timeout: limit as number };
    expect(() => participantPool(database, 1, DEFAULT_LOCAL_TIMEOUTS)).toThrow(
      /^Nothing was started: query_timeout, .* is /,
    );
  });
});
