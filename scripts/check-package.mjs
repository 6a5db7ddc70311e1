/**
 * Packs the built tree into .ci/out/package.tgz and compares its files with what package.json promises: every target of
 * `exports`, every command with its shebang, every migration, and nothing of ours that is not for users. publint and attw
 * then read the same tarball.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, '.ci/out');
const publishable = /^(dist\/src|src)\/|^(LICENSE|README\.md|package\.json)$/;

const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const commands = Object.values(bin).map(withoutDot);
const packed = pack();
const problems = [
  ...promised()
    .filter((path) => !packed.includes(path))
    .map((path) => `missing in the package: ${path}`),
  ...commands
    .filter((path) => packed.includes(path) && !readFileSync(join(root, path), 'utf8').startsWith('#!'))
    .map((path) => `a command without a shebang: ${path}`),
  ...packed.filter((path) => !publishable.test(path)).map((path) => `not meant to be published: ${path}`),
];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Without scripts: what is packed is what `npm run build` left, not a second build. */
function pack() {
  mkdirSync(out, { recursive: true });
  const { status, stdout, stderr } = spawnSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', out],
    {
      cwd: root,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    },
  );
  if (status !== 0) throw new Error(`Nothing was checked: npm pack failed.\n${stderr}`);
  const [{ filename, files }] = JSON.parse(stdout);
  renameSync(join(out, filename), join(out, 'package.tgz'));
  return files.map(({ path }) => path);
}

function promised() {
  const targets = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? target : Object.values(target),
  );
  const migrations = readdirSync(join(root, 'src'), { recursive: true })
    .filter((path) => path.endsWith('.sql'))
    .flatMap((path) => [join('src', path), join('dist/src', path)]);
  return ['LICENSE', 'README.md', ...targets.map(withoutDot), ...commands, ...migrations];
}

function withoutDot(path) {
  return path.replace('./', '');
}
