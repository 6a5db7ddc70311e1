import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { quietPool } from '../quiet-pool';
import { PostgresFaultProxy, WrongServerState } from '../../src/testing';
import { cancelRequest } from '../../src/testing/postgres/wire';
import { usePostgres } from '../participant/fixture';
import { query } from './fixture';

const postgres = usePostgres();
let url: string;
let proxy: PostgresFaultProxy;
beforeAll(async () => {
  url = await postgres.createService('faults');
  await query(url, 'CREATE TABLE t (i int, at timestamptz DEFAULT clock_timestamp())');
  const { hostname: host, port } = new URL(url);
  proxy = await PostgresFaultProxy.start({ target: { host, port: Number(port) } });
});
afterAll(() => proxy.stop());
beforeEach(() => query(url, 'TRUNCATE t'));
afterEach(async () => {
  proxy.heal();
  proxy.clear();
  await proxy.cut();
});

/** A connection through the proxy, which may break. */
async function connected(): Promise<Client> {
  const client = new Client({ connectionString: proxy.url(url) });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  return client;
}

const socketOf = (client: Client): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;

/** A client that gives up without a word, as one that is killed does. */
const vanish = (client: Client): void => void socketOf(client).destroy();

const rows = async (): Promise<unknown[]> => (await query(url, 'SELECT i FROM t ORDER BY i')).map(({ i }) => i);

const LOST = /Connection terminated|ECONNRESET/;
const INSERT = 'INSERT INTO t VALUES (1)';
/** Both protocols: a query without parameters goes as one message, one with parameters as a batch. */
const PROTOCOLS = [
  { protocol: 'simple', insert: (client: Client | Pool) => client.query(INSERT) },
  { protocol: 'extended', insert: (client: Client | Pool) => client.query('INSERT INTO t VALUES ($1)', [1]) },
  {
    protocol: 'extended, of a named statement,',
    insert: (client: Client | Pool) =>
      client.query({ name: 'insert-t', text: 'INSERT INTO t VALUES ($1)', values: [1] }),
  },
];

