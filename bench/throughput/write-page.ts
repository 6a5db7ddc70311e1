/** Writes docs/performance.md and its plot anew: `npm run performance:page`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writeFiles } from '../write-files';
import { filesOf, RECORDED_FILE } from './page';
import type { ThroughputReport } from './report';

// Cast: a run of the benchmark has written it.
const report = JSON.parse(readFileSync(resolve(__dirname, '../../..', RECORDED_FILE), 'utf8')) as ThroughputReport;
for (const file of writeFiles({ path: RECORDED_FILE, report }, filesOf(report))) console.log(`Wrote ${file}.`);
