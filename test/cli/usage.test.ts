import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidConfiguration, NoDatabaseConfigured } from '../../src/cli/errors';
import { readConfiguration } from '../../src/cli/config';
import { NOWHERE, runCommand } from './fixture';
import { runInProcess } from './in-process';

const GONE = 'postgres://app:s3cret%2Fword@127.0.0.1:1/bank';

describe('temporal-txn, used wrongly', () => {
  const run = (args: readonly string[], environment: Record<string, string> = { TXN_DATABASE_BANK: GONE }) =>
    runInProcess(args, { TEMPORAL_ADDRESS: NOWHERE, ...environment });

  it('says what it is for', async () => {
    const { stdout, exitCode } = await runCommand(['--help'], {});
    expect(stdout).toMatch(
      /^Finds distributed transactions that were left lying, says what to do about them, and does it\.\n/,
    );
    expect(stdout).toContain('Exit codes:');
    expect(exitCode).toBe(0);
    const commands = [
      'in-doubt',
      'resolve',
      'audit',
      'accept',
      'show',
      'explain',
      'timeline',
      'retry',
      'skip',
      'compensate',
      'dead-letters',
      'dead-letter',
      'circuits',
      'circuit',
      'setup',
      'doctor',
      'list',
      'completion',
    ];
    const printed = await Promise.all(commands.map((command) => run([command, '--help'])));
    for (const [i, command] of commands.entries())
      expect(printed[i]).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`temporal-txn ${command}`) });
  });

  const who = ['--by', 'ann', '--reason', 'because'];
  it.each([
    { what: 'no command', args: [], says: '' },
    { what: 'an unknown command', args: ['frobnicate'], says: "Nothing was changed: unknown command 'frobnicate'" },
    { what: 'no id', args: ['resolve', ...who], says: 'Nothing was changed: missing required argument' },
    { what: 'no reason', args: ['resolve', 'transfer-1', '--by', 'ann'], says: 'Nothing was changed: required option' },
    {
      what: 'an empty reason',
      args: ['resolve', 'transfer-1', '--by', 'ann', '--reason', ' '],
      says: 'Nothing was changed: --reason is " ". Say why',
    },
    {
      what: 'nobody',
      args: ['resolve', 'transfer-1', '--by', '', '--reason', 'because'],
      says: 'Nothing was changed: --by is "". Say who you are',
    },
    { what: 'a bad gid', args: ['resolve', 'txn1_0000', ...who], says: 'Nothing was changed: the gid is "txn1_0000"' },
    {
      what: 'a bad id',
      args: ['resolve', "x'; drop\u001b[2J", ...who],
      says: 'Nothing was changed: the transaction id is "x\'; drop\\u001b[2J"',
    },
    { what: 'nothing to accept', args: ['accept', ...who], says: 'Nothing was changed: missing required argument' },
    {
      what: 'accepted for no reason',
      args: ['accept', 'transfer-1', '--by', 'ann', '--reason', ' '],
      says: 'Nothing was changed: --reason is " ". Say why',
    },
    {
      what: 'a bad branch',
      args: ['accept', 'transfer-1', ...who, '--branch', 'x y\u001b[2J'],
      says: 'Nothing was changed: --branch is "x y\\u001b[2J". Copy the id',
    },
    { what: 'nothing to show', args: ['show'], says: 'Nothing was changed: missing required argument' },
    { what: 'a bad id', args: ['explain', '-\u001b'], says: 'Nothing was changed: unknown option' },
    { what: 'an id with a space', args: ['show', 'a b'], says: 'Nothing was changed: the transaction id is "a b"' },
    {
      what: 'a ruling without a reason',
      args: ['skip', 'transfer-1', '--by', 'ann'],
      says: 'Nothing was changed: required option',
    },
    {
      what: 'a ruling on a bad step',
      args: ['retry', 'transfer-1', ...who, '--step', 'a b'],
      says: 'Nothing was changed: --step is "a b"',
    },
    {
      what: 'a ruling without Temporal',
      args: ['compensate', 'transfer-1', ...who],
      says: 'A ruling is an update of the workflow',
    },
    { what: 'a bad format', args: ['timeline', 'transfer-1', '--format', 'pdf'], says: 'Nothing was changed: option' },
    { what: 'a bad output', args: ['show', 'transfer-1', '-o', 'xml'], says: 'Nothing was changed: option' },
    { what: 'a bad grace', args: ['audit', '--grace', '-1'], says: 'Nothing was changed: option' },
    {
      what: 'a bad force',
      args: ['resolve', 'transfer-1', ...who, '--force', 'maybe'],
      says: 'Nothing was changed: option',
    },
  ])('$what', async ({ args, says }) => {
    const { stderr, exitCode } = await run(args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(says);
    expect(stderr).not.toContain('\u001b');
  });

  it('with no database configured, looks at nothing and says so', async () => {
    for (const args of [['in-doubt'], ['audit'], ['resolve', 'transfer-1', ...who], ['accept', 'transfer-1', ...who]])
      expect(await run(args, {})).toMatchObject({
        exitCode: 2,
        stdout: '',
        stderr: expect.stringMatching(/^Nothing was changed, and nothing was looked at: no database is configured/),
      });
    const { stderr } = await run(['audit', '--json'], {});
    expect(JSON.parse(stderr)).toMatchObject({ error: 'NoDatabaseConfigured', exitCode: 2 });
  });

  it('as a process of its own it says so and exits in the same way', async () => {
    expect(await runCommand(['frobnicate'], {})).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringContaining("Nothing was changed: unknown command 'frobnicate'"),
    });
  });

  it('an id that nobody knows is not called unknown when not everybody was asked', async () => {
    const { stderr, exitCode } = await run(['resolve', 'transfer-1', ...who]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Not looked at: bank');
  });
});

