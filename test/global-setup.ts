/**
 * Temporal workers load workflows, and fault tests start processes, from dist/. Tests against an old build would prove
 * nothing, so `vitest` by itself builds first when a source is newer.
 */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

export default function buildIfStale(): void {
  const script = resolve(__dirname, '../scripts/build.mjs');
  const { status } = spawnSync(process.execPath, [script, '--if-stale'], { stdio: 'inherit' });
  if (status !== 0)
    throw new Error('No test was run: the build failed. Mend the errors above, or see `npm run typecheck`.');
}
