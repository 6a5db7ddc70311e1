/** The tables of docs/protocols.md are those of what was recorded, and of nothing else. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { OUTCOMES_FILE } from '../../bench/protocols/outcomes';
import type { RecordedOutcomes } from '../../bench/protocols/outcomes';
import { BENCH_FILE, fillPage, PAGE } from '../../bench/protocols/page';
import type { Recorded } from '../../bench/protocols/page';
import { FAILURES } from './failures';

const read = (file: string): string => readFileSync(resolve(__dirname, '../..', file), 'utf8');
// Casts: the test of failures and the benchmark have written them.
const outcomes = JSON.parse(read(OUTCOMES_FILE)) as RecordedOutcomes;
const bench = JSON.parse(read(BENCH_FILE)) as Recorded['bench'];

it('docs/protocols.md shows what was recorded; otherwise run `npm run protocols:page`', () => {
  expect(fillPage(read(PAGE), { outcomes, bench })).toBe(read(PAGE));
});

it('every failure that is played has been recorded, and no other', () => {
  expect(outcomes.failures.map(({ failure }) => failure)).toEqual(FAILURES.map(({ title }) => title));
});
