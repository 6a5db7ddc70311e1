/** However often a branch is asked for, and by whom, it takes effect at most once and gives one answer. */
import { refuse } from 'temporal-txn/participant';
import type { PoolClient } from 'pg';
import { describe, expect, it } from 'vitest';
import { refusal, usePostgres } from '../participant/fixture';
import { gate, settled, useLedger } from './fixture';
import type { Gate } from './fixture';
import type { Ledger } from './ledger';

const test = useLedger(usePostgres(), 'answers');

const FENCED = { type: 'BranchFenced', nonRetryable: true };
const MISMATCH = { type: 'InputMismatch', nonRetryable: true };

/** Lets an attempt of a ledger wait before it has its connection: it has not even begun. Counted from 1. */
function holdUpConnection(ledger: Ledger, which = 1): Gate {
  const held = gate();
  const connect = ledger.pool.connect.bind(ledger.pool);
  let asked = 0;
  const slowly = async (): Promise<PoolClient> => {
    if (++asked === which) await held.pass();
    return connect();
  };
  // pool.query asks with a callback and is left alone.
  Object.assign(ledger.pool, {
    connect: (callback?: Parameters<typeof connect>[0]) => (callback ? connect(callback) : slowly()),
  });
  return held;
}

describe('a branch that was applied', () => {
  const odd = {
    z: 1,
    a: { '10': 'ten', '9': 'nine', b: [1, [2, null]] },
    ' ': '',
    text: 'Grüße, 世界 👩‍👩‍👧 \u202e\u0000\u001f "\\/',
    'clé é e\u0301': 'two spellings',
    lone: '\ud800',
    small: 5e-324,
    big: 1.7976931348623157e308,
    exact: 0.1 + 0.2,
    integer: 9007199254740991,
    exponent: 1e21,
    __proto__x: false,
  };

  it.each([
    ['an object in an odd order with odd texts and numbers', odd],
    ['a list', [3, '2', 1.5, null, {}, []]],
    ['a text', 'a "text"\n'],
    ['a number', 0.1],
    ['false', false],
    ['null', null],
  ])('gives the first result again to the byte: %s', async (_, result) => {
    const branch = test.ledger.branch();
    const first = await branch.execute(async () => result);
    const again = await branch.execute(async () => 'another result');
    expect(JSON.stringify(first)).toBe(JSON.stringify({ answer: 'applied', result }));
    expect(JSON.stringify(again)).toBe(JSON.stringify({ answer: 'applied-before', result }));
    expect(JSON.stringify(await branch.query())).toBe(JSON.stringify({ answer: 'applied', result }));
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
  });

  it('keeps the text of the result, not a reading of it', async () => {
    const branch = test.ledger.branch();
    await branch.execute(async () => odd);
    const [row] = await test.ledger.rows('select result::text as text from txn.branch where transaction_id = $1', [
      branch.asked.transaction,
    ]);
    expect(row).toEqual({ text: JSON.stringify(odd) });
  });

  it('is one of its transaction: other branches and other transactions run as well', async () => {
    const branch = test.ledger.branch();
    const sibling = test.ledger.branch({ ...branch.asked, branch: 'another-branch' });
    const stranger = test.ledger.branch({ branch: branch.asked.branch });
    for (const one of [branch, sibling, stranger]) expect(await one.execute()).toMatchObject({ answer: 'applied' });
  });
});

describe('a branch that was refused', () => {
  it('left nothing behind but the refusal, and repeats it, whatever the operation would say now', async () => {
    const branch = test.ledger.branch();
    const no = refusal('too-late', { message: 'It is 5 o\u2019clock', details: { z: 1, a: [1] } });
    await expect(
      branch.execute(async () => refuse('too-late', 'It is 5 o\u2019clock', { z: 1, a: [1] })),
    ).rejects.toMatchObject(no);
    await expect(branch.execute()).rejects.toMatchObject(no);
    expect(await branch.query()).toEqual({
      answer: 'refused',
      refusal: { code: 'too-late', message: 'It is 5 o\u2019clock', details: { z: 1, a: [1] } },
    });
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
    expect(await branch.state()).toBe('refused');
  });

  it('has nothing to compensate, and stays refused', async () => {
    const branch = test.ledger.branch();
    await settled(branch.execute(async () => refuse('no', 'No')));
    expect(await branch.compensate()).toEqual({ answer: 'nothing-to-compensate' });
    await expect(branch.execute()).rejects.toMatchObject(refusal('no'));
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });

  it.each(['Not A Code', ''])('cannot be refused without a proper code: %j', async (code) => {
    const branch = test.ledger.branch();
    await expect(branch.execute(async () => refuse(code, 'No'))).rejects.toMatchObject({ type: 'OperationFailed' });
    expect(await branch.row()).toBeUndefined();
  });

  it('cannot be refused with details that JSON cannot hold; the operation is to be mended', async () => {
    const branch = test.ledger.branch();
    await expect(branch.execute(async () => refuse('no', 'No', { id: 1n }))).rejects.toMatchObject({
      type: 'BadRequest',
      nonRetryable: true,
    });
    expect(await branch.row()).toBeUndefined();
  });
});

