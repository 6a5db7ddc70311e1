/** Each check of the doctor, seen well and seen failing, on real servers; and `setup`, which brings one of them about. */
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { Client as PostgresClient } from 'pg';
import { gidOf } from 'temporal-txn/participant';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { examine } from '../../src/cli/doctor/doctor';
import type { DoctorRequest } from '../../src/cli/doctor/doctor';
import type { Checked } from '../../src/cli/doctor/check';
import { judgeClock } from '../../src/cli/doctor/clock';
import { judgeEncryption } from '../../src/cli/doctor/database-checks';
import { judgePostgresVersion, judgeTemporalVersion } from '../../src/cli/doctor/server-version';
import { parseBranchId, parseTransactionId } from '../../src/protocol';
import { startRecovery } from '../../src/worker/recovery';
import { withClosedOperator } from '../closed-operator';
import { deploy, NAMES, SLOTS } from './doctor-fixture';
import type { Bank, Deployment, Name } from './doctor-fixture';
import { newTransaction, NOWHERE } from './fixture';
import { runInProcess } from './in-process';
import type { Printed } from './fixture';
import { startPooler } from './shared-sessions';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy();
});
afterAll(() => deployment?.stop());
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function bank(name: Name = 'north-bank'): Bank {
  const found = deployment.banks.get(name);
  if (!found) throw new Error('The banks are there once the hooks have run.');
  return found;
}
const urls = (): Map<string, string> => new Map(NAMES.map((name) => [name, bank(name).url]));

/** In this process; the command line is tried on its own. */
async function look(given: Partial<DoctorRequest> = {}): Promise<Checked[]> {
  if (process.env['TEMPORAL_ADDRESS'] === undefined) vi.stubEnv('TEMPORAL_ADDRESS', deployment.temporal.address);
  return examine({
    urls: urls(),
    taskQueue: 'transactions',
    graceMs: 60_000,
    timeoutMs: 5_000,
    timeouts: {},
    ...given,
  });
}

/** The one that is meant, and that nothing else has changed. */
async function lookAt(subject: string, check: string, given: Partial<DoctorRequest> = {}): Promise<Checked> {
  const found = (await look(given)).find((one) => one.subject === subject && one.check === check);
  if (found === undefined) throw new Error(`There is no check ${check} of ${subject}.`);
  return found;
}

const run = async (args: readonly string[], environment: Record<string, string> = {}): Promise<Printed> => {
  const printed = await runInProcess(args, {
    TEMPORAL_ADDRESS: deployment.temporal.address,
    TXN_DATABASE_NORTH_BANK: bank('north-bank').url,
    TXN_DATABASE_SOUTH_BANK: bank('south-bank').url,
    ...environment,
  });
  for (const { url, ownerUrl, adminUrl } of deployment.banks.values())
    for (const one of [url, ownerUrl, adminUrl])
      expect(printed.stdout + printed.stderr).not.toContain(new URL(one).password);
  return printed;
};

