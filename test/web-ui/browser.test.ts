/** Where the browser for the tests of the Web UI is looked for, and that a missing one cannot go unnoticed. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findBrowser } from './browser';

let directory = '';
/** A program that prints something when it is asked for its version. */
function program(name: string, prints: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\necho '${prints}'\n`);
  chmodSync(path, 0o755);
  return path;
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'temporal-txn-browser-'));
  for (const name of ['stub', 'real']) mkdirSync(join(directory, name));
  program('stub/chromium', 'Command requires the chromium snap to be installed.');
  program('real/google-chrome', 'Google Chrome 150.0.1.2');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the browser', () => {
  it('is one on PATH that runs, and not what only bears its name', () => {
    const PATH = `${join(directory, 'stub')}:${join(directory, 'real')}`;
    expect(findBrowser({ PATH })).toBe(join(directory, 'real/google-chrome'));
  });

  it('is the one that is named, or none', () => {
    const CHROMIUM_PATH = program('mine', 'Chromium 150.0.1.2 built on Debian GNU/Linux');
    expect(findBrowser({ PATH: join(directory, 'real'), CHROMIUM_PATH })).toBe(CHROMIUM_PATH);
    expect(() => findBrowser({ PATH: join(directory, 'real'), CHROMIUM_PATH: join(directory, 'nowhere') })).toThrow(
      /^No page was opened: CHROMIUM_PATH is /,
    );
  });

  it('that is missing is told', () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    expect(findBrowser({ PATH: join(directory, 'stub') })).toBeUndefined();
    expect(log).toHaveBeenCalledWith(expect.stringContaining('The tests of the Web UI are skipped.'));
    log.mockRestore();
  });

  it('that is missing is an error where it is required', () => {
    expect(() => findBrowser({ PATH: join(directory, 'stub'), TXN_BROWSER_REQUIRED: '1' })).toThrow(/Install one/);
  });
});