describe('the configuration', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'txn-config-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  const file = (text: string): string => {
    const path = join(directory, 'temporal-txn.json');
    writeFileSync(path, text);
    return path;
  };
  const problem = (text: string, environment: Record<string, string> = {}): string => {
    try {
      readConfiguration(file(text), environment);
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidConfiguration);
      return (error as Error).message;
    }
    throw new Error('It was accepted.');
  };

  it('is read from a file, with passwords from the environment, which also adds and outranks', () => {
    const path = file('{ "databases": { "north-bank": "postgres://app:${PW}@db/north", "audit": "${AUDIT_URL}" } }');
    const environment = {
      PW: 'word',
      AUDIT_URL: 'postgresql://db/audit',
      TXN_DATABASE_SOUTH_BANK: 'postgres://db/south',
    };
    expect([...readConfiguration(path, environment)]).toEqual([
      ['north-bank', 'postgres://app:word@db/north'],
      ['audit', 'postgresql://db/audit'],
      ['south-bank', 'postgres://db/south'],
    ]);
    expect(readConfiguration(undefined, { ...environment, TXN_CONFIG: path }).size).toBe(3);
    expect(readConfiguration(path, { ...environment, TXN_DATABASE_AUDIT: 'postgres://other/audit' }).get('audit')).toBe(
      'postgres://other/audit',
    );
  });

  it('names what is wrong, and shows no value', () => {
    const wrong = [
      problem('{ "databases": { "north-bank": "postgres://app:s3cret-word@db/north" '),
      problem('{ "databases": { "north-bank": "s3cret-word" } }'),
      problem('{ "databases": { "north-bank": "postgres://app:s3cret-word@db:port/north" } }'),
      problem('{ "databases": { "north-bank": "postgres://app:s3/s3cret-word@db/north" } }'),
      problem('{ "databases": { "north-bank": "postgres://app:s3#s3cret-word@db/north" } }'),
      problem('{ "databases": { "North": "postgres://app:s3cret-word@db/north" } }'),
      problem('{ "databases": { "north": 7 } }'),
      problem('{ "databases": [] }'),
      problem('[]'),
      problem('{ "databses": { "north-bank": "postgres://app:s3cret-word@db/north" } }'),
      problem('{ "databases": { "north-bank": "postgres://app:${PW}@db/north" } }'),
    ];
    for (const message of wrong) {
      expect(message).toMatch(/^Nothing was changed: /);
      expect(message).not.toContain('s3cret-word');
    }
    expect(wrong.at(-1)).toContain('needs the variable PW');
    expect(() => readConfiguration(join(directory, 'nowhere.json'), {})).toThrow(/cannot be read \(ENOENT\)/);
    expect(() => readConfiguration(file('{ "databases": {} }'), {})).toThrow(NoDatabaseConfigured);
  });
});
