/** How a participant's database is reached: off this machine by TLS and with a verified certificate, or not at all. */
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PoolConfig } from 'pg';
import { checkDatabaseConnection, migrate } from 'temporal-txn/participant';
import { PostgresServer, spawnGuarded } from 'temporal-txn/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { quietPool } from '../quiet-pool';
import { runCommand } from '../cli/fixture';
import { Authority, certificateDirectory } from './certificates';

const PASSWORD = 's3cret-w0rd';
const directory = certificateDirectory();
const authority = Authority.in(directory.path, 'authority');
const strangers = Authority.in(directory.path, 'strangers');
const ca = { rejectUnauthorized: true, ca: readFileSync(authority.ca, 'utf8') };

afterAll(() => directory.remove());
afterEach(() => vi.unstubAllEnvs());

const at = (host: string, more = ''): PoolConfig => ({
  connectionString: `postgresql://app:${PASSWORD}@${host}/bank${more}`,
});

function refusal(settings: PoolConfig): Error | undefined {
  try {
    checkDatabaseConnection(settings, 'north-bank');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

type Environment = Readonly<Record<string, string>>;

const VERIFY = '?sslmode=verify-full';
const NOBODY_VERIFIED: Environment = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };

describe('a database', () => {
  it.each<[string, PoolConfig, Environment?]>([
    ['at 10.1.2.3', at('10.1.2.3:5432')],
    ['at a name', at('db.example.org')],
    ['at a name that begins with localhost', at('localhost.evil.com')],
    ['at a name that begins with 127.0.0.1', at('127.0.0.1.evil.com')],
    ['at an address of IPv6', at('[2001:db8::1]:5432')],
    ['at every address', at('0.0.0.0')],
    ['with sslmode=disable', at('10.1.2.3', '?sslmode=disable')],
    ['with ssl=0', at('10.1.2.3', '?ssl=0')],
    ['whose host is hidden in the query', at('localhost', '?host=10.1.2.3')],
    ['whose host is a setting', { host: '10.1.2.3', password: PASSWORD }],
    ['whose host is in the environment', { password: PASSWORD }, { PGHOST: '10.1.2.3' }],
    ['with PGSSLMODE=disable', at('10.1.2.3'), { PGSSLMODE: 'disable' }],
  ])('%s is refused in plain text', (_, settings, environment = {}) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const error = refusal(settings);
    expect(error).toMatchObject({ name: 'InsecureDatabaseConnectionError', whose: 'north-bank', by: 'plain text' });
    expect(error?.message).toMatch(/^Nothing was started: the database of north-bank at ".*" is not on this machine/);
    expect(error?.message).not.toContain(PASSWORD);
  });

  it.each<[string, PoolConfig, Environment?]>([
    ['with sslmode=no-verify', at('10.1.2.3', '?sslmode=no-verify')],
    ['with sslmode=require as libpq means it', at('10.1.2.3', '?uselibpqcompat=true&sslmode=require')],
    ['with ssl: { rejectUnauthorized: false }', { ...at('10.1.2.3'), ssl: { rejectUnauthorized: false } }],
    ['with PGSSLMODE=no-verify', at('10.1.2.3'), { PGSSLMODE: 'no-verify' }],
    ['with an environment that verifies nobody', { ...at('10.1.2.3'), ssl: true }, NOBODY_VERIFIED],
    ['with sslmode=verify-full, and an environment that verifies nobody', at('10.1.2.3', VERIFY), NOBODY_VERIFIED],
  ])('%s is refused: its certificate is not verified', (_, settings, environment = {}) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    expect(refusal(settings)).toMatchObject({
      name: 'InsecureDatabaseConnectionError',
      by: 'an unverified certificate',
    });
  });

  it.each<[string, PoolConfig, Environment?]>([
    ['on this machine', at('localhost:5432')],
    ['on this machine, by its address', at('127.0.0.1')],
    ['on this machine, by its address of IPv6', at('[::1]')],
    ['behind a socket', { host: '/var/run/postgresql' }],
    ['behind a socket in the query', at('', '?host=/var/run/postgresql')],
    ['with nothing said', {}],
    ['with sslmode=verify-full', at('10.1.2.3', VERIFY)],
    ['with ssl: true', { ...at('10.1.2.3'), ssl: true }],
    ['with an authority', { ...at('10.1.2.3'), ssl: ca }],
    ['that is verified whatever the environment says', { ...at('10.1.2.3'), ssl: ca }, NOBODY_VERIFIED],
    ['with PGSSLMODE=verify-full', at('10.1.2.3'), { PGSSLMODE: 'verify-full' }],
    ['that TXN_ALLOW_INSECURE=1 allows', at('10.1.2.3'), { TXN_ALLOW_INSECURE: '1' }],
    ['that TXN_ALLOW_INSECURE=postgresql allows', at('10.1.2.3'), { TXN_ALLOW_INSECURE: 'postgresql' }],
  ])('%s is taken', (_, settings, environment = {}) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    expect(refusal(settings)).toBeUndefined();
  });

  it.each(['temporal', '0', 'true'])('is refused with TXN_ALLOW_INSECURE=%s', (allowed) => {
    vi.stubEnv('TXN_ALLOW_INSECURE', allowed);
    expect(refusal(at('10.1.2.3'))?.name).toBe('InsecureDatabaseConnectionError');
  });

  it.each<[string, PoolConfig, RegExp]>([
    // Cast: the types of the driver have no list.
    [
      'hosts in a list',
      { host: ['a', 'b'] as unknown as string, password: PASSWORD },
      /cannot be used\. Use a connection/,
    ],
    ['a port that is none', at('10.1.2.3:port'), /ERR_INVALID_URL/],
    ['a password with a slash', { connectionString: `postgresql://app:${PASSWORD}/@x:y@h/bank` }, /ERR_INVALID_URL/],
    [
      'an authority that is not there',
      at('10.1.2.3', '?sslmode=verify-full&sslrootcert=/nowhere.pem'),
      /"\/nowhere\.pem", a certificate or key .* cannot be read \(ENOENT\)/,
    ],
  ])('with %s is refused, and its password is not shown', (_, settings, message) => {
    const error = refusal(settings);
    expect(error).toMatchObject({
      name: 'InvalidDatabaseSettingsError',
      message: expect.stringMatching(/^Nothing was started: /),
    });
    expect(error?.message).toMatch(message);
    expect(`${error?.message} ${error?.stack} ${JSON.stringify(error)}`).not.toContain(PASSWORD);
  });
});

