/** What comes by turns: one of each kind in a run, and none is forgotten. */
import { expect, it, vi } from 'vitest';
import { CAMPAIGN, isTurnOf, TURNS } from './depth';
import type { Kind } from './depth';

const runningWith = (kind: Kind, turn: string): readonly string[] => {
  vi.stubEnv('TXN_TURN', turn);
  const all: readonly string[] = TURNS[kind];
  try {
    // Cast: one of this kind, whichever that is.
    return all.filter((one) => isTurnOf(kind, one as never));
  } finally {
    vi.unstubAllEnvs();
  }
};

// Cast: its own keys.
it.each(Object.keys(TURNS) as Kind[])('%s: each in its turn, and all where files are named', (kind) => {
  const all: readonly string[] = TURNS[kind];
  expect(runningWith(kind, 'all')).toEqual(all);
  if (CAMPAIGN) return;
  expect(all.map((_, turn) => runningWith(kind, String(turn)))).toEqual(all.map((one) => [one]));
  expect(runningWith(kind, String(all.length))).toEqual(all.slice(0, 1));
});
