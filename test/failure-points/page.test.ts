/** docs/failure-points.md leaves no point out, and each of its tests is there. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { fileOf, PAGE, writePage } from './page';
import { SECTIONS } from './points';

const root = resolve(__dirname, '../..');
const points = SECTIONS.flatMap((section) => section.points);
const numbered = (letter: string, last: number): string[] =>
  Array.from({ length: last }, (_, i) => `${letter}${i + 1}`);

it('docs/failure-points.md is what `npm run failures:page` writes', async () => {
  const file = join(root, PAGE);
  const expected = await format(writePage(), { ...(await resolveConfig(file)), parser: 'markdown' });
  expect(readFileSync(file, 'utf8')).toBe(expected);
});

it('no point is left out', () => {
  expect(points.map(({ code }) => code)).toEqual([
    ...['C0', 'C0b', ...numbered('C', 8)],
    ...numbered('P', 12),
    ...numbered('Q', 5),
    ...numbered('O', 7),
    ...[...numbered('I', 7), 'G1'],
  ]);
});

/** Lines that name a test, or a case of one. */
const titlesIn = (source: string): string =>
  source
    .split('\n')
    .filter((line) => /^\s*(it|describe)\b|^\s*[['"`]/.test(line))
    .join('\n');

describe('what shows', () => {
  it.each(points)('$code are tests that are there', ({ tests }) => {
    expect(tests.length).toBeGreaterThan(0);
    for (const shown of tests)
      expect(titlesIn(readFileSync(join(root, fileOf(shown)), 'utf8')), fileOf(shown)).toContain(shown[1]);
  });
});
