/** Writes docs/scaling.md and its plot anew: `npm run scaling:page`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writeFiles } from '../write-files';
import { filesOf, RECORDED_FILE } from './page';
import type { ScaleReport } from './report';

// Cast: a run of the benchmark has written it.
const report = JSON.parse(readFileSync(resolve(__dirname, '../../..', RECORDED_FILE), 'utf8')) as ScaleReport;
for (const file of writeFiles({ path: RECORDED_FILE, report }, filesOf(report))) console.log(`Wrote ${file}.`);