describe('an attempt that was given up for dead and comes back', () => {
  it('has no effect once a later attempt was refused, when it had not begun', async () => {
    const zombie = test.another();
    const branch = test.ledger.branch();
    const held = holdUpConnection(zombie);
    const late = settled(branch.at(zombie).execute());
    await held.reached;
    await settled(branch.execute(async () => refuse('no', 'No')));
    held.open();
    expect(await late).toMatchObject(refusal('no'));
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });

  it('has no effect once the branch was fenced off, when it had not begun', async () => {
    for (const settle of ['compensate', 'query'] as const) {
      const zombie = test.another();
      const branch = test.ledger.branch();
      const held = holdUpConnection(zombie);
      const late = settled(branch.at(zombie).execute());
      await held.reached;
      await branch[settle]();
      held.open();
      expect(await late).toMatchObject(FENCED);
      expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
    }
  });

  const SHORT = { lockMs: 3_000, statementMs: 4_000, idleInTransactionMs: 300_000 };

  it.each([
    ['refused', (branch: ReturnType<Ledger['branch']>) => branch.execute(async () => refuse('no', 'No')), 'refused'],
    ['compensated', (branch: ReturnType<Ledger['branch']>) => branch.compensate(), 'fenced'],
    ['asked about', (branch: ReturnType<Ledger['branch']>) => branch.query(), 'fenced'],
  ])('has no effect when it stood in its transaction, lost it, and the branch was %s', async (_, settle, state) => {
    // Its session is ended, as idle_in_transaction_session_timeout does; whoever waits for the key then goes on.
    const patient = test.another({ timeouts: { ...SHORT, startToCloseMs: 400_000 }, startToCloseMs: 400_000 });
    const branch = test.ledger.branch();
    const held = gate();
    let pid = 0;
    const late = settled(
      branch.execute(async (tx) => {
        pid = Number((await tx.query('select pg_backend_pid() as pid')).rows[0]?.['pid']);
        await held.pass();
        await tx.query(`insert into mark (transaction_id, branch_id, kind) values ($1, $2, 'effect')`, [
          tx.transaction,
          tx.branch,
        ]);
      }),
    );
    await held.reached;
    const settling = settled(settle(branch.at(patient)));
    await test.ledger.rows('select pg_terminate_backend($1, 5000)', [pid]);
    await settling;
    held.open();
    expect(await late).toMatchObject({ type: 'OperationFailed', nonRetryable: false });
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
    expect(await branch.state()).toBe(state);
  });

  it('makes a refusal give way, when it took effect between the rollback and the refusal', async () => {
    const branch = test.ledger.branch();
    const slow = test.another({ max: 1 });
    const held = holdUpConnection(slow, 2);
    const refused = branch.at(slow).execute(async () => refuse('no', 'No'));
    await held.reached;
    await branch.execute(async () => 'yes');
    held.open();
    expect(await refused).toEqual({ answer: 'applied-before', result: 'yes' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
  });
});

describe('a branch that is asked for with something else under its name', () => {
  const others = [
    ['input', { input: { key: 'b' } }],
    ['operation', { operation: 'otherMark' }],
    ['transaction input', { request: 'hash-2' }],
  ] as const;

  describe.each(others)('another %s', (what, other) => {
    it.each(['applied', 'refused', 'compensated', 'fenced'])('changes nothing where it is %s', async (state) => {
      const branch = test.ledger.branch({ request: 'hash-1' });
      if (state === 'refused') await settled(branch.execute(async () => refuse('no', 'No')));
      if (state === 'applied' || state === 'compensated') await branch.execute();
      if (state === 'compensated' || state === 'fenced') await branch.compensate();
      const before = { row: await branch.row(), marks: await branch.marks() };
      expect(before.row).toMatchObject({ state });

      for (const ask of ['execute', 'compensate', 'query'] as const) {
        const asked = settled(branch.as(other)[ask]());
        expect(await asked).toMatchObject({
          ...MISMATCH,
          message: expect.stringContaining(`another ${what}`) as string,
        });
      }
      expect({ row: await branch.row(), marks: await branch.marks() }).toEqual(before);
    });
  });

  it('is the same when only the keys are in another order', async () => {
    const branch = test.ledger.branch({ input: { b: [1, { d: 1, c: 2 }], a: 'x' } });
    await branch.execute();
    const turned = branch.as({ input: { a: 'x', b: [1, { c: 2, d: 1 }] } });
    expect(await turned.execute()).toMatchObject({ answer: 'applied-before' });
    expect(await turned.compensate()).toEqual({ answer: 'compensated' });
  });

  it.each([
    ['order of a list', { list: [1, 2] }, { list: [2, 1] }],
    ['a text instead of a number', { n: 1 }, { n: '1' }],
    ['null instead of nothing', { n: null }, {}],
    ['another spelling of one character', { n: 'é' }, { n: 'e\u0301' }],
  ])('is another one by the %s', async (_, input, other) => {
    const branch = test.ledger.branch({ input });
    await branch.execute();
    await expect(branch.as({ input: other }).execute()).rejects.toMatchObject(MISMATCH);
  });

  it('cannot be told apart where one of both gives no transaction input', async () => {
    const branch = test.ledger.branch();
    await branch.execute();
    expect(await branch.as({ request: 'hash-1' }).execute()).toMatchObject({ answer: 'applied-before' });
  });
});

describe('a malformed request', () => {
  it.each([
    ['transaction', { transaction: ' ' }],
    ['transaction', { transaction: "x'; drop table mark; --" }],
    ['branch', { branch: 'a\u202e' }],
    ['branch', { branch: '' }],
  ])('is refused for its %s id before anything is written: %o', async (_, asked) => {
    const branch = test.ledger.branch(asked);
    for (const ask of ['execute', 'compensate', 'query'] as const)
      await expect(branch[ask]()).rejects.toMatchObject({ type: 'BadRequest', nonRetryable: true });
    expect(await branch.row()).toBeUndefined();
  });
});