describe('a server that speaks TLS', () => {
  let server: PostgresServer;
  let home: string;
  let url: URL;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'txn-tls-'));
    chmodSync(home, 0o711);
    server = await PostgresServer.start({ directory: home, durable: false });
    url = new URL(await server.createService('bank'));
    // Not loopback to us, and yet this machine.
    url.hostname = '0.0.0.0';
    const owner = quietPool({ connectionString: url.href, max: 1 });
    await migrate(owner);
    await owner.end();
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });

  const secured = (one: Authority = authority): string => `${url.href}?sslmode=verify-full&sslrootcert=${one.ca}`;

  const ask = async (connectionString: string): Promise<unknown> => {
    checkDatabaseConnection({ connectionString }, 'bank');
    const pool = quietPool({ connectionString, max: 1 });
    try {
      const { rows } = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      return rows[0];
    } finally {
      await pool.end();
    }
  };

  it('is not spoken to while it does not', async () => {
    await expect(ask(secured())).rejects.toThrow('The server does not support SSL connections');
  });

  describe('once it does', () => {
    beforeAll(() => turnOnTls());

    it('is reached with its authority, and not with another', async () => {
      // The server reads its settings again when it gets round to it.
      await expect.poll(() => ask(secured()).catch(String), { timeout: 30_000 }).toEqual({ ssl: true });
      await expect(ask(secured(strangers))).rejects.toThrow(/certificate/);
    });

    it('is looked at by the command with its authority, and refused without', async () => {
      const databases = (connectionString: string) => ({ TXN_DATABASE_BANK: connectionString });
      const [good, refused, doctor] = await Promise.all([
        runCommand(['in-doubt'], databases(secured())),
        runCommand(['in-doubt', '-o', 'json'], databases(url.href)),
        runCommand(['doctor', '--timeout', '5', '-o', 'json'], {
          ...databases(url.href),
          TXN_DATABASE_OTHER: secured(),
        }),
      ]);
      expect(good.stdout).toContain('Looked at 1 database: bank.');
      expect(JSON.parse(refused.stderr)).toMatchObject({
        error: 'DatabaseRefused',
        message: expect.stringMatching(/^Nothing was changed, and nothing was looked at: the database of bank at "0/),
        exitCode: 2,
      });
      const { checks } = JSON.parse(doctor.stdout) as { checks: { subject: string; check: string; status: string }[] };
      const of = (subject: string, check: string) =>
        checks.find((one) => one.subject === subject && one.check === check);
      expect(of('bank', 'reachable')).toMatchObject({
        status: 'problem',
        found: expect.stringContaining('plain text'),
      });
      expect(of('bank', 'encryption')).toMatchObject({ status: 'not checked' });
      expect(of('other', 'encryption')).toMatchObject({ status: 'ok', found: expect.stringContaining('verified') });
      for (const { stdout, stderr } of [good, refused, doctor]) expect(stdout + stderr).not.toContain(url.password);
    });

    it('is no database for a worker that would come in plain text', async () => {
      const log = join(home, 'worker.log');
      const worker = await spawnGuarded(
        process.execPath,
        [resolve(__dirname, '../../dist/activities/accounts/worker.js')],
        {
          env: { PATH: process.env['PATH'], SERVICE_NAME: 'north-bank', DATABASE_URL: url.href },
          log,
        },
      );
      expect((await worker.exited).code).toBe(1);
      const output = readFileSync(log, 'utf8');
      expect(output).toContain('InsecureDatabaseConnectionError: Nothing was started: the database of north-bank');
      expect(output).not.toContain(url.password);
    });
  });

  async function turnOnTls(): Promise<void> {
    const data = join(server.directory, 'data');
    const { uid, gid } = statSync(data);
    const pair = authority.issue('postgres', { server: 'IP:0.0.0.0' });
    for (const [from, name] of [
      [pair.cert, 'server.crt'],
      [pair.key, 'server.key'],
    ] as const) {
      const to = join(data, name);
      copyFileSync(from, to);
      chmodSync(to, 0o600);
      chownSync(to, uid, gid);
    }
    const admin = quietPool({ connectionString: server.adminUrl, max: 1 });
    await admin.query('alter system set ssl = on');
    await admin.query('select pg_reload_conf()');
    await admin.end();
  }
});
