/**
 * Makes `npm test` and `npm run demo` work right after `git clone`: runs `npm ci` when node_modules is missing or is not
 * what package-lock.json says. It compares contents, not dates, because a checkout gives every file a new date.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = packagesOf('package-lock.json');
const installed = packagesOf('node_modules/.package-lock.json');

const reason = whyStale();
if (reason) {
  console.log(`Installing dependencies: ${reason}.`);
  process.exit(install());
}

/** npm writes node_modules/.package-lock.json as the last act of an install, so an interrupted one counts as missing. */
function whyStale() {
  if (!wanted) return 'package-lock.json cannot be read';
  if (!installed) return 'node_modules is missing or incomplete';
  for (const [path, { version, integrity, optional }] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    // Absent and optional means built for another platform.
    if (!found && optional) continue;
    if (found?.version !== version || found?.integrity !== integrity) return `${path} is not ${version}`;
  }
  const extra = Object.keys(installed).find((path) => !wanted[path]);
  return extra && `${extra} is no longer wanted`;
}

/** The same npm that runs this script, with the development dependencies whatever NODE_ENV says. */
function install() {
  const npm = process.env.npm_execpath ?? '';
  const isNpm = basename(npm) === 'npm-cli.js';
  const command = isNpm ? process.execPath : 'npm';
  const args = [...(isNpm ? [npm] : []), 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: !isNpm && process.platform === 'win32',
  });
  if (error) console.error(`Nothing was installed: npm could not be started (${error.message}). Run npm ci by hand.`);
  return status ?? 1;
}

function packagesOf(lockfile) {
  try {
    return JSON.parse(readFileSync(join(root, lockfile), 'utf8')).packages;
  } catch {
    return undefined;
  }
}
