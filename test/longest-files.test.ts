/** The list of the files that begin first is kept by hand: a file that was moved must not fall out of it unseen. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

// Cast: the test below is about what it holds.
const LONGEST = JSON.parse(readFileSync('test/longest-files.json', 'utf8')) as string[];

it('names files that exist, each of them once', () => {
  expect(LONGEST.filter((file) => !existsSync(file))).toEqual([]);
  expect(new Set(LONGEST).size).toBe(LONGEST.length);
});
