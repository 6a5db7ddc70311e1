/** Who shares a local transaction with others, who does not, and that nobody in it keeps those waiting who could be answered. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineParticipant, migrate, operation, participantActivities } from '../../src/participant';
import type { ManyCall, ManyTx, ParticipantActivities, Tx } from '../../src/participant';
import { MANY } from '../../src/protocol';
import type { ManyAnswer, ManyAnswers } from '../../src/protocol';
import { PostgresServer } from '../../src/testing';
import { quietPool } from '../quiet-pool';

const Input = z.object({
  row: z.string().optional(),
  /** Keeps the row locked for so long. */
  keepMs: z.number().optional(),
  letters: z.number().optional(),
  /** Goes on when the test lets it. */
  waits: z.boolean().optional(),
});
type Input = z.infer<typeof Input>;

let gate: Promise<void> | undefined;
/** @returns what lets them go on */
function closeGate(): () => void {
  let open: () => void = () => undefined;
  gate = new Promise((resolve) => (open = resolve));
  return open;
}

/** Nothing but the branch log keeps a mark from being there twice. */
async function markMany(tx: ManyTx, calls: readonly ManyCall<Input>[]): Promise<string[]> {
  await tx.query('insert into mark (transaction_id) select unnest($1::text[])', [
    calls.map(({ transaction }) => transaction),
  ]);
  const rows = calls.flatMap(({ input }) => input.row ?? []);
  await tx.query('select from held where id = any($1) order by id for update', [rows]);
  const keepMs = Math.max(...calls.map(({ input }) => input.keepMs ?? 0));
  if (keepMs > 0) await tx.query('select pg_sleep($1)', [keepMs / 1_000]);
  if (calls.some(({ input }) => input.waits)) await gate;
  return calls.map(({ input }) => 'x'.repeat(input.letters ?? 1));
}

const markOne = async (tx: Tx, input: Input): Promise<string> => {
  const [result] = await markMany(tx, [{ transaction: tx.transaction, branch: tx.branch, input }]);
  return result ?? '';
};
const compensate = async (): Promise<void> => undefined;

const declared = defineParticipant('marks', {
  mark: operation({ input: Input, execute: markOne, executeMany: markMany, compensate }),
  /** The same without a set-based form. */
  markAlone: operation({ input: Input, execute: markOne, compensate }),
  /** The same, in sets of its own. */
  other: operation({ input: Input, execute: markOne, executeMany: markMany, compensate }),
});

/** A busy machine does all of it within the wait for one lock. */
const TIMEOUTS = { lockMs: 20_000, statementMs: 25_000, idleInTransactionMs: 28_000, startToCloseMs: 30_000 };

