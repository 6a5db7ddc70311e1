/** Many questions in one activity: each branch has its own row, answer and failure, whether or not it shares a local transaction. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accounts } from '../../activities/accounts/operations';
import { participantActivities, purge } from '../../src/participant';
import { MANY } from '../../src/protocol';
import type { ExecuteAnswer, ManyAnswer, ManyAnswers } from '../../src/protocol';
import { Bank } from '../two-phase-commit/bank';
import { retried } from './fixture';

let bank: Bank;
let money: number;
let northBank: ReturnType<typeof participantActivities>;
beforeAll(async () => {
  bank = await Bank.open();
  // The tests let go of what they lock, and no time that passes on a busy machine.
  const timeouts = { lockMs: 20_000, statementMs: 20_200, idleInTransactionMs: 20_400, startToCloseMs: 21_000 };
  northBank = participantActivities(accounts, { pool: bank.pools['north-bank'], timeouts });
  money = await bank.money();
});
afterAll(() => bank.close());

let count = 0;
const newId = (): string => `many-${++count}`;

interface Wish {
  readonly id: string;
  readonly account?: string;
  readonly amount?: number;
  readonly branch?: string;
  readonly more?: object;
}

/** Asks the north bank for many movements of one kind, as a group does. */
async function ask(
  wishes: readonly Wish[],
  operation = 'debit',
  group = 'group:test:1',
): Promise<readonly ManyAnswer[]> {
  const environment = new MockActivityEnvironment({
    startToCloseTimeoutMs: 21_000,
    taskQueue: 'north-bank',
    workflowExecution: { workflowId: group, runId: 'run' },
  });
  const items = wishes.map(({ id, account = 'alice', amount = 1, branch = 'north-bank.debit', more = {} }) => ({
    activity: operation,
    request: { transaction: id, branch, input: { account, amount, currency: 'EUR' }, ...more },
  }));
  const activity = northBank[MANY] as (request: object) => Promise<ManyAnswers>;
  const answered: ManyAnswers = await environment.run(activity, { items });
  return answered.answers;
}

/** Asks again what is not answered yet, as a group does: on a busy machine that may be any. */
async function askUntilAnswered(wishes: readonly Wish[], operation?: string, group?: string) {
  const answers = new Map<Wish, Exclude<ManyAnswer, 'not-yet'>>();
  for (let left = wishes; left.length > 0; left = left.filter((wish) => !answers.has(wish))) {
    const told = await ask(left, operation, group);
    for (const [i, one] of told.entries()) if (one !== 'not-yet') answers.set(left[i]!, one);
  }
  return wishes.map((wish) => answers.get(wish)!);
}

const appliedBy = (one: ManyAnswer): string => {
  const { answer } = one as { readonly answer: ExecuteAnswer }; // Cast: nothing is refused where that is asked.
  return `${answer.answer} ${answer.by ?? ''}`;
};

const logged = async (ids: readonly string[]) => {
  const { rows } = await bank.pools['north-bank'].query<{ id: string; state: string; by: string; xid: string }>(
    'select transaction_id as id, state, workflow_id as by, xid::text from txn.branch where transaction_id = any($1) order by transaction_id',
    [ids],
  );
  return rows;
};
const entries = async (ids: readonly string[]): Promise<number> => {
  const { rows } = await bank.pools['north-bank'].query('select from entry where transaction_id = any($1)', [ids]);
  return rows.length;
};
const balanceOf = async (account: string): Promise<number> => {
  const { rows } = await bank.pools['north-bank'].query<{ balance: string }>(
    'select balance from account where id = $1',
    [account],
  );
  return Number(rows[0]?.balance);
};

