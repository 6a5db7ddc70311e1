/**
 * Checks the arrows between rooms (scripts/arrows.mjs) in a tree of sources: this repository, or the one named by the
 * first argument. Prints one line for each arrow that points the wrong way and exits 1 when there is one.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { runtimeRules, sourceRules } from './arrows.mjs';

const root = resolve(process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url))));
const folders = ['src', 'workflows', 'activities', 'clients'].filter((folder) => existsSync(resolve(root, folder)));

const violations = [
  ...(await violationsOf(sourceRules, { typesToo: true })),
  ...(await violationsOf(runtimeRules, { typesToo: false })),
];
for (const { rule, from, to, via } of violations) {
  // A reachability rule names every step on the way.
  const steps = via?.map(({ name }) => name) ?? [to];
  console.log(`${rule.name}: ${[from, ...steps].join(' -> ')}`);
}
if (violations.length > 0) {
  console.log(
    `\n${violations.length} imports point the wrong way. The rules and their reasons are in scripts/arrows.mjs.`,
  );
  process.exit(1);
}

async function violationsOf(rules, { typesToo }) {
  const { output } = await cruise(
    folders,
    {
      baseDir: root,
      validate: true,
      ruleSet: { forbidden: rules.map((rule) => ({ severity: 'error', ...rule })) },
      // 'specify' keeps imports that compilation removes, and marks them as such.
      tsPreCompilationDeps: typesToo ? 'specify' : false,
      doNotFollow: { path: 'node_modules' },
      moduleSystems: ['cjs', 'es6'],
    },
    {
      extensions: ['.ts', '.js', '.d.ts'],
      conditionNames: ['types', 'require', 'node', 'default'],
      exportsFields: ['exports'],
      // The package's own name means the sources here, so that nothing needs to be built to be checked.
      alias: { 'temporal-txn': resolve(root, 'src') },
    },
  );
  return output.summary.violations;
}
