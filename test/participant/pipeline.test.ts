/** Statements that travel together, and how many messages a branch takes: what a database far away costs. */
import { randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pipelined } from '../../src/participant/pipeline';
import type { Statement } from '../../src/participant/pipeline';
import { useLedger } from '../branch-log/fixture';
import { Ledger } from '../branch-log/ledger';
import { startPooler } from '../cli/shared-sessions';
import { Bank, newId, useBanks } from '../prepared/fixture';
import { quietPool } from '../quiet-pool';

const banks = useBanks();
const test = useLedger({ createService: (name) => banks.server.createService(name) }, 'pipeline');

function poolOf(connectionString: string, more: object = {}): Pool {
  const pool = quietPool({ connectionString, max: 2, ...more });
  onTestFinished(() => pool.end());
  return pool;
}

async function connect(more: object = {}): Promise<PoolClient> {
  const client = await poolOf(test.url, more).connect();
  onTestFinished(() => client.release());
  return client;
}

describe.each([
  ['in one message', {}],
  ['where the pool pipelines by itself', { pipeline: true }],
])('statements that travel together, %s', (_, more) => {
  it('are answered each, with the types that node-postgres gives', async () => {
    const client = await connect(more);
    const completed = await pipelined(client, [
      { text: 'begin' },
      { text: `create table "t ${newId()}" (id text) ` },
      {
        text: 'select $1::int as n, $2 as nothing, $3 as word union all select 2, null, $3',
        values: ['1', null, "it's"],
      },
      { text: 'select 1 where false' },
      { text: 'rollback' },
    ]);
    expect(completed).toMatchObject([
      { command: 'BEGIN', rowCount: null, rows: [] },
      { command: 'CREATE', rowCount: null, rows: [] },
      {
        command: 'SELECT',
        rowCount: 2,
        rows: [
          { n: 1, nothing: null, word: "it's" },
          { n: 2, nothing: null, word: "it's" },
        ],
      },
      { command: 'SELECT', rowCount: 0, rows: [] },
      { command: 'ROLLBACK', rowCount: null, rows: [] },
    ]);
  });

  it('are not run after one that fails, and the session is fit for others', async () => {
    const client = await connect(more);
    const table = `t_${newId().replaceAll('-', '_')}`;
    await client.query(`create table ${table} (n int)`);
    const statements = [
      { text: 'begin' },
      { text: `insert into ${table} values (1)` },
      { text: 'select 1 / 0' },
      { text: 'commit' },
    ];
    await expect(pipelined(client, statements)).rejects.toMatchObject({ code: '22012' });
    await client.query('rollback');
    expect((await client.query(`select n from ${table}`)).rows).toEqual([]);
  });

  it('end with the session', async () => {
    const client = await connect(more);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const waiting = pipelined(client, [{ text: 'begin' }, { text: 'select pg_sleep(20)' }, { text: 'commit' }]);
    const cut = test.ledger.rows('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
    await expect(waiting).rejects.toThrow();
    await cut;
  });

  it('do for a branch what they do in any other pool', async () => {
    const ledger = new Ledger(poolOf(test.url, more));
    const branch = ledger.branch();
    expect(await branch.execute(async () => 'done')).toEqual({ answer: 'applied', result: 'done' });
    expect(await branch.execute()).toEqual({ answer: 'applied-before', result: 'done' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 1 });
  });
});

describe('what is sent all the time', () => {
  /** Without the hash of its text. */
  const nameIn = (name: string): string => name.replace(/ [0-9a-f]{8}$/, '');
  const kept = async (client: PoolClient): Promise<readonly string[]> => {
    const { rows } = await client.query<{ name: string }>('select name from pg_prepared_statements order by name');
    return rows.map(({ name }) => nameIn(name));
  };

  it('is parsed once for a session', async () => {
    const pool = poolOf(test.url, { max: 1 });
    const client = await pool.connect();
    expect(await kept(client)).toEqual([]);
    client.release();
    for (let n = 0; n < 3; n++) expect(await new Ledger(pool).branch().execute()).toMatchObject({ answer: 'applied' });
    const { rows } = await pool.query<{ name: string; runs: string }>(
      'select name, generic_plans + custom_plans as runs from pg_prepared_statements',
    );
    const runs = Object.fromEntries(rows.map((row) => [nameIn(row.name), row.runs]));
    expect(runs).toMatchObject({ 'txn settings durable': '3', 'txn branch': '3' });
    expect(runs).toHaveProperty('txn begin read write');
  });

  it('is sent as a whole again where the session has forgotten it, at once and from then on', async () => {
    const pool = poolOf(test.url, { max: 1 });
    const ledger = new Ledger(pool);
    await ledger.branch().execute();
    await pool.query('discard all');
    const branch = ledger.branch();
    expect(await branch.execute()).toMatchObject({ answer: 'applied' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
    const client = await pool.connect();
    expect(await kept(client)).toEqual([]);
    client.release();
  });

  it('is run by whichever session a pooler puts behind a connection', async () => {
    const pooler = await startPooler(test.url);
    const url = new URL(test.url);
    url.port = String(pooler.port);
    const pools = [1, 2].map(() => quietPool({ connectionString: url.href, max: 1 }));
    for (let n = 0; n < 2; n++)
      for (const pool of pools) expect(await new Ledger(pool).branch().execute()).toMatchObject({ answer: 'applied' });
    await Promise.all(pools.map((pool) => pool.end()));
    await pooler.close();
  });

  it('may fail when it has been parsed, and is run the next time', async () => {
    const client = await connect();
    const word = (value: string): Statement[] => [
      { text: 'begin', keptAs: 'a begin' },
      { text: 'select $1::int', values: [value], keptAs: 'a number' },
      { text: 'commit' },
    ];
    await expect(pipelined(client, word('none'))).rejects.toMatchObject({ code: '22P02' });
    await client.query('rollback');
    expect(await kept(client)).toEqual(['a begin', 'a number']);
    expect(await pipelined(client, word('7'))).toMatchObject([
      { command: 'BEGIN' },
      { command: 'SELECT', rowCount: 1, rows: [] },
      { command: 'COMMIT' },
    ]);
  });

  it('is run again where its table was changed meanwhile', async () => {
    const client = await connect();
    const table = `t_${newId().replaceAll('-', '_')}`;
    await client.query(`create table ${table} (n int)`);
    const insertion = { text: `insert into ${table} values ($1)`, values: ['1'], keptAs: 'an insertion' };
    await pipelined(client, [insertion]);
    await test.ledger.rows(`alter table ${table} add column word text default 'none'`);
    expect(await pipelined(client, [insertion])).toMatchObject([{ command: 'INSERT', rowCount: 1 }]);
  });

  it('is not begun a second time where something was run before it', async () => {
    const client = await connect();
    const statements: Statement[] = [{ text: 'select 1' }, { text: 'select 2', keptAs: 'two' }];
    await pipelined(client, statements);
    await client.query('deallocate all');
    await expect(pipelined(client, statements)).rejects.toMatchObject({ code: '26000' });
    expect(await pipelined(client, statements)).toHaveLength(2);
  });

  it('is not taken for forgotten by a session in which something else was', async () => {
    const client = await connect();
    const table = `t_${newId().replaceAll('-', '_')}`;
    await client.query(`
      create table ${table} (n int);
      create function ${table}_end() returns trigger language plpgsql as
        $$ begin raise exception 'no plan' using errcode = '26000'; end $$;
      create constraint trigger at_the_end after insert on ${table} deferrable initially deferred
        for each row execute function ${table}_end()`);
    const begin = { text: 'begin', keptAs: 'a begin' };
    await pipelined(client, [begin, { text: `insert into ${table} values (1)` }]);
    // Sent twice it would have been answered by COMMIT, outside of any transaction.
    await expect(pipelined(client, [{ text: 'commit' }])).rejects.toMatchObject({ code: '26000' });
    expect((await client.query(`select from ${table}`)).rowCount).toBe(0);
    await pipelined(client, [begin, { text: 'commit' }]);
    expect(await kept(client)).toEqual(['a begin']);
  });
});

it('sends nothing when a value is none, and the session is fit for others', async () => {
  const client = await connect();
  const strange = 5 as unknown as string;
  const statements = [{ text: 'begin' }, { text: 'select $1', values: [strange] }, { text: 'commit' }];
  await expect(pipelined(client, statements)).rejects.toThrow('Nothing was sent');
  expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
});

it('reads what comes as the pool was told to, and says so when it cannot', async () => {
  const getTypeParser = (oid: number) => (text: string) => {
    if (text === 'bad') throw new RangeError('It cannot be read.');
    return `${oid}: ${text}`;
  };
  const client = await connect({ types: { getTypeParser } });
  expect(await pipelined(client, [{ text: 'select 7 as n' }])).toMatchObject([{ rows: [{ n: '23: 7' }] }]);
  await expect(pipelined(client, [{ text: `select 'bad' as word` }])).rejects.toThrow('It cannot be read.');
  expect(await pipelined(client, [{ text: 'select 8 as n' }])).toMatchObject([{ rows: [{ n: '23: 8' }] }]);
});

it('is given up after the query timeout of the pool, and leaves no timer behind otherwise', async () => {
  const client = await connect({ query_timeout: 30_000 });
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  for (let n = 0; n < 20; n++) await pipelined(client, [{ text: 'begin' }, { text: 'commit' }]);
  await expect(pipelined(client, [{ text: 'select 1 / 0' }])).rejects.toMatchObject({ code: '22012' });
  expect(timers() - before).toBeLessThan(10);

  const hasty = await connect({ query_timeout: 200 });
  await expect(pipelined(hasty, [{ text: 'begin' }, { text: 'select pg_sleep(1)' }])).rejects.toThrow('timeout');
});

it('tells who has sent what failed', async () => {
  const client = await connect();
  const failed = await pipelined(client, [{ text: 'select 1 / 0' }]).catch((error: unknown) => error);
  expect((failed as Error).stack).toContain('pipeline.test.ts');
});

it('keeps values out of what others see of a session', async () => {
  const client = await connect();
  const secret = randomUUID();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  await pipelined(client, [
    { text: 'select $1', values: [secret] },
    { text: 'select $1 as last', values: [secret] },
  ]);
  const [seen] = await test.ledger.rows('select query from pg_stat_activity where pid = $1', [rows[0]?.pid]);
  expect(seen).toEqual({ query: 'select $1 as last' });
});

/** What is sent on the connections of a pool from now on: each is a time that somebody waits for the network. */
function messagesOf(pool: Pool): unknown[] {
  const messages: unknown[] = [];
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...all: unknown[]) => unknown;
    const noted = (...all: unknown[]): unknown => {
      messages.push(all[0]);
      return query(...all);
    };
    Object.assign(client, { query: noted });
  });
  return messages;
}