const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-sets-'));
let server: PostgresServer;
let pool: Pool;
/** Two local transactions at a time. */
let narrowPool: Pool;
let activities: ParticipantActivities;
beforeAll(async () => {
  chmodSync(directory, 0o711);
  server = await PostgresServer.start({ directory, durable: false });
  const connectionString = await server.createService('marks');
  pool = quietPool({ connectionString, max: 12 });
  narrowPool = quietPool({ connectionString, max: 4 });
  await migrate(pool);
  await pool.query(`create table mark (transaction_id text not null); create table held (id text primary key);
    insert into held values ('one'), ('hot')`);
  activities = participantActivities(declared, { pool, timeouts: TIMEOUTS });
});
afterAll(async () => {
  await Promise.all([pool.end(), narrowPool.end()]);
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

let count = 0;
const newIds = (size: number): string[] => Array.from({ length: size }, () => `set-${++count}`);
const request = (transaction: string, input: Input = {}, more: object = {}) => ({
  transaction,
  branch: 'marks.mark',
  input,
  ...more,
});
const marking = (id: string, input?: Input, more?: object) => ({
  activity: 'mark',
  request: request(id, input, more),
});

async function ask(items: readonly object[], at = activities): Promise<readonly ManyAnswer[]> {
  const environment = new MockActivityEnvironment({
    startToCloseTimeoutMs: 60_000,
    taskQueue: 'marks',
    workflowExecution: { workflowId: 'group:test:1', runId: 'run' },
  });
  const activity = at[MANY] as (request: object) => Promise<ManyAnswers>;
  const answered: ManyAnswers = await environment.run(activity, { items });
  return answered.answers;
}

interface Asked {
  readonly activity: string;
  readonly request: object | null;
}

/** Asks again, as a group does, for what an activity has ended without: on a busy machine that may be any. */
async function askUntilAnswered(items: readonly Asked[]): Promise<readonly ManyAnswer[]> {
  const answers = [...(await ask(items))];
  for (let left = [...items.keys()]; ;) {
    left = left.filter((at) => answers[at] === 'not-yet');
    if (left.length === 0) return answers;
    const again = await ask(left.map((at) => ({ ...items[at], request: { ...items[at]?.request, again: true } })));
    for (const [i, at] of left.entries()) answers[at] = again[i] ?? 'not-yet';
  }
}

/** `applied`, `applied-before`, a type of failure, or `not-yet`. */
const told = (answers: readonly ManyAnswer[]): string[] =>
  answers.map((one) => {
    if (one === 'not-yet') return one;
    return 'answer' in one ? (one.answer as { answer: string }).answer : String(one.failure.type);
  });

/** How many local transactions have done these. */
async function localTransactionsOf(ids: readonly string[]): Promise<number> {
  const { rows } = await pool.query<{ xid: string }>(
    'select distinct xid::text as xid from txn.branch where transaction_id = any($1)',
    [ids],
  );
  return rows.length;
}
const marksOf = async (ids: readonly string[]): Promise<number> =>
  (await pool.query('select from mark where transaction_id = any($1)', [ids])).rows.length;

/** Locks a row as somebody else does. @returns what lets go of it */
async function hold(row: string): Promise<() => Promise<void>> {
  const client = await pool.connect();
  await client.query('begin');
  await client.query('select from held where id = $1 for update', [row]);
  return async () => {
    await client.query('rollback');
    client.release();
  };
}

describe('branches that may share a local transaction', () => {
  it('are done in several of them when they are many', async () => {
    const ids = newIds(300);
    expect(told(await askUntilAnswered(ids.map((id) => marking(id))))).toEqual(ids.map(() => 'applied'));
    expect(await localTransactionsOf(ids)).toBe(3);
    expect(await marksOf(ids)).toBe(300);
  });

  it('wait for other sets that lock the same row, and stay together', async () => {
    // On a busy machine the other set may take longer than they wait for it, and then they are done one by one.
    for (let tries = 1; ; tries++) {
      const ids = newIds(200);
      const answers = await askUntilAnswered(ids.map((id) => marking(id, { row: 'hot', keepMs: 140 })));
      expect(new Set(told(answers))).toEqual(new Set(['applied']));
      const count = await localTransactionsOf(ids);
      if (count > 2 && tries < 5) continue;
      expect(count).toBe(2);
      return;
    }
  });

  it('are answered while somebody else holds the row that one of them needs', async () => {
    const ids = newIds(20);
    const release = await hold('one');
    const began = performance.now();
    const answers = await ask(ids.map((id, i) => marking(id, i === 7 ? { row: 'one' } : {})));
    // Each of the others would have waited for as long as that one waits for the lock.
    expect(performance.now() - began).toBeLessThan(TIMEOUTS.lockMs);
    expect(told(answers)).toEqual(ids.map((_, i) => (i === 7 ? 'not-yet' : 'applied')));
    await release();
  });

  it('do not share it with one that is asked again', async () => {
    const ids = newIds(10);
    const release = await hold('one');
    const answers = await ask([
      marking(newIds(1)[0]!, { row: 'one' }, { again: true }),
      ...ids.map((id) => marking(id)),
    ]);
    expect(told(answers)).toEqual(['not-yet', ...ids.map(() => 'applied')]);
    expect(await localTransactionsOf(ids)).toBe(1);
    await release();
  });

  it('are left behind together when they hold up the others, and not begun beside themselves', async () => {
    const slow = newIds(2);
    const others = newIds(2);
    const open = closeGate();
    const wishes = slow.map((id) => marking(id, { waits: true }));
    const answers = await ask([...wishes, ...others.map((id) => ({ ...marking(id), activity: 'other' }))]);
    expect(told(answers)).toEqual(['not-yet', 'not-yet', 'applied', 'applied']);
    const again = ask(slow.map((id) => marking(id, { waits: true }, { again: true })));
    open();
    expect(told(await again)).toEqual(['applied', 'applied']);
    expect(await localTransactionsOf(slow)).toBe(1);
    expect(await marksOf(slow)).toBe(2);
  });

  it('are done once where one of them is asked twice', async () => {
    const [twice, otherwise, once] = newIds(3) as [string, string, string];
    const answers = await askUntilAnswered([
      marking(twice),
      marking(once),
      marking(twice),
      marking(otherwise),
      marking(otherwise, { letters: 2 }),
    ]);
    expect(told(answers)).toEqual(['applied', 'applied', 'applied', 'applied', 'InputMismatch']);
    for (const id of [twice, otherwise, once]) expect(await marksOf([id])).toBe(1);
    expect(await localTransactionsOf([twice, otherwise, once])).toBe(1);
  });

  it('do not suffer from what is no request', async () => {
    const ids = newIds(3);
    const none = { activity: 'mark', request: null };
    const malformed = marking('no id!');
    const answers = await askUntilAnswered([
      none,
      malformed,
      { ...none, activity: 'releaseLocks' },
      ...ids.map((id) => marking(id)),
    ]);
    expect(told(answers)).toEqual(['BadRequest', 'BadRequest', 'BadRequest', 'applied', 'applied', 'applied']);
    expect(await localTransactionsOf(ids)).toBe(1);
  });
});

describe('an answer', () => {
  it('that takes long takes one place, however often it is asked for', async () => {
    const narrow = participantActivities(declared, { pool: narrowPool, timeouts: TIMEOUTS });
    const [slow, ...others] = newIds(3) as [string, string, string];
    const open = closeGate();
    const wish = { activity: 'markAlone', request: request(slow, { waits: true }) };
    expect(told(await ask([wish, marking(others[0])], narrow))).toEqual(['not-yet', 'applied']);
    const again = Array.from({ length: 3 }, () => ask([wish], narrow));
    expect(told(await ask([marking(others[1])], narrow))).toEqual(['applied']);
    open();
    for (const answers of await Promise.all(again)) expect(told(answers)).toEqual(['applied']);
    expect(await marksOf([slow])).toBe(1);
  });

  it('that has no room beside the others is told when it is asked for again', async () => {
    const ids = newIds(3);
    const wishes = ids.map((id, i) => marking(id, { letters: i === 0 ? 600_000 : 300_000 }));
    // The first one has room however large it is.
    expect(told(await ask(wishes))).toEqual(['applied', 'not-yet', 'not-yet']);
    const again = wishes
      .slice(1)
      .map(({ request: asked, ...wish }) => ({ ...wish, request: { ...asked, again: true } }));
    expect(told(await ask(again))).toEqual(['applied-before', 'not-yet']);
    expect(told(await ask(again.slice(1)))).toEqual(['applied-before']);
    expect(await marksOf(ids)).toBe(3);
  });
});
