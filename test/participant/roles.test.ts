/** A participant's workers need no more rights than docs/security.md lists, and with those they can change no decision. */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Pool } from 'pg';
import {
  defineParticipant,
  grantWorker,
  inLocalTransaction,
  keyOf,
  migrate,
  operation,
  participantActivities,
  refuse,
} from 'temporal-txn/participant';
import {
  deadLetters,
  defineOutbox,
  outboxStatus,
  relay,
  skipDeadLetter,
  UnpublishableEventError,
} from 'temporal-txn/outbox';
import { PostgresServer } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { quietPool } from '../quiet-pool';
import { checkLocalTimeouts } from '../../src/protocol';

const accounts = defineParticipant('accounts', {
  debit: operation({
    input: z.int(),
    async execute(tx, amount) {
      const { rowCount } = await tx.query('update account set balance = balance - $1 where balance >= $1', [amount]);
      if (rowCount !== 1) refuse('insufficient-funds', 'No.');
    },
    async compensate(tx, amount) {
      await tx.query('update account set balance = balance + $1', [amount]);
    },
  }),
  hold: operation({
    input: z.int(),
    try: async () => null,
    confirm: async () => undefined,
    cancel: async () => undefined,
  }),
});

let server: PostgresServer;
let directory: string;
let owner: Pool;
let worker: Pool;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'txn-roles-'));
  chmodSync(directory, 0o711);
  server = await PostgresServer.start({ directory, durable: false });
  owner = quietPool({ connectionString: await server.createService('bank') });
  const admin = quietPool({ connectionString: server.adminUrl });
  await admin.query(`create role worker login nosuperuser password 'secret'; grant connect on database bank to worker`);
  await admin.end();
  await migrate(owner);
  await owner.query('create table account (balance int not null); insert into account values (100)');
  await grantWorker(owner, 'worker');
  await owner.query('grant select, update on account to worker');
  worker = quietPool({ host: server.host, port: server.port, database: 'bank', user: 'worker', password: 'secret' });
});
afterAll(async () => {
  await Promise.all([owner?.end(), worker?.end()]);
  await server?.stop();
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

const ask = (question: string, more: object, transaction = `t-${randomUUID()}`): Promise<unknown> => {
  const activity = participantActivities(accounts, { pool: worker })[question] as (request: object) => Promise<unknown>;
  const request = { transaction, branch: 'debit', input: 1, register: 'test', token: 'x', votes: 'answer', ...more };
  return new MockActivityEnvironment({ startToCloseTimeoutMs: 10_000 }).run(activity, request);
};

describe('a worker with the rights that the documentation lists', () => {
  it('prepares, decides and commits', async () => {
    const id = 'commits';
    expect(await ask('debit.prepare', {}, id)).toMatchObject({ vote: 'commit' });
    const decided = await ask('debit.decide', { propose: 'commit', branches: [], wantsResult: true }, id);
    expect(decided).toMatchObject({ decision: 'commit', ack: { kind: 'applied' } });
  });

  it('pre-commits', async () => {
    const id = 'pre-commits';
    await ask('debit.prepare', {}, id);
    expect(await ask('debit.preCommit', {}, id)).toBe('done');
    expect(await ask('debit.commit', {}, id)).toEqual({ kind: 'applied' });
  });

  it('reserves, confirms and cancels', async () => {
    for (const how of ['confirm', 'cancel']) {
      expect(await ask('hold.try', {}, how)).toMatchObject({ vote: 'commit' });
      expect(await ask(`hold.${how}`, {}, how)).toEqual({ kind: 'applied' });
    }
  });

  it('refuses and aborts', async () => {
    expect(await ask('debit.prepare', { input: 1_000 })).toMatchObject({ vote: 'abort' });
    expect(await ask('debit.abort', {})).toEqual({ kind: 'applied' });
  });

  it('runs and undoes the steps of a saga', async () => {
    const id = 'saga';
    expect(await ask('debit', {}, id)).toMatchObject({ answer: 'applied' });
    expect(await ask('debit.compensate', {}, id)).toEqual({ answer: 'compensated' });
    expect(await ask('releaseLocks', {}, id)).toEqual({ released: 0 });
  });

  it('recovers what is in doubt', async () => {
    const id = 'in-doubt';
    await ask('debit.prepare', {}, id);
    const look = { graceMs: 0, forMs: 0, everyMs: 1, known: [] };
    const { overdue } = (await ask('recovery.watch', look)) as { overdue: { gid: string }[] };
    expect(overdue).toHaveLength(1);
    expect(await ask('recovery.decide', { key: keyOf(id), transaction: id })).toMatchObject({ decision: 'abort' });
    expect(await ask('recovery.settle', { gid: overdue[0]?.gid, decision: 'abort' })).toEqual({ kind: 'applied' });
  });

  it('relays, and parks what comes to the key of an event that cannot be published', async () => {
    const outbox = defineOutbox('/bank');
    const append = (...keys: string[]): Promise<unknown> =>
      inLocalTransaction(worker, { timeouts: checkLocalTimeouts(), mode: 'read write', label: 'test' }, (client) =>
        outbox.append(
          client,
          keys.map((key) => ({ type: 'T', key, data: {} })),
        ),
      );
    const published: string[] = [];
    const stop = new AbortController();
    const running = relay({
      pool: worker,
      owner: 'test',
      pollMs: 20,
      stop: stop.signal,
      publisher: {
        publish: async ({ key, version }) => {
          if (key === 'bad' && version === 1) throw new UnpublishableEventError('no');
          published.push(`${key}/${version}`);
        },
      },
    });
    await append('bad', 'good');
    await expect.poll(async () => (await deadLetters(worker)).length).toBe(1);
    // This one is parked as it comes.
    await append('bad', 'good');
    await expect.poll(() => published).toEqual(['good/1', 'good/2']);
    await expect.poll(async () => (await deadLetters(worker))[0]?.waiting).toBe(2);
    await skipDeadLetter(worker, { key: 'bad', version: 1, by: 'ann', reason: 'worth nothing' });
    await expect.poll(() => published).toEqual(['good/1', 'good/2', 'bad/2']);
    // Published first, and marked as such then.
    await expect.poll(() => outboxStatus(worker)).toMatchObject({ pending: 0, deadLetters: 0 });
    stop.abort();
    await running;
  });

  it.each(['update txn.decision set outcome = outcome', 'delete from txn.decision', 'truncate txn.decision'])(
    'may not %s',
    async (statement) => {
      await expect(worker.query(statement)).rejects.toMatchObject({ code: '42501' });
    },
  );
});

describe('the owner of the tables', () => {
  it.each(['update txn.decision set outcome = outcome', 'delete from txn.decision', 'truncate txn.decision'])(
    'is kept from %s by a trigger',
    async (statement) => {
      await ask('debit.decide', { propose: 'abort', branches: [] });
      await expect(owner.query(statement)).rejects.toThrow('a decision is write-once');
    },
  );
});
