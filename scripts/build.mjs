/**
 * Compiles the whole tree into dist/ and makes dist/ hold nothing else: tsc copies no SQL and never removes the output of
 * a source that is gone, and both would end up in the published package.
 *
 * `--if-stale` builds only when a source changed since the last build that succeeded.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const stamp = join(dist, '.built');
const sourceFolders = ['src', 'workflows', 'activities', 'clients', 'demo', 'test', 'bench'];
const sourceFiles = ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts/build.mjs', 'scripts/bundle.mjs'];
const outputEnding = /(\.d\.ts|\.js)(\.map)?$/;

if (!process.argv.includes('--if-stale') || isStale()) build();

function build() {
  const startedAt = new Date();
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '--project', root], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  copySql();
  removeOrphans();
  makeExecutable();
  bundle();
  // Dated by the start: an edit made while tsc ran may have been missed, and makes the build stale.
  writeFileSync(stamp, '');
  utimesSync(stamp, startedAt, startedAt);
}

function isStale() {
  if (!existsSync(stamp)) return true;
  const builtAt = statSync(stamp).mtimeMs;
  const sources = [
    ...sourceFiles.map((file) => join(root, file)),
    ...sourceFolders.flatMap((folder) => walk(join(root, folder))),
  ];
  return sources.some((path) => statSync(path).mtimeMs > builtAt);
}

function copySql() {
  const folders = ['src', 'activities'].map((folder) => join(root, folder));
  for (const path of folders.flatMap(walk).filter((path) => path.endsWith('.sql'))) {
    const copy = join(dist, relative(root, path));
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(path, copy);
  }
}

/** The operator's command. npm does so when it installs the package; nobody does for who runs it from here. */
function makeExecutable() {
  chmodSync(join(dist, 'src/cli/main.js'), 0o755);
}

/** Every worker of a participant runs its recovery workflow; bundling it at each start would cost each of them seconds. */
function bundle() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/bundle.mjs')], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function removeOrphans() {
  for (const path of walk(dist)) {
    const source = join(root, relative(dist, path));
    const isOutput = outputEnding.test(path) && !path.endsWith('.bundle.js');
    if (isOutput ? !existsSync(source.replace(outputEnding, '.ts')) : path.endsWith('.sql') && !existsSync(source))
      rmSync(path);
  }
}

/** Every file and folder below a folder: a folder's own date tells of files that were removed. */
function walk(folder) {
  if (!existsSync(folder)) return [];
  const below = readdirSync(folder, { recursive: true }).map((path) => join(folder, path));
  return [folder, ...below];
}
