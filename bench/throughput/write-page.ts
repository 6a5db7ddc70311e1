/** Writes docs/performance.md and its plot anew: `npm run performance:page`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { RECORDED_FILE } from './page';
import type { ThroughputReport } from './report';
import { writeFiles } from './write';

// Cast: a run of the benchmark has written it.
const report = JSON.parse(readFileSync(resolve(__dirname, '../../..', RECORDED_FILE), 'utf8')) as ThroughputReport;
for (const file of writeFiles(report)) console.log(`Wrote ${file}.`);