describe('a sound connection through the fault proxy', () => {
  it('logs in with a password and shows what passes', async () => {
    const hash = await query(url, `SELECT current_setting('password_encryption') AS how`);
    expect(hash).toEqual([{ how: 'scram-sha-256' }]);
    await expect(query(proxy.url(url.replace(/:[^:@]+@/, ':wrong@')), 'SELECT 1')).rejects.toMatchObject({
      code: '28P01',
    });

    const client = await connected();
    await client.query('BEGIN; SELECT 1');
    await client.query('SELECT $1::int', [2]);
    await client.query({ name: 'three', text: 'SELECT $1::int AS n', values: [3] });
    expect((await client.query({ name: 'three', text: 'SELECT $1::int AS n', values: [4] })).rows).toEqual([{ n: 4 }]);
    await expect(client.query('SELECT no_such_column')).rejects.toMatchObject({ code: '42703' });
    await client.query('ROLLBACK');
    expect(proxy.seen).toEqual([
      'BEGIN; SELECT 1',
      'SELECT $1::int',
      'SELECT $1::int AS n',
      'SELECT $1::int AS n',
      'SELECT no_such_column',
      'ROLLBACK',
    ]);
    proxy.clear();
    expect(proxy.seen).toEqual([]);
  });

  it('passes on large results, large parameters and many connections unharmed', async () => {
    const client = await connected();
    const large = 'é'.repeat(5 << 20);
    expect((await client.query<{ s: string }>('SELECT $1::text AS s', [large])).rows[0]?.s === large).toBe(true);
    const many = await client.query<{ n: number }>('SELECT n, repeat($1, 50) AS s FROM generate_series(1, 100000) n', [
      'x',
    ]);
    expect(many.rows.map(({ n }) => n)).toEqual(Array.from({ length: 100_000 }, (_, i) => i + 1));

    const pool = quietPool({ connectionString: proxy.url(url), max: 10 });
    onTestFinished(() => pool.end());
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => pool.query('SELECT $1::int AS i', [i])));
    expect(answers.map(({ rows: [row] }) => (row as { i: number }).i)).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    );
  });

  it('waits for a client that reads slowly', async () => {
    const client = await connected();
    const answer = client.query('SELECT repeat(n::text, 1000) AS s FROM generate_series(1, 20000) n');
    socketOf(client).pause();
    await sleep(300);
    socketOf(client).resume();
    expect((await answer).rows).toHaveLength(20_000);
  });

  it('passes on a COPY in both directions', async () => {
    const client = await connected();
    const lines = Array.from({ length: 50_000 }, (_, i) => `${i}\t2026-01-01\n`);
    await copyIn(client, 'COPY t FROM STDIN', lines);
    expect(await query(url, 'SELECT count(*)::int AS n, sum(i)::bigint::text AS sum FROM t')).toEqual([
      { n: 50_000, sum: '1249975000' },
    ]);
    expect(await client.query('COPY t TO STDOUT')).toMatchObject({ rowCount: 50_000 });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('keeps a COPY in the extended protocol in step, whose first Sync the server overlooks', async () => {
    const client = await connected();
    await copyIn(client, 'COPY t (i) FROM STDIN', ['7\n'], 'extended');
    const fault = proxy.inject({ statement: /SELECT 2/, fault: { kind: 'delay-answer', ms: 50 } });
    expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    expect(fault.answer).toEqual({ kind: 'complete', tag: 'SELECT 1' });
    expect(await rows()).toEqual([7]);
  });

  it('serves a portal row by row, with Flush in between', async () => {
    const client = await connected();
    const fault = proxy.inject({ statement: /generate_series/, fault: { kind: 'delay-answer', ms: 50 } });
    const paged = { text: 'SELECT n FROM generate_series(1, 5) n', rows: 2 } as unknown as string;
    expect((await client.query(paged)).rows).toHaveLength(5);
    expect(fault.count).toBe(1);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('lets clients cancel, and tells them when the server ends', async () => {
    const client = await connected();
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const sleeping = expect(client.query('SELECT pg_sleep(20)')).rejects.toMatchObject({ code: '57014' });
    await vi.waitUntil(() => proxy.seen.includes('SELECT pg_sleep(20)'));
    await sleep(100);
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    const socket = createConnection({ host: proxy.host, port: proxy.port });
    socket.end(cancelRequest({ pid: processID, secret }));
    await sleeping;

    const held = proxy.inject({ statement: /pg_sleep/, fault: { kind: 'delay-answer', ms: 60_000 } });
    const ended = expect(client.query('SELECT pg_sleep(20)')).rejects.toMatchObject({ code: '57P01' });
    await held.struck;
    await query(url, `SELECT pg_terminate_backend(${processID})`);
    await ended;
  });
});

describe.each(PROTOCOLS)('a statement in the $protocol protocol', ({ insert }) => {
  it('never reaches the server when its connection is cut before', async () => {
    const client = await connected();
    const fault = proxy.inject({ statement: /^insert into t/i, fault: { kind: 'kill-before' } });
    await expect(insert(client)).rejects.toThrow(LOST);
    await fault.over;
    expect(fault).toMatchObject({ count: 1, answer: undefined });
    expect(proxy.seen).toEqual([]);
    expect(await rows()).toEqual([]);

    await insert(await connected());
    expect(fault.count).toBe(2);
    expect(await rows()).toEqual([1]);
  });

  it('is done, and its answer lost, when its connection is cut after', async () => {
    const client = await connected();
    const fault = proxy.inject({ statement: /^insert into t/i, fault: { kind: 'kill-after' } });
    await expect(insert(client)).rejects.toThrow(LOST);
    expect(fault.answer).toEqual({ kind: 'complete', tag: 'INSERT 0 1' });
    expect(await rows()).toEqual([1]);
  });

  it('arrives late, after its client has gone', async () => {
    const client = await connected();
    const fault = proxy.inject({ statement: /^insert into t/i, fault: { kind: 'delay', ms: 300 } });
    const given = expect(insert(client)).rejects.toThrow(LOST);
    await fault.struck;
    vanish(client);
    await given;
    expect(await rows()).toEqual([]);
    await fault.over;
    expect(fault.answer).toEqual({ kind: 'complete', tag: 'INSERT 0 1' });
    expect(await rows()).toEqual([1]);
  });

  it('goes with its client when it is held and not to arrive late', async () => {
    const client = await connected();
    const delay = { kind: 'delay', ms: 60_000, evenIfGone: false } as const;
    const fault = proxy.inject({ statement: /^insert into t/i, fault: delay });
    const given = expect(insert(client)).rejects.toThrow(LOST);
    await fault.struck;
    vanish(client);
    await given;
    await fault.over;
    expect(proxy.seen).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  it('is done at once, and answered late', async () => {
    const client = await connected();
    const fault = proxy.inject({ statement: /^insert into t/i, fault: { kind: 'delay-answer', ms: 300 } });
    let answered = false;
    const answer = insert(client).then(() => (answered = true));
    await fault.struck;
    await vi.waitUntil(async () => (await rows()).length === 1);
    expect(answered).toBe(false);
    await answer;
    await fault.over;
  });

  it('waits at a gate, before or after, while a duplicate runs', async () => {
    const [first, duplicate] = [await connected(), await connected()];
    const states: unknown[] = [];
    const call = async (): Promise<void> => {
      states.push(await rows());
      await insert(duplicate);
      states.push(await rows());
    };
    proxy.inject({ statement: /^insert into t/i, fault: { kind: 'call', call } });
    await insert(first);
    expect(states.splice(0)).toEqual([[], [1]]);
    expect(await rows()).toEqual([1, 1]);

    proxy.heal();
    const fault = proxy.inject({ statement: /^insert into t/i, fault: { kind: 'call', when: 'after', call } });
    await insert(first);
    expect(states).toEqual([
      [1, 1, 1],
      [1, 1, 1, 1],
    ]);
    expect(fault.count).toBe(2);
  });
});

describe('a fault', () => {
  it('cancels what runs or waits for a lock, and nothing after it', async () => {
    const [holder, client] = [await connected(), await connected()];
    await holder.query('BEGIN; LOCK TABLE t');
    proxy.inject({ statement: /insert into t/i, fault: { kind: 'cancel' }, passage: 'every' });
    for (let i = 0; i < 10; i++) {
      await expect(client.query('INSERT INTO t VALUES ($1)', [i])).rejects.toMatchObject({ code: '57014' });
      await client.query('SELECT pg_sleep(0.03)');
    }
    await holder.query('ROLLBACK');
    expect(await rows()).toEqual([]);
  });

  it('strikes the passage it is meant for, over all connections, and none after it is removed', async () => {
    const [one, two] = [await connected(), await connected()];
    const fault = proxy.inject({ statement: /insert/gi, fault: { kind: 'kill-before' }, passage: 3 });
    await one.query(INSERT);
    await two.query(INSERT);
    await expect(one.query(INSERT)).rejects.toThrow(LOST);
    await two.query(INSERT);
    expect(fault.count).toBe(4);

    const removed = proxy.inject({ statement: /insert/i, fault: { kind: 'kill-before' }, passage: 'every' });
    removed.remove();
    await two.query(INSERT);
    expect(removed.count).toBe(0);
    expect(await rows()).toHaveLength(4);
  });

  it('tells how the server answered what the client never learns', async () => {
    const client = await connected();
    await client.query('BEGIN');
    await expect(client.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' });
    const fault = proxy.inject({ statement: /^prepare transaction/i, fault: { kind: 'kill-after' } });
    await expect(client.query(`PREPARE TRANSACTION 'failed-before'`)).rejects.toThrow(LOST);
    expect(fault.answer).toEqual({ kind: 'complete', tag: 'ROLLBACK' });

    const refused = proxy.inject({ statement: /division|1\/0/, fault: { kind: 'kill-after' } });
    await expect((await connected()).query('SELECT 1/0')).rejects.toThrow(LOST);
    expect(refused.answer).toEqual({ kind: 'error', sqlState: '22012' });
  });

  it('leaves a transaction in doubt: prepared, and nobody told', async () => {
    const client = await connected();
    await client.query(`BEGIN; ${INSERT}`);
    const fault = proxy.inject({ statement: /^prepare transaction/i, fault: { kind: 'kill-after' } });
    await expect(client.query(`PREPARE TRANSACTION 'in-doubt'`)).rejects.toThrow(LOST);
    await fault.struck;
    expect(await query(url, 'SELECT gid FROM pg_prepared_xacts')).toEqual([{ gid: 'in-doubt' }]);
    await query(url, `COMMIT PREPARED 'in-doubt'`);
    expect(await rows()).toEqual([1]);
  });

  it('rolls back the open transaction when it cuts before COMMIT', async () => {
    const client = await connected();
    await client.query('BEGIN');
    await client.query(INSERT);
    proxy.inject({ statement: /^commit$/i, fault: { kind: 'kill-before' } });
    await expect(client.query('COMMIT')).rejects.toThrow(LOST);
    expect(await rows()).toEqual([]);
  });

  it('cuts the connection when its callback fails, and says why', async () => {
    const client = await connected();
    const call = (): Promise<void> => Promise.reject(new Error('the gate is broken'));
    const fault = proxy.inject({ statement: /insert/i, fault: { kind: 'call', call } });
    await expect(client.query(INSERT)).rejects.toThrow(LOST);
    await expect(fault.over).rejects.toThrow('the gate is broken');
    expect(await rows()).toEqual([]);
  });

  it('joins others on the same statement', async () => {
    const client = await connected();
    const delayed = proxy.inject({ statement: /insert/i, fault: { kind: 'delay', ms: 100 } });
    const killed = proxy.inject({ statement: /insert/i, fault: { kind: 'kill-after' } });
    const started = performance.now();
    await expect(client.query(INSERT)).rejects.toThrow(LOST);
    expect(performance.now() - started).toBeGreaterThan(95);
    await Promise.all([delayed.over, killed.over]);
    expect(await rows()).toEqual([1]);
  });
});

describe('a partition', () => {
  it('cuts every connection with what is held, and refuses new ones until it heals', async () => {
    const [idle, busy] = [await connected(), await connected()];
    const fault = proxy.inject({ statement: /insert/i, fault: { kind: 'delay', ms: 60_000 } });
    const held = expect(busy.query(INSERT)).rejects.toThrow(LOST);
    await fault.struck;
    proxy.refuse(true);
    await proxy.cut();
    await held;
    await fault.over;
    await expect(idle.query('SELECT 1')).rejects.toThrow(/not queryable|Connection terminated/);
    await expect(connected()).rejects.toThrow(LOST);
    expect(await rows()).toEqual([]);

    proxy.heal();
    await (await connected()).query(INSERT);
    expect(await rows()).toEqual([1]);
  });
});

describe('the fault proxy', () => {
  it('closes what does not speak PostgreSQL', async () => {
    const socket = createConnection({ host: proxy.host, port: proxy.port });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.resume();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await closed;
  });

  it('ends for good when the proxy is stopped', async () => {
    const { hostname: host, port } = new URL(url);
    const other = await PostgresFaultProxy.start({ target: { host, port: Number(port) } });
    await query(other.url(url), 'SELECT 1');
    await other.stop();
    await other.stop();
    await expect(query(other.url(url), 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    expect(() => other.inject({ statement: /x/, fault: { kind: 'kill-before' } })).toThrow(WrongServerState);
  });
});

/** Has rows copied into a table, which pg can but offers no method for. */
function copyIn(client: Client, text: string, lines: readonly string[], protocol = 'simple'): Promise<void> {
  interface Connection {
    query(text: string): void;
    parse(statement: object): void;
    bind(portal: object): void;
    execute(portal: object): void;
    sync(): void;
    sendCopyFromChunk(chunk: Buffer): void;
    endCopyFrom(): void;
  }
  return new Promise((resolve, reject) => {
    client.query({
      submit: (connection: Connection) => {
        if (protocol === 'simple') return connection.query(text);
        connection.parse({ text });
        connection.bind({});
        connection.execute({});
        connection.sync();
      },
      handleCopyInResponse: (connection: Connection) => {
        for (const line of lines) connection.sendCopyFromChunk(Buffer.from(line));
        connection.endCopyFrom();
        if (protocol !== 'simple') connection.sync();
      },
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    } as never);
  });
}
