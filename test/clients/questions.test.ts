/** What waits for a person: the scripts say so, say what to type, and refuse an answer that nobody waits for. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { TransactionNotFound } from 'temporal-txn/client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { quoted } from '../../clients/lib/shell';
import { commandLine } from '../../clients/lib/run';
import { freePort } from '../../src/testing';
import { newId, until, useShop } from '../end-to-end/fixture';
import { isTurnOf } from '../depth';
import { json, start } from './call';
import type { Called, Ended, Script } from './call';

/** What its user may have set for services of their own. */
let home = '';
let theirs: Readonly<Record<string, string>>;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'temporal-txn-home-'));
  mkdirSync(join(home, 'temporalio'));
  for (const file of ['temporal.toml', 'temporalio/temporal.toml'])
    writeFileSync(
      join(home, file),
      '[profile.default]\nnamespace = "theirs"\n[profile.default.tls]\ndisabled = false\n',
    );
  theirs = {
    TEMPORAL_API_KEY: 'a key',
    TEMPORAL_CONFIG_FILE: join(home, 'temporal.toml'),
    XDG_CONFIG_HOME: home,
    TXN_DATABASE_NORTH_BANK: 'postgresql://theirs@127.0.0.1:1/theirs',
    TXN_ENCRYPTION_KEYS: 'no key',
    TXN_METRICS_ADDRESS: String(await freePort()),
    PGSSLMODE: 'require',
  };
  for (const [name, value] of Object.entries(theirs)) vi.stubEnv(name, value);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

const isDue = isTurnOf('what users see', 'questions of scripts');
const shop = useShop({ open: ['north-bank', 'south-bank', 'audit', 'airline', 'hotel', 'car-rental'] });

const address = (): string => shop().stack.temporal.address;
const begin = (script: Script, args: readonly string[], more: Record<string, string> = {}): Called =>
  start(script, args, { TEMPORAL_ADDRESS: address(), ...more });
const call = (script: Script, args: readonly string[], more: Record<string, string> = {}): Promise<Ended> =>
  begin(script, args, more).ended;

const offer = ['--flight', 'LIS-900', '--room', 'DOUBLE', '--car', 'COMPACT'];
const approved = ['--from', 'north-bank/alice', '--to', 'south-bank/bob', '--amount', '1', '--approved'];

/** Refused in one sentence of ours, with exit code 2, whatever was printed before. */
function expectRefusal({ code, stdout, stderr }: Ended, message: string): void {
  expect(stderr).toBe(`${message}\n`);
  expect(stdout).toBe('');
  expect(code).toBe(2);
}

describe.skipIf(!isDue)('a trip', () => {
  it('that is held says until when and what to type, and ends as it is answered, once', async () => {
    const id = newId('trip');
    const waiting = begin('trip', [...offer, '--id', id, '--hold', '600']);
    const command = `TEMPORAL_ADDRESS=${address()} npm run trip -- --id ${id} --accept`;
    await until('the script says what to type', async () => waiting.stdout().includes(command), 20_000);
    expect(waiting.stdout()).toMatch(
      new RegExp(
        `^${id} …\n${id} is held, at least until \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\. Then it is given`,
      ),
    );
    const accepted = await call('trip', ['--id', id, '--accept', '--json']);
    expect(json(accepted)).toMatchObject({ id, outcome: 'committed' });
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('outcome: committed') });
    for (const answer of ['--accept', '--decline'])
      expectRefusal(
        await call('trip', ['--id', id, answer]),
        `Nothing was changed: ${id} is not held, it is committed.`,
      );
    const again = await call('trip', [...offer, '--id', id, '--hold', '600']);
    expect(again.stdout).not.toContain('is held');
  });

  it('that is given back exits with 1', async () => {
    const id = newId('declined');
    const started = await call('trip', [...offer, '--id', id, '--detach']);
    expect(started).toMatchObject({ code: 0, stderr: '' });
    expect(started.stdout).toMatch(new RegExp(`^started ${id}\nTake it: .*npm run trip -- --id ${id} --accept`));
    await until('it is held', async () => (await shop().transactions.handle(id).reports())[0]?.outcome === 'reserved');
    expect(await call('trip', ['--id', id, '--decline'])).toMatchObject({ code: 1 });
  });

  it('that was terminated, or nobody knows, or is none, is not held', async () => {
    const id = newId('terminated');
    await call('trip', [...offer, '--id', id, '--detach']);
    await until('it is held', async () => (await shop().transactions.handle(id).reports())[0]?.outcome === 'reserved');
    await shop().terminate(id);
    expectRefusal(
      await call('trip', ['--id', id, '--accept']),
      `Nothing was changed: ${id} is not held, it is terminated.`,
    );
    const nobodys = await call('trip', ['--id', 'none', '--accept']);
    expectRefusal(nobodys, new TransactionNotFound('none').message);
    const asJson = await call('trip', ['--id', 'none', '--accept', '--json']);
    expect(JSON.parse(asJson.stderr)).toMatchObject({ id: 'none', outcome: 'error' });
    expect(asJson.code).toBe(2);
  });
});

