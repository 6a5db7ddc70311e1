/** Worker processes: what they refuse to start with, what their health check says, and how they end. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { connectTemporal, registerSearchAttributes, TransactionClient } from 'temporal-txn/client';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { quietPool } from '../quiet-pool';
import { setUpService } from '../../activities/setup';
import { startStack } from '../../src/dev';
import type { Stack } from '../../src/dev';
import { freePort, spawnGuarded } from '../../src/testing';
import type { GuardedProcess } from '../../src/testing';
import { withClosedOperator } from '../closed-operator';
import type { ClosedOperator } from '../closed-operator';
import { newId, transferOf, until, untilReport } from './fixture';

const dist = resolve(__dirname, '../../dist');
const BANK = 'activities/accounts/worker.js';
const WORKFLOWS = 'workflows/worker.js';

let directory = '';
let stack: Stack<'north_bank' | 'bare' | 'readme_north' | 'readme_south'>;
let cloud: ClosedOperator;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'temporal-txn-workers-'));
  // No search attributes: a worker for workflows must miss them.
  stack = await startStack({
    directory,
    databases: { north_bank: 'a', bare: 'b', readme_north: 'b', readme_south: 'b' },
    durable: false,
  });
  cloud = await withClosedOperator(stack.temporal.address);
  await setUpService('north-bank', stack.ownerUrl('north_bank'), 'north_bank_worker');
});
afterAll(async () => {
  await cloud.close();
  await stack.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Started {
  readonly process: GuardedProcess;
  readonly url: string;
  readonly output: () => string;
}

/** Starts a worker with nothing in its environment but what is given and what Node needs. */
async function start(script: string, env: Record<string, string>, ...nodeArgs: string[]): Promise<Started> {
  const log = join(directory, `${newId('worker')}.log`);
  const port = String(await freePort());
  const worker = await spawnGuarded(process.execPath, [...nodeArgs, join(dist, script)], {
    env: {
      PATH: process.env['PATH'],
      TEMPORAL_ADDRESS: stack.temporal.address,
      SERVICE_NAME: 'north-bank',
      TXN_HEALTH_PORT: port,
      ...env,
    },
    log,
  });
  onTestFinished(async () => {
    await worker.kill();
  });
  return { process: worker, url: `http://127.0.0.1:${port}`, output: () => readFileSync(log, 'utf8') };
}

/** Starts a worker that is not going to run, and waits for its end. */
async function startInVain(
  script: string,
  env: Record<string, string>,
): Promise<{ code: number | null; output: string }> {
  const { process: worker, output } = await start(script, env);
  const { code } = await worker.exited;
  return { code, output: output() };
}