describe('temporal-txn setup', () => {
  it('registers what is missing, once; and with --check only says so', async () => {
    expect(await lookAt('Temporal', 'search attributes')).toMatchObject({
      status: 'problem',
      remedy: 'temporal-txn setup',
    });
    const checked = await run(['setup', '--check']);
    expect(checked).toMatchObject({
      exitCode: 4,
      stdout: expect.stringMatching(/^Nothing was changed\. There is something to set up/),
    });
    expect(checked.stdout).toMatch(
      /missing +TxnStatus, TxnProtocol, TxnParticipants, TxnNeedsAttention, TxnFailedStep/,
    );
    const done = await run(['setup', '-o', 'json']);
    expect(done.exitCode).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({
      changed: true,
      searchAttributes: { present: [], registered: expect.arrayContaining(['TxnStatus', 'TxnFailedStep']) },
    });
    expect(await run(['setup'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Nothing was changed: everything was there\./),
    });
    expect(await lookAt('Temporal', 'search attributes')).toMatchObject({ status: 'ok' });
  });

  it('leaves an attribute of another type alone, and says so', async () => {
    const { operatorService, workflowService } = deployment.client.connection;
    await workflowService.registerNamespace({
      namespace: 'conflict',
      workflowExecutionRetentionPeriod: { seconds: 3_600 as never },
    });
    await vi.waitFor(
      () => operatorService.addSearchAttributes({ namespace: 'conflict', searchAttributes: { TxnStatus: 3 } }),
      { timeout: 30_000, interval: 200 },
    );
    expect(await run(['setup', '--namespace', 'conflict'])).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('TxnStatus is Int, not Keyword'),
    });
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace: 'conflict' });
    expect(Object.keys(customAttributes).filter((name) => name.startsWith('Txn'))).toEqual(['TxnStatus']);
    const checks = await look({ namespace: 'conflict' });
    const named = (name: string) => checks.find(({ check }) => check === name);
    expect(named('search attributes')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('TxnStatus (Int)'),
    });
    expect(named('namespace')).toMatchObject({ status: 'warning', remedy: expect.stringContaining('--retention 72h') });

    const cloud = await withClosedOperator(deployment.temporal.address);
    onTestFinished(() => cloud.close());
    expect(await run(['setup', '--namespace', 'conflict'], { TEMPORAL_ADDRESS: cloud.address })).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('TxnStatus is Int, not Keyword'),
    });
    expect(await run(['setup'], { TEMPORAL_ADDRESS: cloud.address })).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Nothing was changed: everything was there\./),
    });
  });

  it('migrates with the login of the owner, and with no other', async () => {
    const { admin, ownerUrl } = bank();
    const { rows } = await admin.query<{ version: number }>('select max(version) as version from txn.migration');
    const [latest] = rows;
    await admin.query('alter schema txn rename to txn_aside');
    try {
      const databases = { TXN_DATABASE_SOUTH_BANK: bank('south-bank').ownerUrl };
      expect(await run(['setup', '--migrate', '--check'], databases)).toMatchObject({
        exitCode: 4,
        stdout: expect.stringMatching(/north-bank +to be migrated: .*\n +south-bank +up to date/),
      });
      expect(await run(['setup', '--migrate'], databases)).toMatchObject({
        exitCode: 4,
        stderr: expect.stringMatching(
          /^No schema was changed: .*north-bank.* Permission denied.* login of the role that owns/,
        ),
      });
      expect(await run(['setup', '--migrate'], { ...databases, TXN_DATABASE_NORTH_BANK: ownerUrl })).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(/^Set up\.[^]*north-bank +migrated\n +south-bank +up to date/),
      });
      expect((await admin.query('select max(version) as version from txn.migration')).rows).toEqual([latest]);
    } finally {
      await admin.query('drop schema if exists txn cascade; alter schema txn_aside rename to txn');
    }
  });

  it('links to lists of the Web UI, which has what their queries ask for', async () => {
    const { client, temporal } = deployment;
    await client.workflow.start('transfer', { workflowId: newTransaction(), taskQueue: 'nobody' });
    const { stdout } = await run(['setup', '-o', 'json'], { TXN_WEB_UI: temporal.uiUrl ?? '' });
    const { views } = JSON.parse(stdout) as { views: { name: string; query: string; url: string }[] };
    expect(views.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['held', 'needs attention', 'saga', 'two-phase-commit', 'overdue', 'failed', 'last hour']),
    );
    for (const { query, url } of views) {
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\?query=[\w%.-]+$/);
      expect(new URL(url).searchParams.get('query')).toBe(query);
      expect((await fetch(url)).headers.get('content-type')).toContain('text/html');
      // What the page asks its server for.
      const api = url.replace('/namespaces/', '/api/v1/namespaces/');
      expect((await fetch(api)).status, query).toBe(200);
    }
    const wrong = await run(['setup', '--web-ui', 'http://ann:pass-word@ui']);
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.not.stringContaining('pass-word') });
  });

  it('without Temporal, or a namespace, says so', async () => {
    expect(await run(['setup'], { TEMPORAL_ADDRESS: NOWHERE })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^Nothing was changed, and nothing was looked at: no Temporal server answers/),
    });
    expect(await run(['setup', '--namespace', 'nowhere'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('Check the namespace'),
    });
  });
});

