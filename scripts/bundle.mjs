/**
 * Bundles workflows from dist/, because every worker that does it itself starts seconds later: the one that every participant's
 * worker runs, with a note of the SDK it was made with (a worker that finds another one bundles for itself), and the examples'.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const { bundleWorkflowCode } = require('@temporalio/worker');
const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist');
const silent = () => undefined;
const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error };

const { workflowBundleOptions } = require(join(dist, 'src/worker/workflow-bundle.js'));

const participants = await bundle('src/worker/participant-workflows');
writeFileSync(`${participants}.version`, `${require('@temporalio/workflow/package.json').version}\n`);
await bundle('workflows/workflows', join(dist, 'workflows/index.js'));
// Those of the tests: made when one first asks, and by then of another build.
rmSync(join(dist, '.bundles'), { recursive: true, force: true });

async function bundle(name, workflowsPath = join(dist, `${name}.js`)) {
  const { code } = await bundleWorkflowCode({ workflowsPath, logger, ...workflowBundleOptions() });
  const file = join(dist, `${name}.bundle.js`);
  writeFileSync(file, code);
  return file;
}
