import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { forgetUserSettings } from '../../src/dev';

it('forgets every setting of the README but those of binaries, and says how a command does', () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const [, section = ''] = readFileSync(resolve(__dirname, '../../README.md'), 'utf8').split('\n## Configuration\n');
  const [table = ''] = section.split('\n## ');
  const names = [...new Set(table.match(/\b(TXN|TEMPORAL)_[A-Z_]+/g))].sort();
  expect(names.length).toBeGreaterThan(15);
  for (const name of names) vi.stubEnv(name, 'theirs');
  const typed = forgetUserSettings();
  const kept = names.filter((name) => process.env[name] === 'theirs');
  expect(kept).toEqual(['TEMPORAL_CLI_PATH', 'TEMPORAL_TEST_SERVER_PATH', 'TXN_CACHE_DIR']);
  const forgotten = names.filter((name) => !kept.includes(name));
  expect(typed.slice(0, 1)).toEqual(['env']);
  expect(typed.filter((_, i) => typed[i - 1] === '-u')).toEqual(expect.arrayContaining(forgotten));
});
