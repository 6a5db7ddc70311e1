/** Writes the measured tables of docs/protocols.md: `npm run protocols:page`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { OUTCOMES_FILE } from './outcomes';
import type { RecordedOutcomes } from './outcomes';
import { BENCH_FILE, fillPage, PAGE } from './page';
import type { Recorded } from './page';

// From dist/bench/protocols/ back to the package.
const root = resolve(__dirname, '../../..');
const read = (file: string): string => readFileSync(resolve(root, file), 'utf8');

const page = fillPage(read(PAGE), {
  // Casts: test and benchmark have written them.
  outcomes: JSON.parse(read(OUTCOMES_FILE)) as RecordedOutcomes,
  bench: JSON.parse(read(BENCH_FILE)) as Recorded['bench'],
});
writeFileSync(resolve(root, PAGE), page);
console.log(`Wrote the tables of ${PAGE}.`);
