/**
 * Whatever ends in the middle of a branch, session, server, attempt or process: what it left is all or nothing, and asking
 * again comes to one effect, undone once.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { refuse } from 'temporal-txn/participant';
import { armCrashpoints, PostgresServer } from 'temporal-txn/testing';
import type { CrashOrder } from 'temporal-txn/testing';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { onCrashpoint } from '../../src/protocol';
import { refusal } from '../participant/fixture';
import { settled, useLedger } from './fixture';
import { Ledger } from './ledger';

let server: PostgresServer;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'txn-test-'));
  chmodSync(directory, 0o711);
  server = await PostgresServer.start({ directory, durable: true });
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});
const test = useLedger({ createService: (name) => server.createService(name) }, 'crashes');

type Where = 'before' | 'after';

/** What node-postgres tells a query that is not its own when the server has answered it. */
interface Answerable {
  handleReadyForQuery?(): void;
}

/** A process whose session is ended at its n-th message, before it is sent or after it was answered. */
function cutOff(n: number, where: Where): Ledger {
  const pool = quietPool({ connectionString: test.url, max: 2 });
  onTestFinished(() => pool.end());
  let messages = 0;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...all: unknown[]) => Promise<unknown>;
    const { processID } = client as PoolClient & { processID: number };
    const cut = (): Promise<unknown> => test.ledger.rows('select pg_terminate_backend($1, 5000)', [processID]);
    const counted = async (...all: unknown[]): Promise<unknown> => {
      const here = ++messages === n;
      if (here && where === 'before') await cut();
      const [sent] = all as [Answerable];
      const answered = sent.handleReadyForQuery?.bind(sent);
      if (answered && here && where === 'after') sent.handleReadyForQuery = () => void cut().then(answered);
      const answer = await query(...all);
      if (answered) return answer;
      if (here && where === 'after') await cut();
      return answer;
    };
    Object.assign(client, { query: counted });
  });
  return new Ledger(pool);
}

const LOST = { type: 'OperationFailed', nonRetryable: false };
const everyMessage = (count: number): [number, Where][] =>
  Array.from({ length: count }, (_, i): [number, Where][] => [
    [i + 1, 'before'],
    [i + 1, 'after'],
  ]).flat();

