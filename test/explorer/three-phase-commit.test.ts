/**
 * Tries everything that can happen to a transaction of three-phase commit, in the shipped program of a participant: with the
 * register in a network that keeps nothing it promises, and with the classic rule where processes crash and nothing else. Then
 * the classic rule beyond that, and everything with one mechanism taken away.
 */
import { describe, expect, it } from 'vitest';
import { CAMPAIGN, isTurnOf, some } from '../depth';
import { explore } from './engine';
import type { Exploration } from './engine';
import { CONFIGURATIONS, LARGE, LIMITS } from './three-phase/configurations';
import { ThreePhaseCommit } from './three-phase/model';
import { CLASSIC_MUTANTS, CLASSIC_SURVIVORS, MUTANTS, SURVIVORS } from './three-phase/mutants';
import { Sights } from './three-phase/sights';
import { SHIPPED } from './three-phase/world';
import type { Circumstances } from './three-phase/world';

const LIMIT = 1_000_000;
/** In milliseconds, as all limits here: other tests run beside these. */
const MINUTE = 60_000;

describe('three-phase commit', () => {
  it.each(CAMPAIGN ? [...CONFIGURATIONS, ...LARGE] : some(CONFIGURATIONS, 1, 'configurations of three-phase commit'))(
    'keeps its promises, and its participants end without the coordinator: $name',
    ({ name, states, sees, ...circumstances }) => {
      const system = new ThreePhaseCommit(circumstances, SHIPPED, 'all');
      const sights = new Sights(system);
      const found = explore(sights.watched());
      console.log(`${tell(name, found)}\n  ${sights.told}`);
      expect(found.violation).toBeUndefined();
      expect(found.states).toBeGreaterThan(states);
      for (const sight of sees) expect(sights.of(sight), sight).toBeGreaterThan(0);
      // That is what the classic rule is for, and what it pays for with the limits below.
      if (circumstances.mode === 'classic-unsafe') expect(sights.of('somebody is blocked')).toBe(0);
    },
    5 * MINUTE,
  );
});

describe('the classic rule', () => {
  it.each(LIMITS)(
    'commits one branch and aborts another: $name, with $participants participants',
    ({ name, because: _, ...circumstances }) => {
      const found = explore(new ThreePhaseCommit(circumstances), LIMIT);
      console.log(tell(`${name}, with ${circumstances.participants} participants`, found));
      expect(found.violation?.broken).toBe('one branch commits and another aborts');
    },
  );

  it('does so over a network that is merely asynchronous, where the register does not', () => {
    const anywhere = { network: 'asynchronous', participants: 2 } as const;
    const split = explore(new ThreePhaseCommit({ ...anywhere, mode: 'classic-unsafe' }), LIMIT);
    expect(split.violation?.broken).toBe('one branch commits and another aborts');
    expect(explore(new ThreePhaseCommit({ ...anywhere, mode: 'register' }), LIMIT).violation).toBeUndefined();
  });
});

describe.skipIf(!isTurnOf('mechanisms of the models', 'three-phase commit'))('without', () => {
  it.each([...MUTANTS, ...CLASSIC_MUTANTS])(
    '"$mechanism" it breaks a promise',
    ({ mechanism, circumstances, mechanisms }) => {
      const found = explore(new ThreePhaseCommit(circumstances, { ...SHIPPED, ...mechanisms }), LIMIT);
      console.log(tell(mechanism, found));
      expect(found.violation).toBeDefined();
    },
    MINUTE,
  );

  it.each(some([...SURVIVORS, ...CLASSIC_SURVIVORS], 3, 'what three-phase commit could do without'))(
    '"$mechanism" it keeps them, because something else does',
    ({ circumstances, mechanisms }) => {
      const found = explore(new ThreePhaseCommit(circumstances, { ...SHIPPED, ...mechanisms }), LIMIT);
      expect(found.violation).toBeUndefined();
      expect(found.states).toBeGreaterThan(5_000);
    },
    MINUTE,
  );
});

describe.skipIf(!isTurnOf('mechanisms of the models', 'three-phase commit'))(
  'under the circumstances of the mutants',
  () => {
    const all = [...MUTANTS, ...SURVIVORS, ...CLASSIC_MUTANTS, ...CLASSIC_SURVIVORS].map(({ circumstances }) =>
      JSON.stringify(circumstances),
    );

    it.each(some([...new Set(all)], 3, 'circumstances of the mutants of three-phase commit'))(
      'the shipped protocol keeps its promises: %s',
      (circumstances) => {
        const found = explore(new ThreePhaseCommit(JSON.parse(circumstances) as Circumstances), LIMIT);
        expect(found.violation).toBeUndefined();
        expect(found.states).toBeGreaterThan(250);
      },
      MINUTE,
    );
  },
);

function tell(name: string, { states, edges, depth, seconds, violation }: Exploration): string {
  const size = `states: ${states}, steps: ${edges}, depth: ${depth}, ${seconds.toFixed(1)} s`;
  const trace = violation ? [`${violation.broken}, after ${violation.trace.length} steps:`, ...violation.trace] : [];
  return [`${name}: ${size}`, ...trace].join('\n  ');
}
