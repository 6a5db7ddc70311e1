/**
 * The Chromium or Chrome that is installed here, driven without a window. Where there is none, the tests that need one are skipped
 * and say so; where `TXN_BROWSER_REQUIRED=1`, as in `.ci/run`, they fail instead, so that nobody takes silence for success.
 */
import { spawnSync } from 'node:child_process';
import { delimiter, join, resolve } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const VERSION_TIMEOUT_MS = 30_000;

/**
 * The path of the browser, or undefined when there is none and none is required.
 *
 * @throws when one is required or named, and there is none or it does not run
 */
export function findBrowser(
  { CHROMIUM_PATH: named, TXN_BROWSER_REQUIRED: required, PATH = '' } = process.env,
): string | undefined {
  if (named) {
    if (isBrowser(resolve(named))) return resolve(named);
    throw new Error(`No page was opened: CHROMIUM_PATH is ${named}, which does not run as Chromium or Chrome.`);
  }
  const directories = PATH.split(delimiter).filter((directory) => directory !== '');
  const found = NAMES.flatMap((name) => directories.map((directory) => join(directory, name))).find(isBrowser);
  if (found !== undefined) return found;
  const missing = `There is no browser: CHROMIUM_PATH is not set, and PATH has no ${NAMES.join(', ')} that runs.`;
  if (required === '1') throw new Error(`${missing} Install one; on Debian: apt-get install chromium.`);
  console.log(`The tests of the Web UI are skipped. ${missing}`);
  return undefined;
}

/** Runs it, because what goes by the name may only tell how the browser is to be installed. */
function isBrowser(path: string): boolean {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: VERSION_TIMEOUT_MS });
  return status === 0 && /\b(Chromium|Chrome)\b/.test(stdout);
}

/** Starts it. Its own sandbox is off, which the user root cannot have: it sees nothing but our own server. */
export const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, chromiumSandbox: false });
