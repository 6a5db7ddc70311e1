/** What crosses to the coordinator when a branch fails: whether a retry can help, and nothing of the service's data. */
import { ApplicationFailureCategory } from '@temporalio/common';
import { defineParticipant, operation, participantActivities, refuse, semanticLock } from 'temporal-txn/participant';
import { describe, expect, it } from 'vitest';
import { usePostgres } from '../participant/fixture';
import { settled, useLedger } from './fixture';
import { z } from 'zod';

const test = useLedger(usePostgres(), 'failures');

const BAD_REQUEST = { type: 'BadRequest', nonRetryable: true };
const BENIGN = ApplicationFailureCategory.BENIGN;

describe('a result', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;

  it.each<[string, unknown]>([
    ['a bigint', { id: 1n }],
    ['a cycle', cyclic],
    [
      'what cannot be read',
      {
        toJSON: () => {
          throw new Error('unreadable');
        },
      },
    ],
    ['more than 1 MiB', 'x'.repeat(1024 * 1024 - 1)],
    ['more than 1 MiB in UTF-8', 'ü'.repeat(512 * 1024)],
  ])('of %s is not committed', async (_, result) => {
    const branch = test.ledger.branch();
    await expect(branch.execute(async () => result)).rejects.toMatchObject(BAD_REQUEST);
    expect(await branch.row()).toBeUndefined();
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });

  it.each<[string, unknown, unknown]>([
    ['undefined', undefined, null],
    ['a function', () => 1, null],
    ['NaN', { n: NaN }, { n: null }],
    ['a date', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
    ['a field without value', { a: undefined, b: 1 }, { b: 1 }],
    ['exactly 1 MiB', 'x'.repeat(1024 * 1024 - 2), 'x'.repeat(1024 * 1024 - 2)],
  ])('of %s is told the first time as it is told ever after', async (_, result, told) => {
    const branch = test.ledger.branch();
    expect(await branch.execute(async () => result)).toStrictEqual({ answer: 'applied', result: told });
    expect(await branch.execute()).toStrictEqual({ answer: 'applied-before', result: told });
  });
});

describe('an input that the operation does not take', () => {
  it('is refused for good, with the fields that are wrong', async () => {
    const branch = test.ledger.branch({ operation: 'strictMark', input: { order: { lines: [1, 'two', -3] } } });
    const failure = await settled(branch.execute());
    expect(failure).toMatchObject({ type: 'Refusal', nonRetryable: true, category: BENIGN });
    const [{ code, details }] = (failure as { details: [{ code: string; details: { field: string }[] }] }).details;
    expect({ code, fields: details.map(({ field }) => field) }).toEqual({
      code: 'invalid-input',
      fields: ['order.lines.1', 'order.lines.2'],
    });
    expect(await branch.row()).toMatchObject({ state: 'refused', refusal: { code: 'invalid-input' } });
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });

  it.each([null, undefined, 'text', [], { order: null }])('is refused whatever it is: %j', async (input) => {
    const branch = test.ledger.branch({ operation: 'strictMark', input });
    await expect(branch.execute()).rejects.toMatchObject({ type: 'Refusal' });
    await expect(branch.execute()).rejects.toMatchObject({ type: 'Refusal' });
    expect(await branch.compensate()).toEqual({ answer: 'nothing-to-compensate' });
  });

  it('names ten problems at most', async () => {
    const lines = Array.from({ length: 50 }, () => 'no number');
    const failure = await settled(
      test.ledger.branch({ operation: 'strictMark', input: { order: { lines } } }).execute(),
    );
    expect((failure as { details: [{ details: unknown[] }] }).details[0].details).toHaveLength(10);
  });
});

describe('a failure', () => {
  it('of an operation without compensate says that its effect stays', async () => {
    const branch = test.ledger.branch({ operation: 'finalMark' });
    await branch.execute();
    await expect(branch.compensate()).rejects.toMatchObject(BAD_REQUEST);
    expect(await branch.state()).toBe('applied');
  });

  it.each<[string, object, (branch: ReturnType<typeof test.ledger.branch>) => Promise<unknown>]>([
    ['Refusal', { nonRetryable: true, category: BENIGN }, (branch) => branch.execute(async () => refuse('no', 'No'))],
    [
      'BranchFenced',
      { nonRetryable: true, category: BENIGN },
      (branch) => branch.compensate().then(() => branch.execute()),
    ],
    ['BadRequest', { nonRetryable: true, category: BENIGN }, (branch) => branch.execute((tx) => tx.query('commit'))],
    ['OperationFailed', { nonRetryable: false }, (branch) => branch.execute(() => Promise.reject(new Error('no')))],
    ['OperationFailed', { nonRetryable: false }, (branch) => branch.execute(() => Promise.reject(new TypeError('no')))],
    ['OperationFailed', { nonRetryable: false }, (branch) => branch.execute((tx) => tx.query('select 1 / 0'))],
  ])('%s says whether a retry can help: %o', async (type, rest, ask) => {
    expect(await settled(ask(test.ledger.branch()))).toMatchObject({ type, ...rest });
  });

  it('of a semantic lock is retried, and does not say that anything is wrong with the request', async () => {
    const resource = 'order/1';
    const first = test.ledger.branch();
    await first.execute((tx) => semanticLock(tx, resource));
    const second = test.ledger.branch();
    const blocked = settled(second.execute((tx) => semanticLock(tx, resource)));
    expect(await blocked).toMatchObject({ type: 'ResourceLocked', nonRetryable: false });
    await first.compensate();
    expect(await second.execute((tx) => semanticLock(tx, resource))).toMatchObject({ answer: 'applied', locks: true });
    expect(await second.query()).toMatchObject({ answer: 'applied', locks: true });
  });

  const SECRET = 'DE89370400440532013000';
  it.each([
    ['a unique violation', `insert into person values ('${SECRET}', 1)`, /23505.*person_pkey.*person/],
    ['a check violation', `insert into person values ('other-${SECRET}', -1)`, /23514/],
    ['a text that is no number', `select '${SECRET}'::int`, /22P02/],
    ['an exception of a trigger or function', `do $$ begin raise exception 'account ${SECRET}'; end $$`, /P0001/],
    ['a syntax error', `select * from "${SECRET}"`, /42P01/],
  ])('by %s holds nothing of the row', async (_, statement, message) => {
    await test.ledger.rows('create table if not exists person (iban text primary key, age int check (age > 0))');
    await test.ledger.rows(`insert into person values ('${SECRET}', 1) on conflict do nothing`);
    const failure = await settled(test.ledger.branch().execute((tx) => tx.query(statement)));
    expect(failure).toMatchObject({ type: 'OperationFailed', message: expect.stringMatching(message) as string });
    expect(JSON.stringify([failure, (failure as Error).message, (failure as Error).cause ?? null])).not.toContain(
      SECRET,
    );
  });
});

describe('a participant', () => {
  const nothing = operation({ input: z.unknown(), execute: async () => null });
  it.each(['', 'Accounts', '1a', 'a b', 'a'.repeat(64), 'ä'])('cannot have the name %j', (name) => {
    expect(() => defineParticipant(name, {})).toThrow(/^Nothing was changed: the participant name/);
    expect(() => participantActivities({ name, operations: {} }, { pool: test.ledger.pool })).toThrow(
      /participant name/,
    );
  });
  it.each(['', 'Debit', 'a-b', 'a.compensate', '__proto__x', 'a'.repeat(64)])('cannot have an operation %j', (name) => {
    expect(() => defineParticipant('p', { [name]: nothing })).toThrow(/^Nothing was changed: the operation name/);
  });
});