describe('branches of an operation with a set-based form', () => {
  it('share one local transaction, and each has its row and its result', async () => {
    const ids = Array.from({ length: 20 }, newId);
    const before = await balanceOf('alice');
    const answers = await ask(ids.map((id) => ({ id })));
    expect(answers).toEqual(
      ids.map((_, i) => ({ answer: { answer: 'applied', result: { balance: before - i - 1 } } })),
    );
    const rows = await logged(ids);
    expect(rows).toHaveLength(20);
    expect(new Set(rows.map(({ xid }) => xid)).size).toBe(1);
    expect(new Set(rows.map(({ state, by }) => `${state} by ${by}`))).toEqual(new Set(['applied by group:test:1']));
    expect(await balanceOf('alice')).toBe(before - 20);
  });

  it('are done one by one where one of them is refused, which only that one hears', async () => {
    const ids = Array.from({ length: 10 }, newId);
    const before = await balanceOf('alice');
    const answers = await askUntilAnswered(ids.map((id, i) => ({ id, amount: i === 4 ? 10 ** 12 : 1 })));
    expect(answers.map((answer) => ('answer' in answer ? 'applied' : answer))).toMatchObject(
      ids.map((_, i) => (i === 4 ? { failure: { type: 'Refusal', nonRetryable: true } } : 'applied')),
    );
    const rows = await logged(ids);
    expect(rows.filter(({ state }) => state === 'refused').map(({ id }) => id)).toEqual([ids[4]]);
    expect(new Set(rows.map(({ xid }) => xid)).size).toBe(10);
    expect(await entries(ids)).toBe(9);
    expect(await balanceOf('alice')).toBe(before - 9);
  });

  it('are done once, whoever was asked before', async () => {
    const ids = Array.from({ length: 6 }, newId);
    await askUntilAnswered([{ id: ids[1]! }, { id: ids[3]! }]);
    const before = await balanceOf('alice');
    const answers = await askUntilAnswered(ids.map((id) => ({ id })));
    expect(answers.map((answer) => (answer as { answer: { answer: string } }).answer.answer)).toEqual(
      ids.map((_, i) => (i === 1 || i === 3 ? 'applied-before' : 'applied')),
    );
    expect(await entries(ids)).toBe(6);
    expect(await balanceOf('alice')).toBe(before - 4);
  });

  it('are done once where two groups ask for the same at the same time', async () => {
    const ids = Array.from({ length: 30 }, newId);
    const before = await balanceOf('alice');
    const both = await Promise.all([
      askUntilAnswered(
        ids.map((id) => ({ id })),
        'debit',
        'group:test:1',
      ),
      askUntilAnswered(
        [...ids].reverse().map((id) => ({ id })),
        'debit',
        'group:test:2',
      ),
    ]);
    const [first, second] = both.map((answers) => answers.map(appliedBy));
    // Each was done by one of them, and the other one is told by whom.
    for (const [i, one] of (first ?? []).entries())
      expect([one, second?.[29 - i]].sort()).toEqual([
        'applied ',
        expect.stringMatching(/^applied-before group:test:/),
      ]);
    expect(await entries(ids)).toBe(30);
    expect(await balanceOf('alice')).toBe(before - 30);
  });

  it('are done by themselves when a statement fails', async () => {
    const ids = Array.from({ length: 4 }, newId);
    const answers = await askUntilAnswered(ids.map((id, i) => ({ id, account: i === 2 ? 'nobody' : 'alice' })));
    expect(answers[2]).toMatchObject({ failure: { details: [{ code: 'unknown-account' }] } });
    expect(await entries(ids)).toBe(3);
  });
});

/** Deeper than JSON can be written. */
const nested = (levels: number): unknown => {
  let value: unknown = null;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
};