describe('temporal-txn doctor', () => {
  beforeAll(() => deployment.startWorkers());

  it('finds nothing where everything is as it should be', async () => {
    const { exitCode, stdout } = await run(['doctor', '-o', 'json']);
    const { counts, checks } = JSON.parse(stdout) as { counts: object; checks: Checked[] };
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(counts).toEqual({ ok: checks.length, warning: 0, problem: 0, notChecked: 0 });
    expect(new Set(checks.map(({ check }) => check)).size).toBeGreaterThanOrEqual(12);
    expect(exitCode).toBe(0);
    const table = await run(['doctor']);
    expect(table.stdout).toMatch(/^0 problems, 0 warnings, \d+ ok\. Nothing was changed\.\n\nTemporal\n {2}ok /);
  });

  /** What is wrong is brought about with a statement of a superuser at north-bank, and mended with another. */
  const role = 'north_bank_app';
  const asRole = (setting: string) => ({
    bring: `alter role ${role} set ${setting}`,
    mend: `alter role ${role} reset ${setting.split(' ')[0]}`,
  });
  const APPEND = `select txn.append_events('[{"source": "/s", "type": "T", "key": "k", "data": {}}]')`;
  it.each<{
    check: string;
    because: string;
    bring: string;
    mend: string;
    status: Checked['status'];
    found: string;
    remedy: string;
  }>([
    {
      check: 'primary',
      because: 'transactions are read-only by default',
      ...asRole('default_transaction_read_only = on'),
      status: 'problem',
      found: 'read-only by default',
      remedy: 'reset default_transaction_read_only',
    },
    {
      check: 'schema',
      because: 'a migration is missing',
      bring: 'create table aside as select * from txn.migration; delete from txn.migration where version > 1',
      mend: 'insert into txn.migration select * from aside on conflict do nothing; drop table aside',
      status: 'problem',
      found: 'version 1',
      remedy: 'temporal-txn setup --migrate',
    },
    {
      check: 'role',
      because: 'decisions may be changed',
      bring: `grant update, delete on txn.decision to ${role}`,
      mend: `revoke update, delete on txn.decision from ${role}`,
      status: 'warning',
      found: 'may update, delete txn.decision',
      remedy: `revoke update, delete on txn.decision from ${role}`,
    },
    {
      check: 'grants',
      because: 'the schema may not be used',
      bring: `revoke usage on schema txn from ${role}`,
      mend: `grant usage on schema txn to ${role}`,
      status: 'problem',
      found: 'may not use schema txn',
      remedy: `grant usage on schema txn to ${role}`,
    },
    {
      check: 'isolation',
      because: 'another level is the default',
      ...asRole("default_transaction_isolation = 'serializable'"),
      status: 'warning',
      found: 'serializable by default',
      remedy: 'reset default_transaction_isolation',
    },
    {
      check: 'timeouts',
      because: 'the server ends transactions too early',
      ...asRole('transaction_timeout = 3000'),
      status: 'warning',
      found: 'transaction_timeout (3000 ms) ends branches',
      remedy: 'alter role … reset',
    },
    {
      check: 'timeouts',
      because: 'the server ends statements too early',
      ...asRole('statement_timeout = 4000'),
      status: 'warning',
      found: 'statement_timeout (4000 ms) is shorter than that of a branch (5000 ms)',
      remedy: 'alter role … reset',
    },
    {
      check: 'timeouts',
      because: 'the server ends idle sessions',
      ...asRole('idle_session_timeout = 60000'),
      status: 'warning',
      found: 'idle_session_timeout (60000 ms) ends the connections',
      remedy: 'alter role … reset',
    },
    {
      check: 'outbox',
      because: 'events wait for a relay',
      bring: `${APPEND}; update txn.outbox set created_at = now() - interval '1 hour'`,
      mend: 'truncate txn.outbox, txn.outbox_queue, txn.outbox_key',
      status: 'warning',
      found: '1 event to be published, the oldest 1 h old',
      remedy: 'runOutboxRelay',
    },
    {
      check: 'outbox',
      because: 'an event cannot be published',
      bring: `${APPEND}; update txn.outbox_queue set parked = true;
              insert into txn.outbox_dead_letter (key, version, position, attempts, error) select key, version, position, 3, 'no' from txn.outbox_queue`,
      mend: 'truncate txn.outbox, txn.outbox_queue, txn.outbox_key, txn.outbox_dead_letter',
      status: 'problem',
      found: '1 key parked at an event that cannot be published',
      remedy: 'temporal-txn dead-letters north-bank',
    },
  ])('$check: $because', async ({ check, bring, mend, status, found, remedy }) => {
    const { admin } = bank();
    await admin.query(bring);
    try {
      expect(await lookAt('north-bank', check)).toMatchObject({
        status,
        found: expect.stringContaining(found),
        remedy: expect.stringContaining(remedy),
      });
      expect(await lookAt('south-bank', check)).toMatchObject({ status: 'ok' });
    } finally {
      await admin.query(mend);
    }
    expect(await lookAt('north-bank', check)).toMatchObject({ status: 'ok' });
  });

  it('grants: its remedy gives what is missing', async () => {
    const { admin } = bank();
    await admin.query(
      `revoke update on txn.branch from ${role}; revoke insert, delete on txn.preparation from ${role}`,
    );
    const found = await lookAt('north-bank', 'grants');
    expect(found).toMatchObject({
      status: 'problem',
      remedy: `grant update on txn.branch to ${role}; grant insert, delete on txn.preparation to ${role}`,
    });
    await admin.query('remedy' in found ? found.remedy : '');
    expect(await lookAt('north-bank', 'grants')).toMatchObject({ status: 'ok' });
  });

  it('role and grants: the remedies for a role whose name has to be quoted can be executed', async () => {
    const { admin, url } = bank();
    const name = 'north-bank-Worker';
    const as = new URL(url);
    as.username = name;
    const look = (check: string) => lookAt('north-bank', check, { urls: urls().set('north-bank', as.href) });
    const mend = async (check: string): Promise<void> => {
      const found = await look(check);
      expect(found).not.toMatchObject({ status: 'ok' });
      await admin.query('remedy' in found ? found.remedy : '');
    };
    await admin.query(
      `create role "${name}" login password '${as.password}';
       grant connect on database "${as.pathname.slice(1)}" to "${name}"; grant delete on txn.decision to "${name}"`,
    );
    try {
      await mend('grants'); // The schema first, and then its tables.
      await mend('grants');
      expect(await look('grants')).toMatchObject({ status: 'ok' });
      await mend('role');
      expect(await look('role')).toMatchObject({ status: 'ok' });
    } finally {
      await admin.query(`drop owned by "${name}"; drop role "${name}"`);
    }
  });

  it('role: a superuser, and an owner of the schema', async () => {
    const as = (url: string) => lookAt('north-bank', 'role', { urls: urls().set('north-bank', url) });
    expect(await as(bank().adminUrl)).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('is a superuser'),
      remedy: expect.stringContaining('nosuperuser'),
    });
    expect(await as(bank().ownerUrl)).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('owns tables of schema txn'),
      remedy: expect.stringContaining('temporal-txn setup --migrate'),
    });
  });

  it('timeouts: those of the workers in the wrong order', async () => {
    expect(await lookAt('north-bank', 'timeouts', { timeouts: { lockMs: 9_000 } })).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('lockMs (9000) is not smaller than statementMs (5000)'),
    });
    expect((await run(['doctor', '--timeouts', '1,2,3'])).exitCode).toBe(2);
  });

  it('slots and connections: more than there is room for', async () => {
    const { admin } = bank();
    const prepare = async (from: number, to: number): Promise<void> => {
      for (let i = from; i < to; i++)
        await admin.query(`begin; select txid_current(); prepare transaction 'of-others-${i}'`);
    };
    const clients = Array.from({ length: SLOTS }, () => new PostgresClient({ connectionString: bank().adminUrl }));
    try {
      await prepare(0, SLOTS - 7);
      expect(await lookAt('north-bank', 'slots')).toMatchObject({
        status: 'warning',
        found: `${SLOTS - 7} of ${SLOTS} are in use on this server.`,
        remedy: expect.stringContaining('temporal-txn in-doubt'),
      });
      expect(await lookAt('all participants', 'in doubt')).toMatchObject({ status: 'ok' });
      expect(await lookAt('all participants', 'in doubt', { graceMs: 0 })).toMatchObject({
        status: 'warning',
        found: expect.stringContaining(`${SLOTS - 7} prepared transactions of nobody here`),
      });
      await prepare(SLOTS - 7, SLOTS);
      expect(await lookAt('north-bank', 'slots')).toMatchObject({
        status: 'problem',
        found: expect.stringContaining('Nothing more can be prepared'),
      });
      await Promise.all(clients.map((client) => client.connect()));
      expect(await lookAt('north-bank', 'prepared transactions')).toMatchObject({
        status: 'warning',
        remedy: expect.stringContaining('alter system set max_prepared_transactions = 200'),
      });
    } finally {
      await Promise.all(clients.map((client) => client.end()));
      const { rows } = await admin.query<{ gid: string }>('select gid from pg_prepared_xacts');
      for (const { gid } of rows) await admin.query(`rollback prepared '${gid}'`);
    }
  });

  it('in doubt: a branch that is left lying', async () => {
    const { admin } = bank();
    const gid = gidOf(
      { transaction: parseTransactionId(newTransaction()), branch: parseBranchId('debit'), input: null },
      { operation: 'debit', register: 'north-bank', participant: 'north-bank', namespace: 'default' },
    );
    await admin.query(`begin; select txid_current(); prepare transaction '${gid}'`);
    try {
      expect(await lookAt('all participants', 'in doubt', { graceMs: 0 })).toMatchObject({
        status: 'problem',
        found: expect.stringContaining('1 branch left in doubt, the oldest at north-bank'),
        remedy: 'temporal-txn in-doubt',
      });
    } finally {
      await admin.query(`rollback prepared '${gid}'`);
    }
  });

  it('a database each: two names of one database, of which the second has no workers', async () => {
    const checks = await look({ urls: urls().set('east-bank', bank('south-bank').ownerUrl) });
    const found = (subject: string, name: string) =>
      checks.find((one) => one.subject === subject && one.check === name);
    expect(found('all participants', 'a database each')).toMatchObject({
      status: 'problem',
      found: 'south-bank and east-bank are one database, south_bank.',
    });
    expect(found('east-bank', 'task queue')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('No worker polls east-bank for activity tasks'),
      remedy: expect.stringContaining('runParticipant'),
    });
    expect(found('east-bank', 'recovery')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('was never started'),
    });
    expect(found('north-bank', 'task queue')).toMatchObject({ status: 'ok' });
  });

  it('recovery: its workflow was terminated', async () => {
    const { client } = deployment;
    await client.workflow.getHandle('recovery:south-bank').terminate();
    expect(await lookAt('south-bank', 'recovery')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('has ended: TERMINATED'),
      remedy: expect.stringContaining('Start a worker of south-bank'),
    });
    expect(await lookAt('north-bank', 'recovery')).toMatchObject({ status: 'ok' });
    await client.workflow.start('recoverParticipant', {
      workflowId: 'recovery:south-bank',
      taskQueue: 'south-bank',
      args: [{ participant: 'south-bank' }],
    });
  });

  it('recovery, relays: their workflows are there, and their tasks fail over and over', async () => {
    const { client } = deployment;
    const check = (name: string) => lookAt('south-bank', name);
    // Of a type that its workers do not know.
    const start = (workflowId: string) =>
      client.workflow.start('newerThanItsWorkers', {
        workflowId,
        taskQueue: 'south-bank',
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      });
    const stuck = await Promise.all(['recovery:south-bank', 'outbox:south-bank'].map(start));
    await vi.waitFor(
      async () => {
        for (const name of ['recovery', 'relays'])
          expect(await check(name)).toMatchObject({
            status: 'problem',
            found: expect.stringMatching(/ is running and does not get on: its task has failed \d+ times in a row\. /),
          });
      },
      { timeout: 60_000, interval: 500 },
    );
    expect(await check('recovery')).toMatchObject({
      found: expect.stringContaining('leaves in doubt or reserved stays so'),
      remedy: expect.stringContaining(
        'temporal workflow terminate --workflow-id recovery:south-bank; its workers start',
      ),
    });
    expect((await check('relays')).found).toContain('is not published');
    for (const handle of stuck) await handle.terminate();
    await startRecovery(client, { participant: 'south-bank' });
    expect(await check('recovery')).toMatchObject({ status: 'ok' });
    expect(await check('relays')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('has ended: TERMINATED'),
      remedy: expect.stringContaining('runOutboxRelay'),
    });
    // As if there had been none.
    await client.workflowService.deleteWorkflowExecution({
      namespace: deployment.temporal.namespace,
      workflowExecution: { workflowId: 'outbox:south-bank' },
    });
    await vi.waitFor(async () => expect(await check('relays')).toMatchObject({ status: 'ok' }), { timeout: 90_000 });
  }, 180_000);

  it('coordinators: nobody polls their task queue', async () => {
    expect(await lookAt('Temporal', 'coordinators', { taskQueue: 'nobody-there' })).toMatchObject({
      status: 'problem',
      remedy: expect.stringContaining('runCoordinator'),
    });
  });

  it('namespace: there is none', async () => {
    expect(await lookAt('Temporal', 'namespace', { namespace: 'nowhere' })).toMatchObject({
      status: 'problem',
      remedy: expect.stringContaining('temporal operator namespace create --namespace nowhere'),
    });
  });

  it('clock: this machine is a minute ahead', async () => {
    const real = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => real() + 60_000);
    const checks = await look();
    for (const subject of ['Temporal', ...NAMES])
      expect(checks.find((one) => one.subject === subject && one.check === 'clock')).toMatchObject({
        status: 'warning',
        found: expect.stringMatching(/^Its clock is (5\d|60)\.\d s behind this machine's\. No decision rests on it/),
        remedy: expect.stringContaining('NTP'),
      });
  });

  it('encryption, connection: plain text to what may be another machine', async () => {
    const elsewhere = bank().url.replace('127.0.0.1', '0.0.0.0');
    vi.stubEnv('TEMPORAL_ADDRESS', deployment.temporal.address.replace('127.0.0.1', '0.0.0.0'));
    const refused = await look({ urls: urls().set('north-bank', elsewhere) });
    expect(refused.find(({ subject }) => subject === 'north-bank')).toMatchObject({
      check: 'reachable',
      status: 'problem',
      found: expect.stringContaining('Not connected to: '),
      remedy: expect.stringContaining('sslmode=verify-full'),
    });
    expect(refused.find(({ subject }) => subject === 'Temporal')).toMatchObject({
      check: 'reachable',
      status: 'problem',
      found: expect.stringContaining('neither TLS nor an API key'),
      remedy: expect.stringContaining('TEMPORAL_API_KEY'),
    });
    vi.stubEnv('TXN_ALLOW_INSECURE', '1');
    expect(await lookAt('Temporal', 'connection')).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('allowed by TXN_ALLOW_INSECURE'),
    });
    expect(await lookAt('north-bank', 'encryption', { urls: urls().set('north-bank', elsewhere) })).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('allowed by TXN_ALLOW_INSECURE'),
      remedy: expect.stringContaining('sslmode=verify-full'),
    });
  });

  it('sessions: a pooler that shares them; nothing is set in what is shared', async () => {
    const pooler = await startPooler(bank().url);
    try {
      const url = new URL(bank().url);
      url.port = String(pooler.port);
      const checks = await look({ urls: urls().set('north-bank', url.href) });
      const ofNorth = checks.filter(({ subject }) => subject === 'north-bank');
      expect(ofNorth.find(({ check }) => check === 'sessions')).toMatchObject({
        status: 'problem',
        found: expect.stringContaining('a pooler between them'),
        remedy: expect.stringContaining('pool_mode = session'),
      });
      expect(ofNorth.find(({ check }) => check === 'slots')).toMatchObject({ status: 'not checked' });
      const client = new PostgresClient({ connectionString: url.href });
      await client.connect();
      const { rows } = await client.query('show default_transaction_read_only');
      expect(rows).toEqual([{ default_transaction_read_only: 'off' }]);
      await client.end();
    } finally {
      await pooler.close();
    }
  });

  describe('with servers that accept connections and never answer', () => {
    let silent: Server;
    let port: number;
    beforeAll(async () => {
      silent = createServer((socket) => socket.on('error', () => undefined));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      port = (silent.address() as AddressInfo).port;
    });
    afterAll(() => silent?.close());

    it('ends, and says what it could not check', async () => {
      const hanging = new URL(bank().url);
      hanging.port = String(port);
      const blocker = await bank('south-bank').admin.connect();
      await blocker.query('begin; lock table txn.outbox_queue in access exclusive mode');
      const startedAt = Date.now();
      try {
        const { exitCode, stdout } = await run(['doctor', '--timeout', '4', '--json'], {
          TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
          TXN_DATABASE_NORTH_BANK: hanging.href,
        });
        expect(Date.now() - startedAt).toBeLessThan(45_000);
        expect(exitCode).toBe(4);
        const { checks } = JSON.parse(stdout) as { checks: Checked[] };
        const found = (subject: string, name: string) =>
          checks.find((one) => one.subject === subject && one.check === name);
        expect(found('Temporal', 'reachable')).toMatchObject({ status: 'problem' });
        expect(found('Temporal', 'version')).toMatchObject({ status: 'not checked' });
        expect(found('north-bank', 'reachable')?.status).toMatch(/problem|not checked/);
        expect(found('north-bank', 'schema')).toMatchObject({ status: 'not checked' });
        expect(found('north-bank', 'task queue')).toMatchObject({ status: 'not checked' });
        expect(found('south-bank', 'outbox')).toMatchObject({ status: 'not checked' });
        expect(found('south-bank', 'schema')).toMatchObject({ status: 'ok' });
        expect(found('all participants', 'a database each')).toMatchObject({ status: 'not checked' });
      } finally {
        await blocker.query('rollback');
        blocker.release();
      }
    });
  });

  it('exits with 3 when something could not be checked and nothing is wrong, and with 2 when used wrongly', async () => {
    const blocker = await bank('south-bank').admin.connect();
    await blocker.query('begin; lock table txn.outbox_queue in access exclusive mode');
    try {
      const { exitCode, stdout } = await run(['doctor', '--timeout', '10']);
      expect(stdout).toMatch(/^0 problems, 0 warnings, \d+ ok, 1 not checked\./);
      expect(stdout).toMatch(/not checked +outbox/);
      expect(exitCode).toBe(3);
    } finally {
      await blocker.query('rollback');
      blocker.release();
    }
    expect((await run(['doctor', '--timeout', 'soon'])).exitCode).toBe(2);
    const none = await run(['doctor'], { TXN_DATABASE_NORTH_BANK: '', TXN_DATABASE_SOUTH_BANK: '' });
    expect(none).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no database is configured') });
  });

  // The last one: nothing can be prepared from here on.
  it('prepared transactions: switched off; then nobody needs a recovery', async () => {
    await deployment.stopWorkers();
    await deployment.restartPostgres({ max_prepared_transactions: 0 });
    const checks = await look();
    const ofNorth = checks.filter(({ subject }) => subject === 'north-bank');
    expect(ofNorth.find(({ check }) => check === 'prepared transactions')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('max_prepared_transactions is 0'),
      remedy: expect.stringContaining('alter system set max_prepared_transactions'),
    });
    expect(ofNorth.find(({ check }) => check === 'recovery')).toMatchObject({ status: 'ok' });
  });
});