describe.skipIf(!isDue)('a transfer that needs approval', () => {
  it('says so and what to type, and goes on when it is approved', async () => {
    const id = newId('approved');
    const waiting = begin('transfer', [...approved, '--id', id]);
    const command = `TEMPORAL_ADDRESS=${address()} npm run approve -- --id ${id}`;
    await until('the script says what to type', async () => waiting.stdout().includes(command), 20_000);
    expect(waiting.stdout()).toContain(`${id} waits for approval.\n`);
    const shown = await call('approve', ['--id', id]);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('1.00 EUR from north-bank/alice') });
    const voted = await call('approve', ['--id', id, '--vote', 'commit']);
    expect(voted).toMatchObject({ code: 0, stdout: expect.stringContaining('Voted commit') });
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('outcome: committed') });
  });

  it('is not voted on once it has ended', async () => {
    const id = newId('declined');
    const started = await call('transfer', [...approved, '--id', id, '--detach']);
    expect(started.stdout).toMatch(new RegExp(`^started ${id}\nSee it and vote: .*npm run approve -- --id ${id}\n$`));
    await until('it is asked', async () => (await call('approve', ['--id', id])).code === 0);
    await call('approve', ['--id', id, '--vote', 'abort', '--reason', 'too much']);
    expect(await call('transfer', [...approved, '--id', id])).toMatchObject({ code: 1 });
    for (const vote of [[], ['--vote', 'commit']])
      expectRefusal(
        await call('approve', ['--id', id, ...vote]),
        `Nothing was changed: ${id} has ended (aborted); there is nothing to vote on.`,
      );
  });

  it('is not a transfer without approval, and not one that nobody has started', async () => {
    const plain = newId('plain');
    await call('transfer', [...approved.slice(0, -1), '--id', plain]);
    expectRefusal(
      await call('approve', ['--id', plain]),
      'Nothing was changed: this is no transfer with --approved, and nobody has a vote on it.',
    );
    expectRefusal(await call('approve', ['--id', 'none']), new TransactionNotFound('none').message);
  });
});

const shell = async (command: string, env: Readonly<Record<string, string>> = {}): Promise<string> =>
  (await promisify(execFile)('sh', ['-c', command], { env: { PATH: process.env['PATH'], ...env } })).stdout;

describe.skipIf(!isDue)('what is to be typed', () => {
  it('reaches the shop also where settings for other services are made, of which the shop has not heard', async () => {
    const script = resolve(__dirname, '../../dist/clients/transfer.js');
    const typed = `${shop().reach} ${quoted(process.execPath)} ${quoted(script)} ${approved.slice(0, -1).join(' ')}`;
    expect(await shell(typed, theirs)).toContain('outcome: committed');
    expect(typed).not.toContain('a key');
    await expect(fetch(`http://127.0.0.1:${theirs['TXN_METRICS_ADDRESS']}/metrics`)).rejects.toThrow();
  });

  it('names where Temporal is, as it was named here, and no key', () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    for (const name of ['ADDRESS', 'NAMESPACE', 'PROFILE', 'CONFIG_FILE', 'API_KEY'])
      vi.stubEnv(`TEMPORAL_${name}`, `the ${name}`);
    expect(commandLine('trip', '--id', 'x')).toBe(
      "TEMPORAL_ADDRESS='the ADDRESS' TEMPORAL_NAMESPACE='the NAMESPACE' TEMPORAL_PROFILE='the PROFILE' " +
        "TEMPORAL_CONFIG_FILE='the CONFIG_FILE' npm run trip -- --id x",
    );
  });

  it.each(['/a b/temporal-txn.json', "it's", '$HOME', 'a"b', 'a\\b', '', '*', '~', 'plain/and:plain.1'])(
    'is one word to a shell: %s',
    async (word) => expect(await shell(`printf %s ${quoted(word)}`)).toBe(word),
  );
});

describe.skipIf(!isDue)('a namespace that does not exist', () => {
  it('is named: nothing can have been started', async () => {
    const nowhere = { TEMPORAL_NAMESPACE: 'nope' };
    for (const [script, args] of [
      ['transfer', [...approved.slice(0, -1), '--id', 'none']],
      ['trip', ['--id', 'none', '--accept']],
      ['approve', ['--id', 'none']],
    ] as const)
      expectRefusal(
        await call(script, args, nowhere),
        'Nothing was changed: Temporal has no namespace nope. Create it, or set TEMPORAL_NAMESPACE.',
      );
  });
});