/** A pool that counts what it has sent since it was asked last. */
function counting(connectionString: string): { readonly pool: Pool; readonly sent: () => number } {
  const pool = poolOf(connectionString);
  const messages = messagesOf(pool);
  return { pool, sent: () => messages.splice(0).length };
}

/** The one statement of the operation itself is in each of these. */
describe('messages', () => {
  it('of a step: begin with its row, the operation, its result with the commit', async () => {
    const { pool, sent } = counting(test.url);
    const branch = new Ledger(pool).branch();
    await branch.execute();
    expect(sent()).toBe(3);
    await branch.compensate();
    // It looks at what there is to undo.
    expect(sent()).toBe(4);
  });

  it('of a branch that prepares: begin with its rows, the operation, its result with the vote; and one to finish', async () => {
    const { pool, sent } = counting(banks.north.url);
    const north = new Bank('north', pool, banks.north.url);
    const finish = async (): Promise<number> => {
      const account = await banks.north.account();
      const request = { transaction: newId(), input: { account, amount: 30 } };
      expect(await north.ask('debit.prepare', request)).toMatchObject({ vote: 'commit' });
      expect(sent()).toBe(3);
      expect(await north.ask('debit.decide', { ...request, propose: 'commit' })).toMatchObject({ decision: 'commit' });
      return sent();
    };
    // The register and COMMIT PREPARED; once for a session, that it has no statement timeout.
    expect(await finish()).toBe(3);
    expect(await finish()).toBe(2);
  });
});

describe('a session with a statement timeout', () => {
  it('has none while it finishes what is prepared, and has it again afterwards', async () => {
    const pool = poolOf(banks.south.url, { max: 1, statement_timeout: 1_234 });
    const south = new Bank('south', pool, banks.south.url);
    const messages = messagesOf(pool);
    const account = await banks.south.account();
    const request = { transaction: newId(), input: { account, amount: 30 } };
    await south.ask('debit.prepare', request);
    await south.ask('debit.commit', request);
    expect(messages.filter((one) => typeof one === 'string').slice(-3)).toEqual([
      'set statement_timeout = 0',
      expect.stringContaining('commit prepared'),
      'reset statement_timeout',
    ]);
    expect((await pool.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '1234ms' }]);
  });
});
