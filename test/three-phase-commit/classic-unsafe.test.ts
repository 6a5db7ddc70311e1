/**
 * Three-phase commit as Skeen wrote it, without a register: where messages arrive in time it needs no coordinator and no
 * database, and where a network is cut in two it commits one branch and aborts another. That is shown here, not prevented.
 */
import { describe, expect, it } from 'vitest';
import { isTurnOf, some } from '../depth';
import { refuses } from '../two-phase-commit/participants';
import { all, nameOf, threePhaseFixture, THREE, TWO } from './fixture';

const fixture = threePhaseFixture();
const options = { mode: 'classic-unsafe', timeouts: { peers: 100, preCommit: 500, preCommitted: 1_000 } } as const;
const mode = 'classic-unsafe';

/** Who had been told that all can commit when the coordinator was lost, and what they come to. */
const TOLD: readonly [string, readonly string[], 'commit' | 'abort'][] = [
  ['nobody', [], 'abort'],
  ['the first', ['north.debit'], 'commit'],
  ['the last', ['audit.record'], 'commit'],
  ['two', ['north.debit', 'audit.record'], 'commit'],
  ['all', THREE.map(nameOf), 'commit'],
];

describe.skipIf(!isTurnOf('comparison', 'classic three-phase commit'))('classic three-phase commit', () => {
  it('commits, and asks no register', async () => {
    const tale = await fixture.begin({ options });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: THREE.map(nameOf) });
    expect(tale.asked().filter((line) => /^(decide|register|propose)/.test(line))).toEqual([]);
    expect(tale.decided).toBeUndefined();
    expect(await tale.details('south.credit')).toContain('three-phase commit (classic, **unsafe**)');
    for (const branch of tale.names) await tale.workflow(branch).terminate('it would stay for the others to ask');
  });

  it('aborts when a branch refuses', async () => {
    const tale = await fixture.begin({ options, answers: { 'prepare south.credit': refuses() } });
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { branch: 'south.credit' } });
    expect(tale.states()).toEqual(all(THREE, 'rolled-back'));
    for (const branch of tale.names) await tale.workflow(branch).terminate('it would stay for the others to ask');
  });

  it.concurrent.each(some(TOLD, 2, 'who had been told'))(
    'ends alike without its coordinator while messages arrive, when %s had been told',
    async (_, told, expected) => {
      // A message that is slow to arrive must not pass for one that does not.
      const tale = await fixture.orphaned({ branches: THREE, mode, patience: { peersMs: 20_000 } });
      await tale.preCommit(...told);
      await tale.untilStates(all(THREE, expected === 'commit' ? 'committed' : 'rolled-back'));
      expect(tale.asked().filter((line) => /^(register|propose)/.test(line))).toEqual([]);
    },
    90_000,
  );

  it('SPLITS when the network is cut: the side that knows commits, the side that does not aborts', async () => {
    const tale = await fixture.orphaned({ branches: TWO, mode, patience: { preCommittedMs: 20_000 } });
    await tale.preCommit('south.credit');
    // From here on neither hears the other: what one asks does not arrive until the other has lost patience.
    await fixture.away('south');
    await tale.untilStates({ 'north.debit': 'rolled-back' });
    await fixture.away('north');
    await fixture.back('south');
    await tale.untilStates({ 'south.credit': 'committed' });
    await fixture.back('north');
    expect(tale.states()).toEqual({ 'north.debit': 'rolled-back', 'south.credit': 'committed' });
  }, 90_000);

  it('does not split in the same run with a register: who comes late obeys', async () => {
    const tale = await fixture.orphaned({ branches: TWO, patience: { preCommittedMs: 20_000 } });
    await tale.preCommit('south.credit');
    await fixture.away('south');
    await tale.untilStates({ 'north.debit': 'rolled-back' });
    await fixture.back('south');
    expect(await tale.endings()).toEqual(all(TWO, 'abort'));
    expect(tale.states()).toEqual(all(TWO, 'rolled-back'));
    expect(fixture.participants.breaches.filter((breach) => breach.includes(`of ${tale.id}`))).toEqual([]);
  }, 90_000);
});
