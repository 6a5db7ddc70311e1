/**
 * What an operation may not do with its transaction. Each attempt to end it, or to leave something on the pooled connection,
 * fails; nothing of it takes effect, and whoever gets the connection next finds it clean.
 */
import type { Tx } from 'temporal-txn/participant';
import { beforeAll, describe, expect, it } from 'vitest';
import { usePostgres } from '../participant/fixture';
import { settled, useLedger } from './fixture';

// One connection only: what one attempt leaves behind is what the next one gets.
const test = useLedger(usePostgres(), 'guard');
const onlyConnection = { max: 1 };

beforeAll(async () => {
  await test.ledger.rows('create procedure commits() language plpgsql as $$ begin commit; end $$');
  await test.ledger.rows('create procedure rolls_back() language plpgsql as $$ begin rollback; end $$');
  await test.ledger.rows('create table parent (id int primary key)');
  await test.ledger.rows('create table child (id int references parent deferrable initially immediate)');
  // Read back by `whatIsLeft`.
  await test.ledger.rows(`create function session_state() returns table (what text, value text) language sql as $$
    select 'settings', string_agg(name || '=' || setting, ', ' order by name) from pg_settings where source = 'session'
    union all select 'role', current_user || '/' || session_user
    union all select 'locks', count(*)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
    union all select 'channels', count(*)::text from pg_listening_channels()
    union all select 'prepared', count(*)::text from pg_prepared_statements where name not like 'txn %'
    union all select 'cursors', count(*)::text from pg_cursors where is_holdable
    union all select 'temporary', count(*)::text from pg_class where relnamespace = pg_my_temp_schema() and relkind in ('r', 'S', 'v')
  $$`);
});

const CLEAN = {
  settings: null,
  role: 'guard/guard',
  locks: '0',
  channels: '0',
  prepared: '0',
  cursors: '0',
  temporary: '0',
};

async function attempt(
  body: (tx: Tx) => Promise<unknown>,
): Promise<{ failure: unknown; left: object; row: unknown; marks: object }> {
  const alone = test.another(onlyConnection);
  const branch = alone.branch();
  const before = await alone.rows('select pg_backend_pid() as pid');
  const failure = await settled(branch.execute(body));
  const after = await alone.rows('select pg_backend_pid() as pid');
  const rows = await alone.rows('select what, value from session_state()');
  const left = Object.fromEntries(rows.map(({ what, value }) => [what, value] as const)) as object;
  // A connection that is closed leaks nothing, but closing it is for accidents; no rule is enforced that way.
  expect(after).toEqual(before);
  return { failure, left, row: await branch.row(), marks: await branch.marks() };
}

const BAD_REQUEST = { type: 'BadRequest', nonRetryable: true };
const NOTHING = { row: undefined, marks: { effects: 0, undos: 0 }, left: CLEAN };

describe('a statement that ends the transaction', () => {
  it.each([
    'commit',
    'COMMIT',
    '  Commit work ;',
    'commit and chain',
    'commit and no chain',
    "commit prepared 'x'",
    'rollback',
    'rollback work',
    'ROLLBACK TRANSACTION',
    'rollback and chain',
    "rollback prepared 'x'",
    'end',
    'end transaction',
    'abort',
    'begin',
    'begin isolation level serializable',
    'start transaction',
    'start\n\ttransaction read only',
    'start/**/transaction',
    "prepare transaction 'x'",
    "prepare/* */transaction 'x'",
    "prepare -- \n transaction 'x'",
    'rollback/**/and chain',
    '-- a comment\ncommit',
    '-- a comment\rcommit',
    '--\r\ncommit',
    '/* a comment */ commit',
    '/**/commit',
    '/* -- */commit',
    '/* /* nested */ */ commit',
    '/* /* /* */ commit */ */ commit',
    '/*/**/*/commit',
    '-- /*\ncommit',
    '-- one\n  /* two */ -- three\n;;\n commit',
    ';commit',
    '; ; commit',
    '\f\v\r\n\tcommit',
  ])('is refused before it is sent: %j', async (statement) => {
    const { failure, ...rest } = await attempt((tx) => tx.query(statement));
    expect(failure).toMatchObject(BAD_REQUEST);
    expect(rest).toEqual(NOTHING);
  });

  it.each([
    'select 1; commit',
    'insert into parent values (1); commit; insert into parent values (2)',
    "select ';'; commit",
    'select $$;$$; rollback',
    'savepoint a; commit',
    '(commit)',
    '\u00a0commit',
    '\u2003commit',
    '\ufeffcommit',
    '\u200bcommit',
    'do $$ begin commit; end $$',
    'do $$ begin rollback; end $$',
    `do 'begin execute ''commit''; end'`,
    'call commits()',
    'call rolls_back()',
    'explain analyze commit',
    'prepare plan as commit',
    'vacuum',
    'create database other',
    'commit\u0000',
    'select 1\u0000; commit',
  ])('is refused by the server or before: %j', async (statement) => {
    const { failure, ...rest } = await attempt((tx) => tx.query(statement));
    expect(failure).toMatchObject({ name: 'ApplicationFailure' });
    expect(rest).toEqual(NOTHING);
  });

  it('is refused by the server although it has values beside it', async () => {
    const { failure, ...rest } = await attempt((tx) => tx.query('insert into parent values ($1); commit', [1]));
    expect(failure).toMatchObject({ name: 'ApplicationFailure' });
    expect(rest).toEqual(NOTHING);
  });

  it.each(['select 1; commit', 'do $$ begin commit; end $$', 'call commits()'])(
    'keeps everything from taking effect although its error is caught: %j',
    async (statement) => {
      const { failure, ...rest } = await attempt(async (tx) => {
        await settled(tx.query(statement));
        return 'all is well';
      });
      expect(failure).toMatchObject(BAD_REQUEST);
      expect((failure as Error).message).toMatch(
        /^Nothing was changed: a statement had failed and its error was caught/,
      );
      expect(rest).toEqual(NOTHING);
    },
  );
});