describe('what the doctor thinks of', () => {
  it.each([
    ['1.28.1', 'problem'],
    ['1.29.0', 'problem'],
    ['1.29.4', 'problem'],
    ['1.29.5', 'ok'],
    ['1.30.0-148.2', 'problem'],
    ['1.30.2', 'problem'],
    ['1.30.3', 'ok'],
    ['1.32.0', 'ok'],
    ['2.0.0', 'ok'],
    ['nightly', 'warning'],
  ])('Temporal %s: %s', (version, status) => {
    const judged = judgeTemporalVersion(version);
    expect(judged).toMatchObject({ status });
    expect(/CVE-2026-5199, CVE-2025-14987, CVE-2025-14986/.test(judged.found)).toBe(status === 'problem');
  });

  it('Temporal before all that were tried: both', () => {
    expect(judgeTemporalVersion('1.28.1')).toMatchObject({
      found: expect.stringMatching(/CVE-2026-5199.* older than any that this package was tried with/),
      remedy: 'Update the server to 1.29.5 or newer.',
    });
  });

  it('PostgreSQL', () => {
    expect(judgePostgresVersion(120_022, '12.22')).toMatchObject({
      status: 'problem',
      remedy: 'Upgrade to 13 or newer.',
    });
    expect(judgePostgresVersion(130_000, '13.0')).toMatchObject({ status: 'ok' });
  });

  it.each([
    ['db.example.org', 'verified', 'ok'],
    ['db.example.org', 'unverified', 'warning'],
    ['db.example.org', 'none', 'warning'],
    ['127.0.0.1', 'none', 'ok'],
    ['::1', 'none', 'ok'],
    ['/var/run/postgresql', 'none', 'ok'],
    ['127.0.0.1.example.org', 'none', 'warning'],
  ] as const)('a connection to %s that is encrypted: %s: %s', (host, encryption, status) => {
    expect(judgeEncryption({ host, encryption })).toMatchObject({ status });
  });

  it('clocks: what was under way is no difference', () => {
    expect(judgeClock({ sentMs: 0, theirMs: 9_000, receivedMs: 10_000 })).toMatchObject({ status: 'ok' });
    expect(judgeClock({ sentMs: 0, theirMs: 15_001, receivedMs: 10_000 })).toMatchObject({ status: 'warning' });
    expect(judgeClock({ sentMs: 6_000, theirMs: 999, receivedMs: 10_000 })).toMatchObject({ status: 'warning' });
    expect(judgeClock({ sentMs: 6_000, theirMs: 1_000, receivedMs: 10_000 })).toMatchObject({ status: 'ok' });
  });
});
