/**
 * Bundles compiled workflows, once for all test files: a bundle is kept beside the build that it was made from, and a new build
 * throws it away.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { bundleWorkflows as bundle } from '../src/testing';

/** The same from the sources and from dist/. */
const dist = join(dirname(require.resolve('temporal-txn/package.json')), 'dist');

/** As the test kit's, for a module below dist/. */
export const bundleWorkflows = (workflowsPath: string): Promise<WorkflowBundleWithSourceMap> =>
  keep(workflowsPath, () => bundle(workflowsPath));

/** The bundle of that name, made now or by an earlier file. */
export async function keep(
  bundleName: string,
  make: () => Promise<WorkflowBundleWithSourceMap>,
): Promise<WorkflowBundleWithSourceMap> {
  const built = statSync(join(dist, '.built')).mtimeMs;
  const name = createHash('sha256').update(`${bundleName} ${built}`).digest('hex').slice(0, 20);
  const folder = join(dist, '.bundles');
  const file = join(folder, `${name}.json`);
  try {
    // Cast: written below.
    return JSON.parse(readFileSync(file, 'utf8')) as WorkflowBundleWithSourceMap;
  } catch {
    const made = await make();
    mkdirSync(folder, { recursive: true });
    // Other files may be at the same: each writes its own and moves it into place.
    const own = `${file}.${process.pid}`;
    writeFileSync(own, JSON.stringify(made));
    renameSync(own, file);
    return made;
  }
}