describe('a question among many', () => {
  it('is not answered with the answer to another one that is under way', async () => {
    const id = newId();
    const blocker = await bank.pools['north-bank'].connect();
    await blocker.query("begin; select from account where id = 'carol' for update");
    const asked = [
      ask([{ id, account: 'carol' }], 'debit', 'group:test:1'),
      ask([{ id, account: 'carol' }], 'debit', 'group:test:2'),
      ask([{ id, account: 'carol', amount: 2 }], 'debit', 'group:test:1'),
    ];
    await new Promise((resolve) => setTimeout(resolve, 200));
    await blocker.query('rollback');
    blocker.release();
    const answers = (await Promise.all(asked)).map(([answer]) => JSON.stringify(answer));
    expect(answers.filter((answer) => answer.includes('"applied"')).length).toBe(1);
    expect(answers.filter((answer) => answer.includes('InputMismatch')).length).toBeGreaterThan(0);
  });

  it('is refused by itself when it is none', async () => {
    const ids = [newId(), newId()];
    const answers = await askUntilAnswered(
      ids.map((id) => ({ id })),
      'abscond',
    );
    for (const answer of answers) expect(answer).toMatchObject({ failure: { nonRetryable: false } });
    const [, malformed, tooDeep] = await askUntilAnswered([
      { id: newId() },
      { id: newId(), branch: 'no branch!' },
      { id: newId(), more: { input: nested(100_000) } },
    ]);
    expect(malformed).toMatchObject({ failure: { nonRetryable: true } });
    expect(tooDeep).toMatchObject({ failure: { nonRetryable: true } });
  });

  it('is left behind when it holds up the others, and answers when it is asked again', async () => {
    const blocker = await bank.pools['north-bank'].connect();
    await blocker.query("begin; select from account where id = 'carol' for update");
    const attempt = async () => {
      const ids = Array.from({ length: 5 }, newId);
      const wishes = ids.map((id, i) => ({ id, account: i === 0 ? 'carol' : 'alice' }));
      return { ids, wishes, answers: await ask(wishes, 'debit') };
    };
    const areAnswered = (answers: readonly ManyAnswer[]): boolean =>
      answers.every((answer) => typeof answer === 'object' && 'answer' in answer);
    const { ids, wishes, answers } = await retried(attempt, (one) => areAnswered(one.answers.slice(1)));
    expect(answers[0]).toBe('not-yet');
    expect(areAnswered(answers.slice(1))).toBe(true);
    const again = ask([wishes[0]!]);
    await blocker.query('rollback');
    blocker.release();
    expect(await again).toMatchObject([{ answer: { answer: 'applied' } }]);
    expect(await entries(ids)).toBe(5);
  });

  it('leaves the money of the bank as it was, all in all', async () => {
    const ids = [newId(), newId(), newId()];
    await ask(ids.map((id) => ({ id })));
    const spent = money - (await bank.money());
    expect(spent).toBeGreaterThan(0);
    const violations = await bank.pools['north-bank'].query('select from invariant_violation');
    expect(violations.rows).toEqual([]);
  });
});

describe('what a group has begun and handed over', () => {
  it('is not purged while the workflow that it was handed to is open', async () => {
    // The third attempt at the second transaction of a workflow.
    const whole = newId();
    const id = `${whole}/2+3`;
    await ask([{ id }]);
    const pool = bank.pools['north-bank'];
    await pool.query("update txn.branch set created_at = created_at - interval '10 days' where transaction_id = $1", [
      id,
    ]);
    for (const open of [id, whole])
      await purge(pool, { olderThanDays: 5, isOpen: async ({ workflowId }) => workflowId === open });
    expect(await logged([id])).toHaveLength(1);
    await purge(pool, { olderThanDays: 5, isOpen: async () => false });
    expect(await logged([id])).toEqual([]);
  });

  it('is taken for that of the workflow that asks for it last, where it is prepared', async () => {
    const id = newId();
    const more = { register: 'north-bank', token: 't', votes: 'answer' };
    const coordinators = async (): Promise<unknown[]> => {
      const { rows } = await bank.pools['north-bank'].query<{ by: string }>(
        'select workflow_id as by from txn.preparation where transaction_id = $1',
        [id],
      );
      return rows.map(({ by }) => by);
    };
    expect(await ask([{ id, more }], 'debit.prepare')).toMatchObject([{ answer: { vote: 'commit' } }]);
    expect(await coordinators()).toEqual(['group:test:1']);
    expect(await ask([{ id, more: { ...more, again: true } }], 'debit.prepare', id)).toMatchObject([
      { answer: { vote: 'commit' } },
    ]);
    expect(await coordinators()).toEqual([id]);
    expect(await ask([{ id, more }], 'debit.abort', id)).toMatchObject([{ answer: { kind: 'applied' } }]);
    expect(await bank.prepared()).toEqual([]);
  });
});
