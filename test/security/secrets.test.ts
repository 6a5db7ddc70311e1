/** Passwords, API keys and keys of the codec: whatever goes wrong with them, and however it is asked for, none of them is printed. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { NOWHERE } from '../cli/fixture';
import { certificateDirectory } from './certificates';

const dist = resolve(__dirname, '../../dist');
const directory = certificateDirectory();
afterAll(() => directory.remove());

const SECRETS = {
  password: 'S3cret-Passw0rd',
  apiKey: 'S3cret-Api-Key',
  key: Buffer.from('S3cret-Encryption-Key-4711-08/15').toString('base64'),
};
const DATABASE_URL = `postgresql://app:${SECRETS.password}@${NOWHERE}/bank`;
const broken = join(directory.path, 'broken.toml');
writeFileSync(broken, `[profile.default]\napi_key = "${SECRETS.apiKey}\n`);
const leaking = join(directory.path, 'leaking.cjs');
writeFileSync(leaking, `throw new Error('The key is ${SECRETS.key}');`);

/** All of them, in settings that are good by themselves; nobody answers. */
const SETTINGS = {
  TEMPORAL_ADDRESS: NOWHERE,
  TEMPORAL_API_KEY: SECRETS.apiKey,
  TXN_ENCRYPTION_KEYS: `one:${SECRETS.key}`,
  DATABASE_URL,
  TXN_DATABASE_NORTH_BANK: DATABASE_URL,
  SERVICE_NAME: 'north-bank',
  POSTGRES_A_URL: DATABASE_URL,
  POSTGRES_B_URL: DATABASE_URL,
  OWNER_PASSWORD: SECRETS.password,
  SERVICE_PASSWORD: SECRETS.password,
};

const WORKER = ['activities/accounts/worker.js'];
const COORDINATOR = ['workflows/worker.js'];
const COMMAND = ['src/cli/main.js'];

/** What is run, with which settings changed, and what it says. */
const RUNS: readonly (readonly [string, readonly string[], Readonly<Record<string, string>>, RegExp])[] = [
  ['a worker that cannot reach its database', WORKER, {}, /ECONNREFUSED/],
  [
    'a worker whose connection string is none',
    WORKER,
    { DATABASE_URL: `postgresql://app:${SECRETS.password}@h:port/bank` },
    /InvalidDatabaseSettingsError.*ERR_INVALID_URL/,
  ],
  [
    'a worker whose password is not encoded as it has to be',
    WORKER,
    { DATABASE_URL: `postgresql://app:${SECRETS.password}%zz@10.1.2.3/bank` },
    /InsecureDatabaseConnectionError/,
  ],
  [
    'a worker whose database is elsewhere',
    WORKER,
    { DATABASE_URL: `postgresql://app:${SECRETS.password}@10.1.2.3/bank` },
    /InsecureDatabaseConnectionError/,
  ],
  ['a coordinator that cannot reach Temporal', COORDINATOR, {}, /TemporalUnreachable/],
  [
    'a coordinator whose API key would be sent in plain text',
    COORDINATOR,
    { TEMPORAL_TLS: 'false', TEMPORAL_ADDRESS: '10.1.2.3:7233' },
    /InsecureTemporalConnection/,
  ],
  ['a coordinator whose profile is broken', COORDINATOR, { TEMPORAL_CONFIG_FILE: broken }, /look at line 2/],
  [
    'a coordinator whose key is too short',
    COORDINATOR,
    { TXN_ENCRYPTION_KEYS: `one:${SECRETS.key.slice(4)}` },
    /InvalidEncryptionKeys/,
  ],
  [
    'a coordinator whose data converter cannot be loaded',
    COORDINATOR,
    { TXN_ENCRYPTION_KEYS: '', TXN_DATA_CONVERTER: leaking },
    /InvalidDataConverter/,
  ],
  ['the doctor', [...COMMAND, 'doctor', '--timeout', '1'], {}, /north-bank/],
  ['the doctor, for programs', [...COMMAND, 'doctor', '--timeout', '1', '-o', 'json'], {}, /"reachable"/],
  ['a command about one transaction', [...COMMAND, 'show', 'transfer-1', '-o', 'json'], {}, /north-bank|Temporal/],
  ['a command on databases', [...COMMAND, 'in-doubt'], {}, /north-bank/],
  ['a command on Temporal', [...COMMAND, 'list', '-o', 'json'], {}, /TemporalUnreachable/],
  [
    'a command whose Web UI has a user and no port',
    [...COMMAND, 'setup'],
    { TXN_WEB_UI: `http://ann:${SECRETS.password}@ui:port` },
    /address of the Web UI/,
  ],
  [
    'a command whose API key ends with a line break',
    [...COMMAND, 'list'],
    { TEMPORAL_API_KEY: `${SECRETS.apiKey}\n` },
    /TEMPORAL_API_KEY/,
  ],
  ['a client', ['clients/transfer.js', '--help'], {}, /transfer/],
  ['the set-up of docker compose', ['demo/compose-setup.js'], {}, /TemporalUnreachable/],
];

const run = ([script = '', ...args]: readonly string[], changed: Readonly<Record<string, string>>): Promise<string> =>
  new Promise((done) => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: directory.path, ...SETTINGS, ...changed };
    const options = { cwd: directory.path, env, timeout: 50_000 };
    execFile(process.execPath, [join(dist, script), ...args], options, (_, stdout, stderr) => done(stdout + stderr));
  });

describe('a secret', () => {
  it.concurrent.each(RUNS)('is printed by nobody: not by %s', async (_, command, changed, says) => {
    const printed = await run(command, changed);
    expect(printed).toMatch(says);
    for (const secret of Object.values(SECRETS)) {
      expect(printed).not.toContain(secret);
      expect(printed).not.toContain(secret.slice(4, -4));
    }
  });
});
