/** docs/timeouts.md says what the code does, and each of its tests is there. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { checkLocalTimeouts, DEFAULT_LOCAL_TIMEOUTS, DEFAULT_TIMEOUTS } from '../../src/protocol';
import { PAGE, SECTIONS, writePage } from './page';

const root = resolve(__dirname, '../..');

it('docs/timeouts.md is what `npm run timeouts:page` writes', async () => {
  const file = join(root, PAGE);
  const expected = await format(writePage(), { ...(await resolveConfig(file)), parser: 'markdown' });
  expect(readFileSync(file, 'utf8')).toBe(expected);
});

it('the defaults are in order', () => {
  expect(checkLocalTimeouts()).toEqual(DEFAULT_LOCAL_TIMEOUTS);
  const { local, heartbeat, commitment, saga, recovery } = DEFAULT_TIMEOUTS;
  const ascending = [
    heartbeat.everyMs,
    heartbeat.timeoutMs,
    local.startToCloseMs,
    commitment.prepareMs,
    commitment.commitMs,
    saga.stepMs,
    recovery.hardLimitMs,
  ];
  expect([...ascending].sort((a, b) => a - b)).toEqual(ascending);
  // Recovery must not be sooner than a coordinator that works as it should.
  expect(recovery.graceMs).toBeGreaterThanOrEqual(commitment.prepareMs);
});

describe('what shows a timeout', () => {
  it.each(SECTIONS.flatMap(({ rows }) => rows))('$name is a test that is there', ({ test: [file, title] }) => {
    expect(readFileSync(join(root, file), 'utf8')).toContain(title);
  });
});
