/**
 * What anybody may get wrong, or try: each has its typed error, which says first that nothing was changed, names the field and the limit,
 * shows no stack and nothing that could end a line or turn the writing direction; and nothing has happened. What is held elsewhere is
 * named at the end, so that the list is whole.
 */
import { chownSync, mkdtempSync, chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { Pool } from 'pg';
import { InvalidInput, TransactionClient } from 'temporal-txn/client';
import { defineEventStore, PositionAheadError } from 'temporal-txn/outbox';
import { grantWorker, participantActivities } from 'temporal-txn/participant';
import { PostgresServer } from 'temporal-txn/testing';
import { runParticipant } from 'temporal-txn/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quietPool } from '../quiet-pool';
import { accounts } from '../../activities/accounts/operations';
import { setUpService } from '../../activities/setup';
import { Ballot, parseBranchId, parseTransactionId } from '../../src/protocol';
import { NOWHERE } from '../cli/fixture';

const SAYS_FIRST = /^Nothing was (changed|started|read|appended|sent): /;

/** What was thrown, if it is what it should be. */
async function refusedWith(name: string, work: () => unknown): Promise<Error> {
  const error: unknown = await Promise.resolve()
    .then(work)
    .then(
      () => expect.fail('It was accepted.'),
      (thrown: unknown) => thrown,
    );
  expect(error).toMatchObject({ name });
  const { message } = error as Error;
  expect(message).toMatch(SAYS_FIRST);
  expect(message).toMatch(/^[\x20-\x7e]+$/);
  expect(message.length).toBeLessThan(800);
  return error as Error;
}

/** A client whose server must not be asked. */
const asked: (string | symbol)[] = [];
const silent = new TransactionClient({
  client: new Proxy({} as Client, {
    get: (_, property) => {
      asked.push(property);
      throw new Error('The server was asked.');
    },
  }),
});

/** Small in memory, and without end as JSON. */
const doubled = (times: number): unknown => (times === 0 ? {} : ((half) => [half, half])(doubled(times - 1)));
const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

describe('an input', () => {
  class Euro {
    constructor(readonly amount: number) {}
  }
  class Sum {
    constructor(readonly amount: number) {}
    get total(): number {
      return this.amount;
    }
  }
  const itself: { self?: unknown } = {};
  itself.self = [itself];
  const fields = (input: unknown): InvalidInput =>
    new InvalidInput('bad-input', (input as InvalidInput).at, (input as InvalidInput).problem);

  it.each<[string, unknown, string, RegExp]>([
    ['of 2 MB and a byte', 'x'.repeat(1_999_999), '', /has more than 2000000 bytes of JSON/],
    [
      'nested 10,000 levels deep',
      nested(10_000),
      `${'[0]'.repeat(27).slice(0, 79)}... (602 characters)`,
      /nested more than 200 levels deep/,
    ],
    ['nested 202 levels deep', nested(202), '[0]', /nested more than 200 levels deep/],
    ['that contains itself', itself, '.self[0]', /contains itself/],
    ['with a BigInt', { amount: 100n }, '.amount', /is a bigint, which JSON has no number for: send it as a text/],
    ['with a Date', { due: new Date(0) }, '.due', /is a Date, which JSON would change/],
    ['that is a Date', new Date(0), '', /is a Date/],
    ['with a Buffer', { key: Buffer.from('k') }, '.key', /is a Buffer, which JSON would change/],
    ['with a typed array', [new Float64Array(1)], '[0]', /is a Float64Array/],
    ['with a Map', { items: new Map() }, '.items', /is a Map/],
    ['with a Set', { items: new Set() }, '.items', /is a Set/],
    ['with a URL', { url: new URL('https://example.org') }, '.url', /is a URL/],
    ['with undefined in a list', { items: [1, undefined] }, '.items[1]', /is undefined, in a list/],
    ['with a hole in a list', { items: Array(1) }, '.items[0]', /is undefined, in a list/],
    ['with NaN', { amount: NaN }, '.amount', /is NaN, which JSON has no number for/],
    ['with Infinity', { a: [{ amount: -Infinity }] }, '.a[0].amount', /is -Infinity/],
    ['with a function', { then: () => 0 }, '.then', /is a function/],
    ['with a symbol', { kind: Symbol('x') }, '.kind', /is a symbol/],
    ['with a promise', { amount: Promise.resolve(1) }, '.amount', /is a Promise/],
    ['with a NaN in a box', { amount: new Number(NaN) }, '.amount', /is a Number, which JSON would change/],
    ['with a BigInt in a box', { amount: Object(1n) as unknown }, '.amount', /is a BigInt, which JSON would change/],
    ['with an Error', { cause: new TypeError('x') }, '.cause', /is a TypeError, which JSON would change/],
    ['with a RegExp', { like: /x/ }, '.like', /is a RegExp/],
    ['with a WeakMap', { items: new WeakMap() }, '.items', /is a WeakMap/],
    ['with an AbortSignal', { stop: AbortSignal.abort() }, '.stop', /is an? AbortSignal/],
    ['with an Intl.NumberFormat', { as: new Intl.NumberFormat() }, '.as', /is a NumberFormat/],
    ['of a class that computes', new Sum(1), '', /has a field "total" that is computed by its class/],
    [
      'with a field that is computed',
      {
        get amount() {
          return asked.push('read');
        },
      },
      '',
      /has a field "amount" that is computed/,
    ],
    [
      'with a field that throws',
      {
        get amount() {
          throw new Error('s3cret');
        },
      },
      '',
      /has a field "amount" that is computed/,
    ],
    ['with a field named by a symbol', { [Symbol('amount')]: 1 }, '', /has a field named by a symbol/],
    [
      'with a hidden field',
      Object.defineProperty({}, 'amount', { value: 1 }),
      '',
      /has a field "amount" that is not enumerable/,
    ],
    [
      'with a list that has a field',
      { items: Object.assign([1], { total: 1 }) },
      '.items',
      /is a list with a field "total"/,
    ],
    ['with one thing in a trillion places', doubled(40), '', /has more than 2000000 bytes of JSON/],
    ['with a Proxy', { amount: new Proxy({}, {}) }, '.amount', /is a Proxy/],
    ['under a name that turns the line', { 'a\u202eb\n': NaN }, '.a\\u202eb\\n', /is NaN/],
  ])('%s is refused before anything is sent', async (_, input, at, problem) => {
    for (const call of ['start', 'execute'] as const) {
      const error = await refusedWith('InvalidInput', () => silent[call]('any', { id: 'bad-input', input }));
      expect(error).toMatchObject({ id: 'bad-input', problem: expect.stringMatching(problem) });
      expect((error as InvalidInput).at.startsWith(at)).toBe(true);
      expect(error.message).toBe(fields(error).message);
    }
    expect(asked).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['of 2 MB', 'x'.repeat(1_999_998)],
    ['of 2 MB in a list', { ab: Array<number>(999_996).fill(1) }],
    ['nested 200 levels deep', nested(200)],
    ['with a field without a value', { note: undefined }],
    ['that holds one thing twice', [itself.self].map(() => ({ a: EMPTY, b: EMPTY }))],
    ['of a class without a form of its own', new Euro(1)],
    ['without a prototype', Object.assign(Object.create(null) as object, { a: 1 })],
    [
      'that aims at the prototype',
      JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}'),
    ],
    ['with characters that need care', 'NUL \0, \u202e, \ud800, 😀, $$, \\, \'"'],
  ])('%s is none of these', async (_, input) => {
    await expect(silent.start('any', { id: 'good-input', input })).rejects.toThrow('The server was asked.');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

const EMPTY = {};

describe('the id of a new transaction', () => {
  it.each(['x'.repeat(1_001), 'transfer+2', '', 'a b', 'a\0', '../x', '__proto__'])('is not %j', async (id) => {
    const error = await refusedWith('InvalidIdentifier', () => silent.start('any', { id, input: null }));
    expect(error).toMatchObject({ field: 'transaction id', value: id });
    expect(error.message.length).toBeLessThan(400);
  });
});

describe('a vote', () => {
  const transaction = parseTransactionId('transfer-1');
  const [first, second] = [parseBranchId('a'), parseBranchId('b')];
  const cast = (...votes: readonly object[]): string => {
    const ballot = new Ballot(transaction, [
      { branch: first, token: 'one', evidence: 'vote' },
      { branch: second, token: 'two', evidence: 'vote' },
    ]);
    let reception = '';
    for (const vote of votes) {
      if ('close' in vote) ballot.close();
      else reception = ballot.receive({ transaction, branch: first, token: 'one', vote: 'commit', ...vote });
    }
    return reception;
  };

  it.each<[string, string, readonly object[]]>([
    ['after the close', 'closed', [{ close: true }, {}]],
    ['for an unknown branch', 'unknown-branch', [{ branch: 'c' }]],
    ['to commit after one to abort', 'contradictory', [{ vote: 'abort' }, {}]],
    ['with the token of another branch', 'wrong-token', [{ token: 'two' }]],
    ['with a token that is an object', 'wrong-token', [{ token: { toString: () => 'one' } }]],
    ['of another transaction', 'unknown-transaction', [{ transaction: 'transfer-2' }]],
    ['that is no vote', 'malformed', [{ vote: 'yes' }]],
  ])('%s is dropped and counted: %s', (_, reception, votes) => {
    expect(cast(...votes)).toBe(reception);
  });
});

describe('a service', () => {
  let server: PostgresServer;
  let home: string;
  let pool: Pool;
  let url: string;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'txn-bad-input-'));
    chmodSync(home, 0o711);
    server = await PostgresServer.start({ directory: home, durable: false });
    url = await server.createService('north_bank');
    await setUpService('north-bank', url);
    pool = quietPool({ connectionString: url, max: 4 });
  });
  afterAll(async () => {
    await pool?.end();
    await server?.stop();
    // A participant that is refused has no worker whose end would end it, and the next test file wants one of its own.
    await Runtime.instance().shutdown();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });

  const ask = (activity: string, input: unknown, transaction = 'bad-input'): Promise<unknown> => {
    const run = participantActivities(accounts, { pool })[activity] as (request: object) => Promise<unknown>;
    return new MockActivityEnvironment({ startToCloseTimeoutMs: 10_000 }, { logger: new DefaultLogger('ERROR') }).run(
      run,
      { transaction, branch: 'debit', input, register: 'north-bank', token: 't', votes: 'answer' },
    );
  };
  const rows = async (): Promise<number> =>
    (
      await pool.query(
        "select from txn.branch where state = 'applied' union all select from entry where transaction_id like 'bad-%'",
      )
    ).rowCount ?? 0;

  it.each<[string, unknown]>([
    ['0', 0],
    ['negative', -1],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['-0', -0],
    ['0.1 + 0.2', 0.1 + 0.2],
    ['2^53 + 1', 2 ** 53 + 1],
    ['a text', '100'],
    ['a list', [1]],
    ['null', null],
  ])('refuses an amount that is %s, for good, and books nothing', async (what, amount) => {
    const transaction = `bad-amount-${what.replace(/\W/g, '-')}`;
    const input = { account: 'alice', amount, currency: 'EUR' };
    const refused = { type: 'Refusal', nonRetryable: true, details: [{ code: 'invalid-input' }] };
    await expect(ask('debit', input, transaction)).rejects.toMatchObject(refused);
    await expect(ask('debit', input, transaction)).rejects.toThrow(
      /invalid-input: amount: must be a whole number of minor units/,
    );
    expect(await ask('debit.prepare', input, `${transaction}-2`)).toMatchObject({ vote: 'abort' });
    expect(await rows()).toBe(0);
  });

  it('refuses a currency that its account does not have', async () => {
    const input = { account: 'alice', amount: 1, currency: 'USD' };
    await expect(ask('debit', input, 'bad-currency')).rejects.toMatchObject({ type: 'Refusal', nonRetryable: true });
    expect(await rows()).toBe(0);
  });

  it.each(['debit', 'debit.compensate', 'debit.query', 'debit.prepare', 'debit.abort'])(
    'refuses to %s what is nested 10,000 levels deep',
    async (activity) => {
      const failure = ask(activity, nested(10_000), 'bad-depth');
      await expect(failure).rejects.toMatchObject({ type: 'BadRequest', nonRetryable: true });
      await expect(failure).rejects.toThrow(
        /^Nothing was changed: the input of branch debit .* more than 200 levels deep/,
      );
      const { rowCount } = await pool.query("select from txn.branch where transaction_id = 'bad-depth'");
      expect(rowCount).toBe(0);
    },
  );

  it('is not touched by a name of the prototype', async () => {
    const input = JSON.parse(
      '{"account": "alice", "amount": 1, "currency": "EUR", "__proto__": {"polluted": 1}}',
    ) as object;
    await ask('debit', input, 'prototype').catch(() => undefined);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it.each<[string, object]>([
    ['0', { lockMs: 0 }],
    ['negative', { statementMs: -1 }],
    ['ages', { startToCloseMs: 1e12 }],
    ['of another age', { lockMs: '5 lightyears' }],
    ['NaN', { idleInTransactionMs: NaN }],
    ['in the wrong order', { lockMs: 5_000, statementMs: 5_000 }],
  ])('is not served with a timeout that is %s', async (_, timeouts) => {
    await refusedWith('InvalidTimeouts', () => participantActivities(accounts, { pool, timeouts }));
  });

  it('whose events are read from a position that there never was says so', async () => {
    const store = defineEventStore<{ Opened: object }>({ Opened: [] });
    const read = async (): Promise<void> => {
      for await (const event of store.subscribe(pool, { after: 4_711, stop: new AbortController().signal }))
        expect.fail(`It has read ${event.id}.`);
    };
    const error = await refusedWith('PositionAheadError', read);
    expect(error).toMatchObject({ after: 4_711, last: 0 });
    expect(error).toBeInstanceOf(PositionAheadError);
  });

  /** Where a worker would be started that must not run. */
  const start = (connectionString: string, more: object = {}): Promise<unknown> =>
    runParticipant(accounts, {
      name: 'north-bank',
      database: { connectionString },
      temporal: { address: NOWHERE },
      twoPhaseCommit: true,
      ...more,
    });

  describe('is not served', () => {
    let worker: string;
    const asAdmin = async (...statements: string[]): Promise<void> => {
      const admin = new URL(server.adminUrl);
      admin.pathname = '/north_bank';
      const client = quietPool({ connectionString: admin.href, max: 1 });
      for (const statement of statements) await client.query(statement);
      await client.end();
    };
    beforeAll(async () => (worker = await server.createServiceWorker('north_bank')));

    it('under a role that may not use its schema', async () => {
      const error = await refusedWith('MissingRightsError', () => start(worker));
      expect(error).toMatchObject({ role: 'north_bank_worker', missing: [] });
      expect(error.message).toContain(
        'lacks usage of schema txn. Grant it with the role that owns the schema: grantWorker(',
      );
    });

    it('under a role that lacks a right', async () => {
      await grantWorker(pool, 'north_bank_worker');
      await pool.query(
        'revoke update on txn.branch from north_bank_worker; revoke insert on txn.decision from north_bank_worker',
      );
      const error = await refusedWith('MissingRightsError', () => start(worker));
      expect(error.message).toContain('role "north_bank_worker" lacks update on txn.branch; insert on txn.decision.');
      await grantWorker(pool, 'north_bank_worker');
    });

    it('once a table is gone', async () => {
      await asAdmin('alter table txn.decision rename to elsewhere');
      const error = await refusedWith('MissingTableError', () => start(worker));
      expect(error).toMatchObject({ tables: ['decision'] });
      await asAdmin('alter table txn.elsewhere rename to decision');
    });

    it('with the schema of another version', async () => {
      await asAdmin(
        'update txn.migration set version = version + 100 where version = (select max(version) from txn.migration)',
      );
      expect(await refusedWith('SchemaVersionError', () => start(worker))).toMatchObject({ found: expect.any(Number) });
      await asAdmin('update txn.migration set version = version - 100 where version > 100');
    });

    it('without a schema', async () => {
      const bare = await server.createService('bare');
      expect(await refusedWith('SchemaVersionError', () => start(bare))).toMatchObject({ found: 0 });
    });

    it('with a connection string that is none, which is not shown', async () => {
      const error = await refusedWith('InvalidDatabaseSettingsError', () =>
        start('postgresql://app:s3cret-w0rd@h:port/bank'),
      );
      expect(error.message).not.toContain('s3cret-w0rd');
    });

    it('without prepared transactions, nor on a standby', async () => {
      const second = mkdtempSync(join(tmpdir(), 'txn-standby-'));
      chmodSync(second, 0o711);
      const none = { max_prepared_transactions: 0 };
      let other = await PostgresServer.start({ directory: second, durable: false, settings: none });
      try {
        const its = new URL(await other.createService('north_bank'));
        await setUpService('north-bank', its.href);
        const disabled = await refusedWith('PreparedTransactionsDisabledError', () => start(its.href));
        expect(disabled.message).toContain(
          "participant 'north-bank': PREPARE TRANSACTION is disabled (max_prepared_transactions = 0)",
        );
        await other.stop();
        // What makes a standby of a server: this file, at its start.
        const data = join(other.directory, 'data');
        const signal = join(data, 'standby.signal');
        const { uid, gid } = statSync(data);
        writeFileSync(signal, '');
        chownSync(signal, uid, gid);
        other = await PostgresServer.start({ directory: second, durable: false, settings: none });
        its.port = String(other.port);
        expect((await refusedWith('StandbyError', () => start(its.href))).message).toContain('SQLSTATE 25006');
      } finally {
        await other.stop();
        rmSync(second, { recursive: true, force: true, maxRetries: 5 });
      }
    });
  });
});

/** The rest of the list: what somebody may get wrong, and the words of the test that tries it. */
const ELSEWHERE: readonly (readonly [string, string, string])[] = [
  [
    'ids: NUL, quotes, backslash, $$, U+202E, surrogates, __proto__, ../',
    'test/saga-more/start.test.ts',
    'a right-to-left override',
  ],
  [
    'ids in the names of prepared transactions',
    'test/prepared/gid.test.ts',
    'a branch is prepared and aborted whatever is in its input',
  ],
  ['branch list empty, 65, one id twice', 'test/two-phase-commit/definition.test.ts', "['65 branches', many(65)"],
  ['branches that are no list, from a client', 'test/two-phase-commit/definition.test.ts', 'branches that are no list'],
  [
    'timeout 0, negative, 1e12, 5 lightyears of a commit',
    'test/two-phase-commit/definition.test.ts',
    'a duration of another age',
  ],
  ['the same of a step', 'test/saga/definition.test.ts', '5 lightyears'],
  ['retry 0 and Infinity of a commit', 'test/two-phase-commit/definition.test.ts', "['no attempts', THREE"],
  ['retry 0 and Infinity of a step', 'test/saga/definition.test.ts', 'a retry policy that is none'],
  [
    'started twice, with the same and with another input',
    'test/saga-more/start.test.ts',
    'is refused with another input',
  ],
  ['participant unknown', 'test/two-phase-commit/timeouts.test.ts', 'because nobody polls its queue'],
  ['same database twice', 'test/cli/doctor.test.ts', 'two names of one database'],
  ['pgbouncer that shares sessions', 'test/cli/doctor.test.ts', 'sessions: a pooler that shares them'],
  ['a result of cycles, BigInt, 1 MiB + 1', 'test/branch-log/failures.test.ts', 'more than 1 MiB in UTF-8'],
  ['votes of every kind, in a workflow', 'test/two-phase-commit/votes.test.ts', 'contradicts an earlier one'],
  ['a vote after the end', 'test/clients/questions.test.ts', 'is not voted on once it has ended'],
  ['wrong gid', 'test/prepared/gid.test.ts', 'is not %j'],
  ["another tenant's gid", 'test/prepared/gid.test.ts', 'two deployments that would use one name on one server'],
  ['expectedVersion -1, 1.5, 2^31', 'test/outbox/event-store/append.test.ts', '[-1, 1.5, 2 ** 31'],
  ['outbox payload', 'test/outbox/append.test.ts', 'out of its limits is refused, and nothing is sent'],
  ['a compensation that throws', 'test/saga/held.test.ts', 'is held, and shows that it needs a person and where'],
  ['no compensation', 'test/branch-log/failures.test.ts', 'without compensate says that its effect stays'],
  ['a clock that is off', 'test/cli/doctor.test.ts', 'clock: this machine is a minute ahead'],
  [
    'a database off this machine in plain text',
    'test/security/database-connection.test.ts',
    'is refused in plain text',
  ],
  [
    'Temporal off this machine in plain text',
    'test/security/temporal-connection.test.ts',
    'a connection in plain text',
  ],
  ['passwords in what is printed', 'test/security/secrets.test.ts', 'is printed by nobody'],
];

describe('the rest of the list', () => {
  it.each(ELSEWHERE)('%s: %s', (_, file, words) => {
    expect(readFileSync(resolve(__dirname, '../..', file), 'utf8')).toContain(words);
  });
});
