/** How patient a participant's recovery is: what is a mistake is refused at the start, and not met by a branch in doubt. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { recoverySettings } from '../../src/worker/recovery';

describe('the patience of recovery', () => {
  it('is what the code says, and else the environment', () => {
    vi.stubEnv('TXN_RECOVERY_GRACE_MS', '7000');
    vi.stubEnv('TXN_RECOVERY_EVERY_MS', '700');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(recoverySettings({ everyMs: 900, hardLimitMs: 30 * 24 * 3_600_000 })).toEqual({
      graceMs: 7_000,
      everyMs: 900,
      hardLimitMs: 30 * 24 * 3_600_000,
    });
  });

  it.each([
    ['graceMs', 0],
    ['graceMs', 0.5],
    ['everyMs', -1],
    ['everyMs', NaN],
    ['hardLimitMs', '1 hour'],
    ['hardLimitMs', 1e12],
  ])('is refused where %s is %s', (name, value) => {
    expect(() => recoverySettings({ [name]: value })).toThrow(
      new RegExp(
        `^Nothing was started: recovery\\.${name} is .*, not a whole number of milliseconds above zero and of 30`,
      ),
    );
  });

  it.each(['soon', '-5', '1e12'])('is refused where the environment says %s', (value) => {
    vi.stubEnv('TXN_RECOVERY_GRACE_MS', value);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(() => recoverySettings()).toThrow(RangeError);
  });
});
