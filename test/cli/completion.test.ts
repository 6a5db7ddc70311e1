/** `temporal-txn completion`, asked as a shell asks, and the command as part of Temporal's own: `temporal txn`. */
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findBinary } from 'temporal-txn/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from './fixture';

const MAIN = resolve(__dirname, '../../dist/src/cli/main.js');

describe('temporal-txn completion', () => {
  const scripts = new Map<string, string>();
  beforeAll(async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout, exitCode } = await runCommand(['completion', shell], {});
      expect(exitCode).toBe(0);
      scripts.set(shell, stdout);
    }
  });

  /** What bash offers for the last of these words, which is being typed. */
  const offers = (...words: string[]): string[] => {
    const typed = ['temporal-txn', ...words].map((word) => `'${word}'`).join(' ');
    const asked = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _temporal_txn; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${scripts.get('bash')}\n${asked}`], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((line) => line !== '');
  };

  it('offers the commands', () => {
    expect(offers('')).toEqual(
      expect.arrayContaining(['in-doubt', 'resolve', 'audit', 'doctor', 'list', 'setup', 'help']),
    );
    expect(offers('re')).toEqual(['resolve', 'retry']);
    expect(offers('help', 'doc')).toEqual(['doctor']);
  });

  it('offers the options of a command, and the values where only certain ones are possible', () => {
    expect(offers('resolve', '--ev')).toEqual(['--even-if-running']);
    expect(offers('resolve', '--force', '')).toEqual(['commit', 'abort']);
    expect(offers('list', '--protocol', 'three')).toEqual(['three-phase-commit']);
    expect(offers('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
    // Anything may follow.
    expect(offers('resolve', '--by', '')).toEqual([]);
  });

  it('says the same to other shells', () => {
    for (const shell of ['zsh', 'fish'])
      for (const word of ['in-doubt', 'even-if-running', 'three-phase-commit'])
        expect(scripts.get(shell)).toContain(word);
    expect(scripts.get('zsh')).toMatch(/^#compdef temporal-txn\n/);
  });

  it('knows no other shell', async () => {
    expect(await runCommand(['completion', 'powershell'], {})).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('Allowed choices are bash, zsh, fish'),
    });
  });
});

describe('temporal txn', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'txn-path-'));
    const command = join(directory, 'temporal-txn');
    writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(command, 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const temporal = async (...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> => {
    const binary = await findBinary('temporal');
    const env = { PATH: `${directory}:${process.env['PATH'] ?? ''}`, HOME: directory };
    return new Promise((done) => {
      execFile(binary, args, { env, timeout: 25_000 }, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : error.code, stdout, stderr }),
      );
    });
  };

  it('is this command, as soon as it is on the PATH', async () => {
    const { code, stdout } = await temporal('txn', '--help');
    expect(stdout).toMatch(/^Finds distributed transactions that were left lying/);
    expect(code).toBe(0);
  });

  it('passes on arguments and the exit code', async () => {
    const { code, stderr } = await temporal('txn', 'audit');
    expect(stderr).toContain('no database is configured');
    expect(code).not.toBe(0);
  });
});