describe('a statement that outlives the transaction', () => {
  it.each([
    'set search_path = pg_catalog',
    'SET SESSION statement_timeout = 0',
    "set session authorization 'postgres'",
    'set role none',
    "set time zone 'UTC'",
    'set names utf8',
    'set/**/session lock_timeout = 0',
    'set transaction isolation level serializable',
    'set session characteristics as transaction read only',
    'set locale = 1',
    'reset all',
    'reset search_path',
    'listen channel',
    'unlisten *',
    'discard all',
    'discard temp',
    "load 'auto_explain'",
    'prepare plan as select 1',
    'deallocate all',
    'copy mark from stdin',
    'copy mark to stdout',
    'COPY (select 1) TO STDOUT',
    'declare c cursor with hold for select 1',
    'declare c insensitive no scroll cursor with hold for select 1',
    'create temp table t (i int)',
    'create temporary table t as select 1 as i',
    'create local temporary table t (i int)',
    'create or replace temp view v as select 1',
    'create temp sequence s',
    'select 1 as i into temp t',
    'select pg_advisory_lock(1)',
    'select pg_advisory_lock_shared(1)',
    'select pg_try_advisory_lock(1)',
    'select PG_TRY_ADVISORY_LOCK_SHARED (1, 2)',
    'select pg_catalog.pg_advisory_lock(1)',
    'select pg_advisory_lock/**/(1)',
    'select "pg_advisory_lock"(1)',
    'select 1 from pg_advisory_lock(1)',
    'with l as (select pg_advisory_lock(1)) select from l',
    'do $$ begin perform pg_advisory_lock(1); end $$',
    "select set_config('search_path', 'pg_catalog', false)",
    "select pg_catalog.set_config ('search_path', 'pg_catalog', false)",
    `select "set_config"('search_path', 'pg_catalog', false)`,
    "select set_config('search_path', 'pg_catalog', 1 = 2)",
    "select set_config('lock_timeout', '0', true), set_config('search_path', 'pg_catalog', false)",
    "do $$ begin perform set_config('search_path', 'pg_catalog', false); end $$",
    'do $$ begin set search_path = pg_catalog; end $$',
    'do $$ declare i int; begin i := 1; set search_path = pg_catalog; end $$',
    'do $$ begin if true then listen channel; end if; end $$',
    "do $$ begin execute 'set search_path = pg_catalog'; end $$",
    'do $$ begin create temp table t (i int); end $$',
  ])('is refused before it is sent: %j', async (statement) => {
    const { failure, ...rest } = await attempt((tx) => tx.query(statement));
    expect(rest).toEqual(NOTHING);
    expect(failure).toMatchObject(BAD_REQUEST);
  });
});

