/**
 * How participants end a transaction whose coordinator is gone: who asks whom, what each of them proposes, and that they agree
 * whichever of them had been told that all can commit.
 */
import { describe, expect, it } from 'vitest';
import { gate } from '../two-phase-commit/fixture';
import { all, FOUR, nameOf, threePhaseFixture, THREE, TWO, until } from './fixture';

const fixture = threePhaseFixture();
const { participants } = fixture;

const subsetsOf = (names: readonly string[]): readonly (readonly string[])[] =>
  Array.from({ length: 2 ** names.length }, (_, bits) => names.filter((_name, i) => bits & (1 << i)));

it('Any that were told before the coordinator was gone bring all to commit, and none to abort', async () => {
  const cases = [2, 3, 4].flatMap((count) => {
    const branches = FOUR.slice(0, count);
    return subsetsOf(branches.map(nameOf)).map((told) => ({ branches, told }));
  });
  expect(cases).toHaveLength(28);
  await Promise.all(
    cases.map(async ({ branches, told }) => {
      const tale = await fixture.orphaned({ branches, patience: { uncertainMs: 20_000, peersMs: 30_000 } });
      await tale.preCommit(...told);
      const expected = told.length > 0 ? 'commit' : 'abort';
      expect({ told, ...(await tale.endings()) }).toEqual({ told, ...all(branches, expected) });
      expect(tale.decided).toBe(expected);
      expect(tale.states()).toEqual(all(branches, told.length > 0 ? 'committed' : 'rolled-back'));
      for (const branch of tale.names)
        expect(participants.preCommitted.has(`${tale.id} ${branch}`)).toBe(told.includes(branch));
    }),
  );
}, 120_000);

describe.concurrent('a participant that hears nothing', () => {
  it.concurrent('asks the register, then the others, and then proposes', async () => {
    const tale = await fixture.orphaned({ branches: THREE, patience: { preCommittedMs: 14_000, peersMs: 30_000 } });
    await tale.preCommit('audit.record');
    // The one that was told has much more patience: the others have to ask it.
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
    const asked = tale.asked();
    expect(asked.indexOf('register')).toBeLessThan(asked.indexOf('propose commit'));
    expect(asked).not.toContain('propose abort');
    // One of the two has asked; the other may have found the decision in the register by then.
    expect([...(await tale.sent('north.debit')), ...(await tale.sent('south.credit'))]).toContain('inquire');
    expect(await tale.sent('audit.record')).toContain('stand');
  });

  it.concurrent('and is pre-committed proposes commit without asking any other', async () => {
    const tale = await fixture.orphaned({ branches: TWO, patience: { preCommittedMs: 500 } });
    await tale.preCommit('south.credit');
    expect(await tale.endings()).toEqual(all(TWO, 'commit'));
    expect(await tale.sent('south.credit')).not.toContain('inquire');
  });

  it.concurrent('obeys a decision that it finds in the register, and asks nobody', async () => {
    const tale = await fixture.orphaned({ branches: TWO });
    participants.register.set(tale.id, { decision: 'commit', by: 'coordinator' });
    expect(await tale.endings()).toEqual(all(TWO, 'commit'));
    for (const branch of tale.names) expect(await tale.sent(branch)).not.toContain('inquire');
    expect(tale.asked().filter((line) => line.startsWith('propose'))).toEqual([]);
  });

  it.concurrent('has written down what it was told before it says so', async () => {
    const slow = gate();
    const tale = await fixture.begin({ branches: TWO, answers: { 'preCommit south.credit': slow.line } });
    await slow.entered;
    expect(await tale.sent('south.credit')).toEqual(['vote']);
    expect(await tale.stateOf('south.credit')).toBe('uncertain');
    slow.release();
    await tale.report();
    expect(await tale.sent('south.credit')).toEqual(['vote', 'ack', 'ack']);
  });

  it.concurrent('answers a second pre-commit again, and writes it once', async () => {
    const tale = await fixture.orphaned({ branches: TWO });
    await tale.preCommit('south.credit');
    await tale.preCommit('south.credit');
    expect(await tale.endings()).toEqual(all(TWO, 'commit'));
    expect(tale.asked().filter((line) => line === 'preCommit south.credit')).toHaveLength(1);
  });
});

describe.concurrent('two participants that terminate at once and propose otherwise', () => {
  /** Both are about to propose; whoever is let go first decides. */
  const race = async (first: 'commit' | 'abort') => {
    const slow = { commit: gate(), abort: gate() };
    // North loses patience while south does not know yet.
    const tale = await fixture.orphaned({
      branches: TWO,
      patience: { preCommittedMs: 1_000 },
      patienceOf: { 'south.credit': { uncertainMs: 60_000 } },
      answers: { 'propose commit': slow.commit.line, 'propose abort': slow.abort.line },
    });
    await slow.abort.entered;
    await tale.preCommit('south.credit');
    await slow.commit.entered;
    slow[first].release();
    await until('it is decided', () => tale.decided === first);
    slow[first === 'commit' ? 'abort' : 'commit'].release();
    return tale;
  };

  it.concurrent.each(['commit', 'abort'] as const)('both do what was proposed first: %s', async (first) => {
    const tale = await race(first);
    expect(await tale.endings()).toEqual(all(TWO, first));
    expect(tale.asked()).toEqual(expect.arrayContaining(['propose commit', 'propose abort']));
    expect(tale.states()).toEqual(all(TWO, first === 'commit' ? 'committed' : 'rolled-back'));
  });
});

it('Nothing happened that may not happen', () => expect(participants.breaches).toEqual([]));