const statusOf = async (url: string, method = 'GET'): Promise<number> => {
  try {
    const response = await fetch(url, { method, signal: AbortSignal.timeout(5_000) });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
};

const untilStatus = (url: string, status: number): Promise<void> =>
  until(`${url} answers ${status}`, async () => (await statusOf(url)) === status, 50_000);

describe('a worker does not start', () => {
  it.each([
    ['no', {}],
    ['an empty', { DATABASE_URL: '' }],
  ])('with %s DATABASE_URL', async (_, env) => {
    const { code, output } = await startInVain(BANK, env);
    expect(output).toContain('Nothing was started: north-bank needs DATABASE_URL');
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(2);
  });

  it('for notifications without SMTP_URL', async () => {
    const { code, output } = await startInVain('activities/notifications/worker.js', { DATABASE_URL: 'unused' });
    expect(output).toContain('Nothing was started: notifications needs SMTP_URL');
    expect(code).toBe(2);
  });

  it('on a database whose schema is not migrated, and keeps its password to itself', async () => {
    const url = stack.databaseUrl('bare');
    const { code, output } = await startInVain(BANK, { DATABASE_URL: url });
    expect(output).toMatch(/SchemaVersionError.*schema/);
    expect(output).not.toContain(new URL(url).password);
    expect(code).toBe(1);
  });

  it('on a database that it cannot reach, and keeps its password to itself', async () => {
    const url = new URL(stack.databaseUrl('north_bank'));
    url.port = String(await freePort());
    const { code, output } = await startInVain(BANK, { DATABASE_URL: url.href });
    expect(output).toContain('ECONNREFUSED');
    expect(output).not.toContain(url.password);
    expect(code).toBe(1);
  });

  it.each([
    ['a server', () => stack.temporal.address],
    ['Temporal Cloud, which does not list them', () => cloud.address],
  ])(
    'for workflows in a namespace of %s without the search attributes, and tells how to register them',
    async (_, at) => {
      const { code, output } = await startInVain(WORKFLOWS, { TEMPORAL_ADDRESS: at() });
      expect(output).toContain(
        'SearchAttributesMissing: Nothing was started: namespace default lacks search attributes',
      );
      expect(output).toMatch(
        /^temporal operator search-attribute create --namespace default --name TxnStatus --type Keyword$/m,
      );
      expect(output).toMatch(/^tcld namespace search-attributes add --namespace default .*TxnNeedsAttention=Bool/m);
      expect(code).toBe(1);
    },
  );

  // 192.0.2.1 answers nobody: a worker that tried to connect would wait for it, and say that.
  it.each([BANK, WORKFLOWS])('over a network in plain text, and does not even connect (%s)', async (script) => {
    const env = { TEMPORAL_ADDRESS: '192.0.2.1:7233', DATABASE_URL: stack.databaseUrl('north_bank') };
    const { code, output } = await startInVain(script, env);
    expect(output).toContain(
      'InsecureTemporalConnection: Nothing was started: "192.0.2.1:7233" is not on this machine',
    );
    expect(output).toContain('TXN_ALLOW_INSECURE=1');
    expect(code).toBe(1);
  });
});

describe('the health check', () => {
  beforeAll(async () => {
    const client = await connectTemporal({ address: stack.temporal.address });
    await registerSearchAttributes(client.connection, 'default');
    await client.connection.close();
  });

  it('is 200 where the operator of Temporal lets nobody list search attributes, as on Temporal Cloud', async () => {
    const workers = [BANK, WORKFLOWS].map((script) =>
      start(script, { TEMPORAL_ADDRESS: cloud.address, DATABASE_URL: stack.databaseUrl('north_bank') }),
    );
    for (const { url } of await Promise.all(workers)) await untilStatus(`${url}/health`, 200);
  });

  it('is 200 while the worker can work, 503 while its database is away, and 404 elsewhere', async () => {
    const { url, process: worker } = await start(BANK, { DATABASE_URL: stack.databaseUrl('north_bank') });
    await untilStatus(`${url}/health`, 200);
    expect(await (await fetch(`${url}/health`)).json()).toEqual({
      participant: 'north-bank',
      database: { status: 'healthy', slots: { used: expect.any(Number), limit: expect.any(Number) } },
      circuits: [{ circuit: 'participant', state: 'closed', cutOff: 0, since: expect.any(Number) }],
      worker: 'RUNNING',
      healthy: true,
    });
    expect(await statusOf(`${url}/`)).toBe(404);
    expect(await statusOf(`${url}/healthy`)).toBe(404);
    expect(await statusOf(`${url}/health`, 'POST')).toBe(404);

    await stack.postgres.a.kill();
    await untilStatus(`${url}/health`, 503);
    const report = await (await fetch(`${url}/health`)).text();
    expect(JSON.parse(report)).toMatchObject({ healthy: false, worker: 'RUNNING', database: { status: 'unhealthy' } });
    expect(report).not.toContain(new URL(stack.databaseUrl('north_bank')).password);
    expect(worker.running).toBe(true);
    await stack.postgres.a.restart();
    await untilStatus(`${url}/health`, 200);
  }, 120_000);
});

// Before those that leave transfers under way, which its banks would take.
describe('the programs of README.md', () => {
  // Within the repository, so that the package is found by its name.
  const programs = join(dist, `readme-${process.pid}`);
  beforeAll(() => {
    mkdirSync(programs, { recursive: true });
    const text = readFileSync(resolve(__dirname, '../../README.md'), 'utf8');
    const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 };
    for (const [, source = '', name] of text.matchAll(/^```ts\n(\/\/ ([\w-]+)\.ts\n[\s\S]*?)^```$/gm))
      writeFileSync(join(programs, `${name}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
  });
  afterAll(() => rmSync(programs, { recursive: true, force: true }));

  it('move the money, once for an id', async () => {
    const program = (name: string): string => relative(dist, join(programs, `${name}.js`));
    const banks = (['north', 'south'] as const).map((name) => {
      const url = stack.ownerUrl(`readme_${name}`);
      const pool = quietPool({ connectionString: url, max: 1 });
      onTestFinished(() => pool.end());
      return { name: `${name}-bank`, url, pool };
    });
    for (const { pool } of banks) {
      await pool.query('create table account (id text primary key, balance bigint not null check (balance >= 0))');
      await pool.query("insert into account values ('alice', 10000), ('bob', 0)");
    }
    const workers = await Promise.all([
      ...banks.map(({ name, url }) => start(program('bank-worker'), { SERVICE_NAME: name, DATABASE_URL: url })),
      start(program('workflow-worker'), {}),
    ]);
    for (const { url } of workers) await untilStatus(`${url}/health`, 200);
    const answers = [];
    for (let i = 0; i < 2; i++) {
      const { process: client, output } = await start(program('client'), {});
      expect((await client.exited).code).toBe(0);
      answers.push(output().trim());
    }
    expect(answers).toEqual(['transfer-1', 'transfer-1']);
    const balances = await Promise.all<{ rows: unknown[] }>(
      banks.map(({ pool }) => pool.query('select id, balance::int from account order by id')),
    );
    expect(balances.map(({ rows }) => rows)).toEqual([
      [
        { id: 'alice', balance: 7_500 },
        { id: 'bob', balance: 0 },
      ],
      [
        { id: 'alice', balance: 10_000 },
        { id: 'bob', balance: 2_500 },
      ],
    ]);
  }, 120_000);
});

describe('a worker that is told to stop', () => {
  it('with SIGTERM finishes what it has, reports it, and exits with 0', async () => {
    const client = await connectTemporal({ address: stack.temporal.address });
    onTestFinished(() => client.connection.close());
    const workflows = await start(WORKFLOWS, {});
    const bank = await start(
      BANK,
      {
        DATABASE_URL: stack.databaseUrl('north_bank'),
        TXN_CRASHPOINT: JSON.stringify([{ at: 'branch.before-commit', action: { kind: 'delay', ms: 6_000 } }]),
      },
      '--require',
      join(dist, 'src/testing/crashpoints-preload.js'),
    );
    await Promise.all([workflows, bank].map(({ url }) => untilStatus(`${url}/health`, 200)));
    const pool = quietPool({ connectionString: stack.ownerUrl('north_bank'), max: 1 });
    onTestFinished(() => pool.end());
    const handle = await new TransactionClient({ client }).start('transferMoney', {
      id: newId('graceful'),
      input: transferOf(100),
    });
    await until('the debit is written and not committed', async () => {
      const { rowCount } = await pool.query(
        "select from pg_stat_activity where state = 'idle in transaction' and datname = current_database()",
      );
      return rowCount === 1;
    });
    bank.process.signal('SIGTERM');
    const { rows: early } = await pool.query('select from entry where transaction_id = $1', [handle.id]);
    expect(early).toEqual([]);
    await until('it is not healthy any more', async () => (await statusOf(`${bank.url}/health`)) !== 200);
    // It says so while it finishes what it has, not because it is gone.
    expect(bank.process.running).toBe(true);
    expect(await bank.process.exited).toEqual({ code: 0, signal: null });
    const { rows } = await pool.query('select kind from entry where transaction_id = $1', [handle.id]);
    expect(rows).toEqual([{ kind: 'debit' }]);
    // Nobody else is there to have told it.
    await untilReport(handle, 'the debit is reported', ({ steps }) => steps[0]?.fate.kind === 'done');

    workflows.process.signal('SIGTERM');
    expect(await workflows.process.exited).toEqual({ code: 0, signal: null });
  }, 120_000);
});