describe('what callers without types may pass for a statement', () => {
  it.each([
    ['a query object', { text: 'commit' }],
    ['a query object with a mode', { text: 'select 1; commit', queryMode: 'simple' }],
    ['a String object', new String('commit')],
    ['an object that reads as another text each time', { replace: () => 'select 1', toString: () => 'commit' }],
    ['a list', ['commit']],
    ['nothing', undefined],
    ['null', null],
    ['a Buffer', Buffer.from('commit')],
  ])('is refused unless it is a text: %s', async (_, statement) => {
    const { failure, ...rest } = await attempt((tx) => tx.query(statement as string));
    expect(failure).toMatchObject(BAD_REQUEST);
    expect(rest).toEqual(NOTHING);
  });

  it('does not reach the connection itself', async () => {
    await test.ledger.branch().execute(async (tx) => {
      expect(Object.keys(tx).sort()).toEqual(['branch', 'holdsLocks', 'query', 'transaction', 'wakeRelay']);
    });
  });
});

describe('what stays allowed', () => {
  it.each([
    ['set local lock_timeout = 100'],
    ['SET  LOCAL "lock_timeout" = 100'],
    ['set constraints all deferred'],
    ['savepoint a', 'rollback to a'],
    ['savepoint a', 'insert into parent values (1)', 'ROLLBACK WORK TO SAVEPOINT a', 'release savepoint a'],
    ['savepoint a', 'rollback transaction to a', 'release a'],
    ['-- why\n/* and /* how */ */ select 1'],
    ["select 'commit' as word"],
    ["select set_config('lock_timeout', '100', true)"],
    ["select set_config('app.user', $$it's, me$$, TRUE )"],
    ['select pg_advisory_xact_lock(1)'],
    ['select pg_try_advisory_xact_lock_shared(1)'],
    ['create temp table t (i int) on commit drop', 'insert into t values (1)'],
    ['declare c cursor for select 1', 'fetch c'],
    ['do $$ declare n int; begin update mark set kind = kind; if n is null then n := 1; end if; end $$'],
    ['do $$ begin set local search_path = pg_catalog; end $$'],
    ['update parent set id = id'],
    ['(select 1)'],
    ['notify channel'],
    [';'],
    ['/* an empty statement */'],
  ])('%j', async (...statements) => {
    const { failure, ...rest } = await attempt(async (tx) => {
      for (const statement of statements) await tx.query(statement);
    });
    expect(failure).toMatchObject({ answer: 'applied' });
    expect(rest).toMatchObject({ left: CLEAN, marks: { effects: 1, undos: 0 } });
  });

  it('an error that a savepoint contains', async () => {
    const branch = test.ledger.branch();
    await branch.execute(async (tx) => {
      await tx.query('savepoint before');
      await settled(tx.query('select 1 / 0'));
      await tx.query('rollback to before');
    });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
  });

  it('a constraint that is deferred, and fails where nothing was told yet', async () => {
    const branch = test.ledger.branch();
    const deferred = branch.execute(async (tx) => {
      await tx.query('set constraints all deferred');
      await tx.query('insert into child values (404)');
    });
    await expect(deferred).rejects.toMatchObject({ type: 'OperationFailed', nonRetryable: false });
    expect(await branch.row()).toBeUndefined();
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });
});

describe('the transaction after its operation returned', () => {
  it.each(['a statement', 'many statements'])('runs no late statement of it: %s', async (what) => {
    const branch = test.another(onlyConnection).branch();
    let late: Promise<unknown> = Promise.resolve();
    let kept: Tx | undefined;
    await branch.execute(async (tx) => {
      kept = tx;
      if (what === 'many statements') late = settled(tx.query('select pg_sleep(0.02)'));
    });
    await late;
    await expect(kept?.query(`insert into parent values (4711)`)).rejects.toThrow();
    expect(await test.ledger.rows('select from parent where id = 4711')).toEqual([]);
  });
});

describe('an operation that only reads', () => {
  it('reports nothing that it read after an error it caught', async () => {
    const look = test.ledger.branch({ operation: 'look' });
    const swallowing = look.execute(async (tx) => {
      await settled(tx.query('select 1 / 0'));
      return 'all is well';
    });
    await expect(swallowing).rejects.toMatchObject(BAD_REQUEST);
  });

  it('cannot write, nor log', async () => {
    const look = test.ledger.branch({ operation: 'look' });
    const writing = look.execute((tx) => tx.query('insert into parent values (1)'));
    await expect(writing).rejects.toMatchObject({ type: 'OperationFailed' });
    await expect(look.execute((tx) => tx.query('set transaction read write'))).rejects.toMatchObject(BAD_REQUEST);
    expect(await look.execute(async () => 1)).toEqual({ answer: 'read-only', result: 1 });
    expect(await look.row()).toBeUndefined();
  });
});