describe('the session ends', () => {
  // begin and log; mark; record the result and commit
  it.each(everyMessage(3))('at message %i of an action, %s it', async (n, where) => {
    const branch = test.ledger.branch();
    const committed = n === 3 && where === 'after';
    const first = await settled(branch.at(cutOff(n, where)).execute(async () => 'done'));
    expect(first).toMatchObject(committed ? { answer: 'applied' } : LOST);
    expect(await branch.state()).toBe(committed ? 'applied' : undefined);
    expect(await branch.marks()).toEqual({ effects: committed ? 1 : 0, undos: 0 });

    const again = await branch.execute(async () => 'done');
    expect(again).toEqual({ answer: committed ? 'applied-before' : 'applied', result: 'done' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
  });

  // begin and log; look; mark; release locks, mark as compensated and commit
  it.each(everyMessage(4))('at message %i of a compensation, %s it', async (n, where) => {
    const branch = test.ledger.branch();
    await branch.execute();
    const committed = n === 4 && where === 'after';
    const first = await settled(branch.at(cutOff(n, where)).compensate());
    expect(first).toMatchObject(committed ? { answer: 'compensated' } : LOST);
    expect(await branch.marks()).toEqual({ effects: 1, undos: committed ? 1 : 0 });

    expect(await branch.compensate()).toEqual({ answer: committed ? 'compensated-before' : 'compensated' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 1 });
  });

  // begin and log; mark; rollback. Begin and log the refusal; commit
  it.each(everyMessage(5))('at message %i of a refusal, %s it', async (n, where) => {
    const branch = test.ledger.branch();
    const no = async (): Promise<never> => refuse('no', 'No');
    const first = await settled(branch.at(cutOff(n, where)).execute(no));
    // An attempt that loses its session on the way to "rollback" was refused all the same, and says so on a new one.
    const stored = n === 3 || (n === 5 && where === 'after') || (n === 2 && where === 'after');
    expect(first).toMatchObject(stored ? refusal('no') : LOST);
    expect(await branch.state()).toBe(stored ? 'refused' : undefined);

    await expect(branch.execute(no)).rejects.toMatchObject(refusal('no'));
    expect(await branch.marks()).toEqual({ effects: 0, undos: 0 });
  });
});

describe('the server crashes', () => {
  it.each(['branch.logged-before-work', 'branch.before-commit', 'branch.committed-before-report'] as const)(
    'at %s',
    async (point) => {
      const branch = test.ledger.branch();
      onCrashpoint((passed) => (passed === point ? server.kill() : undefined));
      const first = await settled(branch.execute());
      onCrashpoint(undefined);
      await server.restart();
      const committed = point === 'branch.committed-before-report';
      expect(first).toMatchObject(committed ? { answer: 'applied' } : LOST);
      expect(await branch.execute()).toMatchObject({ answer: committed ? 'applied-before' : 'applied' });
      expect(await branch.marks()).toEqual({ effects: 1, undos: 0 });
    },
  );

  it('between two attempts: the second one is told so, and a later one goes on', async () => {
    const branch = test.ledger.branch();
    await branch.execute(async () => 'kept');
    await server.kill();
    expect(await settled(branch.execute())).toMatchObject(LOST);
    await server.restart();
    expect(await branch.execute()).toEqual({ answer: 'applied-before', result: 'kept' });
    expect(await branch.compensate()).toEqual({ answer: 'compensated' });
    expect(await branch.marks()).toEqual({ effects: 1, undos: 1 });
  });
});

const POINTS = [
  ['branch.logged-before-work', 'execute', 'nothing'],
  ['branch.before-commit', 'execute', 'nothing'],
  ['branch.committed-before-report', 'execute', 'all'],
  ['compensation.before-commit', 'compensate', 'nothing'],
  ['compensation.committed-before-report', 'compensate', 'all'],
] as const;

describe('the attempt fails', () => {
  it.each(POINTS)('at %s', async (at, ask, left) => {
    const branch = test.ledger.branch();
    if (ask === 'compensate') await branch.execute();
    const disarm = armCrashpoints([{ at, action: { kind: 'fail' } }]);
    onTestFinished(disarm);
    await expect(branch[ask]()).rejects.toMatchObject(LOST);
    const done = { execute: 'applied', compensate: 'compensated' }[ask];
    expect(await branch[ask]()).toMatchObject({ answer: left === 'all' ? `${done}-before` : done });
    expect(await branch.marks()).toEqual({ effects: 1, undos: ask === 'compensate' ? 1 : 0 });
  });

  it('before the tombstone of an empty compensation is committed', async () => {
    const branch = test.ledger.branch();
    const disarm = armCrashpoints([{ at: 'compensation.before-commit', action: { kind: 'fail' } }]);
    onTestFinished(disarm);
    await expect(branch.compensate()).rejects.toMatchObject(LOST);
    expect(await branch.row()).toBeUndefined();
    expect(await branch.compensate()).toEqual({ answer: 'nothing-to-compensate' });
  });
});

const DIST = resolve(__dirname, '../../dist');

interface Ended {
  readonly signal: string | null;
  readonly output: string;
  readonly passed: string;
}

/** Runs one attempt in a process that is killed at a crash point. */
function killedAt(at: CrashOrder['at'], asked: object, ask: string): Promise<Ended> {
  const log = join(directory, `passed-${at}-${Math.random()}`);
  const order: CrashOrder = { at, action: { kind: 'kill' } };
  const env = { ...process.env, TXN_CRASHPOINT: JSON.stringify([order]), TXN_CRASHPOINT_LOG: log };
  const program = [
    '--require',
    join(DIST, 'src/testing/crashpoints-preload.js'),
    join(DIST, 'test/branch-log/child.js'),
  ];
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [...program, test.url, JSON.stringify(asked), ask],
      { env },
      (_, out, err) => {
        const passed = err === '' ? readFileSync(log, 'utf8') : '';
        done({ signal: child.signalCode, output: out + err, passed });
      },
    );
  });
}

describe('the process is killed', () => {
  it.concurrent.each(POINTS)('at %s', async (at, ask, left) => {
    const branch = test.ledger.branch();
    if (ask === 'compensate') await branch.execute();
    const before = { execute: { effects: 0, undos: 0 }, compensate: { effects: 1, undos: 0 } }[ask];
    const after = { execute: { effects: 1, undos: 0 }, compensate: { effects: 1, undos: 1 } }[ask];

    expect(await killedAt(at, branch.asked, ask)).toEqual({ signal: 'SIGKILL', output: '', passed: `${at}\n` });
    expect(await branch.marks()).toEqual(left === 'all' ? after : before);

    const done = { execute: 'applied', compensate: 'compensated' }[ask];
    expect(await branch[ask]()).toMatchObject({ answer: left === 'all' ? `${done}-before` : done });
    expect(await branch.marks()).toEqual(after);
  });
});
