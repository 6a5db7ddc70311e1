/** Options of three-phase commit: what is refused before anything is started, and the defaults. */
import { describe, expect, it } from 'vitest';
import { threePhaseSettings } from '../../src/workflow/commit-options';
import type { ThreePhaseCommitOptions } from '../../src/workflow';

const BAD: readonly (readonly [string, ThreePhaseCommitOptions, RegExp])[] = [
  ['an unknown mode', { mode: 'skeen' as never }, /mode is "skeen", neither 'register' nor 'classic-unsafe'/],
  ['no time to pre-commit', { timeouts: { preCommit: 0 } }, /the timeout preCommit is not a duration above zero/],
  ['a negative patience', { timeouts: { uncertain: -1 } }, /the timeout uncertain is not a duration above zero/],
  [
    'a patience that is no duration',
    { timeouts: { preCommitted: 'soon' as never } },
    /the timeout preCommitted is not/,
  ],
  ['no time for the peers', { timeouts: { peers: NaN } }, /the timeout peers is not a duration above zero/],
  [
    'participants that lose patience while others vote',
    { timeouts: { prepare: '30 seconds', uncertain: '30 seconds' } },
    /uncertain is not longer than timeouts.prepare/,
  ],
  [
    'participants that lose patience while others are told',
    { timeouts: { preCommit: '10 seconds', preCommitted: '5 seconds' } },
    /preCommitted is not longer than timeouts.preCommit/,
  ],
  ['what two-phase commit refuses too', { timeouts: { prepare: 0 } }, /the timeout prepare is 0/],
  ['too long an attempt', { attemptTimeout: '30 seconds' }, /is not shorter than timeouts.prepare/],
];

describe('options of three-phase commit', () => {
  it.each(BAD)('refuse %s, and say that nothing was started', (_, options, message) => {
    expect(() => threePhaseSettings(options)).toThrow(message);
    expect(() => threePhaseSettings(options)).toThrow(/^Nothing was started: /);
  });

  it('give participants twice the time of their coordinator', () => {
    expect(threePhaseSettings({})).toMatchObject({
      mode: 'register',
      votes: 'signal',
      timeouts: { prepare: 30_000, commit: 60_000, abort: 30_000 },
      patience: { preCommitMs: 10_000, uncertainMs: 60_000, preCommittedMs: 20_000, peersMs: 2_000 },
    });
    expect(threePhaseSettings({ timeouts: { prepare: '50 seconds', preCommit: '1 second' } })).toMatchObject({
      patience: { preCommitMs: 1_000, uncertainMs: 100_000, preCommittedMs: 2_000 },
    });
  });

  it('take what is given', () => {
    const timeouts = { preCommit: '1 second', uncertain: '40 seconds', preCommitted: '3 seconds', peers: 10 } as const;
    expect(threePhaseSettings({ mode: 'classic-unsafe', timeouts })).toMatchObject({
      mode: 'classic-unsafe',
      patience: { preCommitMs: 1_000, uncertainMs: 40_000, preCommittedMs: 3_000, peersMs: 10 },
    });
  });
});
