/** Puts what a run has shown into the package: the figures, and the page that is made of them. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { filesOf, RECORDED_FILE } from './page';
import type { ThroughputReport } from './report';

// From dist/bench/throughput/ back to the package.
const ROOT = resolve(__dirname, '../../..');

/** @returns the paths of what was written */
export function writeFiles(report: ThroughputReport): readonly string[] {
  const files = { [RECORDED_FILE]: `${JSON.stringify(report, undefined, 2)}\n`, ...filesOf(report) };
  for (const [path, content] of Object.entries(files)) writeFileSync(resolve(ROOT, path), content);
  return Object.keys(files);
}
