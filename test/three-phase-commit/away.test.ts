/**
 * Outages: a participant that is away for much longer than anybody has patience, all of them at once, a register that does not
 * answer. Timers fire late and all together, and beliefs are old; nothing depends on either.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { callLine, down } from '../two-phase-commit/participants';
import type { Line } from '../two-phase-commit/participants';
import { all, nameOf, threePhaseFixture, THREE, TWO, until } from './fixture';

const fixture = threePhaseFixture();
const { participants } = fixture;

it('A participant that was away asks the register before any other, and does as they did without it', async () => {
  const cases = [
    { told: [], expected: 'abort' },
    // It may have answered the others at the last moment, or not.
    { told: ['south.credit'], expected: undefined },
    { told: ['audit.record'], expected: 'commit' },
  ] as const;
  const tales = await Promise.all(
    cases.map(async ({ told, expected }) => {
      const tale = await fixture.orphaned({
        branches: THREE,
        patience: { uncertainMs: 10_000, preCommittedMs: 11_000 },
      });
      await tale.preCommit(...told);
      return { tale, expected };
    }),
  );
  await fixture.away('south');
  for (const { tale } of tales) await until(`${tale.id} is decided`, () => tale.decided !== undefined);
  // They ask nothing more from here on.
  for (const { tale } of tales)
    for (const branch of ['north.debit', 'audit.record']) await tale.workflow(branch).result();
  const before = tales.map(({ tale }) => tale.asked().length);
  await fixture.back('south');
  for (const [i, { tale, expected }] of tales.entries()) {
    const { decided = 'nothing' } = tale;
    if (expected !== undefined) expect(decided).toBe(expected);
    expect(await tale.endings()).toEqual(all(THREE, decided));
    const then = tale.asked().slice(before[i]);
    expect(then).toEqual(['register', `${decided} south.credit`]);
    expect(await tale.sent('south.credit')).not.toContain('inquire');
  }
}, 120_000);

it('Participants that were all away agree when they are back and all their timers fire together', async () => {
  const subsets = [[], ['north.debit'], ['south.credit'], ['south.credit', 'audit.record'], THREE.map(nameOf)];
  const tales = await Promise.all(
    subsets.map(async (told) => {
      const tale = await fixture.orphaned({ branches: THREE });
      await tale.preCommit(...told);
      return { tale, told };
    }),
  );
  await Promise.all(THREE.map(({ participant }) => fixture.away(participant)));
  await sleep(10_000);
  await Promise.all(THREE.map(({ participant }) => fixture.back(participant)));
  for (const { tale, told } of tales) {
    const endings = await tale.endings();
    // Where only some had been told it is a race what they propose, and none what they do.
    if (told.length === 0) expect(tale.decided).toBe('abort');
    if (told.length === THREE.length) expect(tale.decided).toBe('commit');
    expect(endings).toEqual(all(THREE, tale.decided ?? 'nothing'));
    expect(tale.states()).toEqual(all(THREE, tale.decided === 'commit' ? 'committed' : 'rolled-back'));
  }
}, 120_000);

describe.concurrent('a register that does not answer', () => {
  it.concurrent(
    'blocks all who would ask it, who say so, and who go on once it is back',
    async () => {
      let isDown = true;
      const sometimes: Line = (usual, request) => callLine(isDown ? down : (go) => go(), usual, request);
      const answers = { register: sometimes, 'propose abort': sometimes };
      const tale = await fixture.orphaned({ branches: TWO, answers, patience: { uncertainMs: 500 } });
      for (const branch of tale.names)
        await until('it says so', async () =>
          (await tale.details(branch)).includes('hears nothing of the coordinator, and asks the register at north'),
        );
      await tale.untilAsked('register', 6);
      for (const branch of tale.names) expect(await tale.stateOf(branch)).toBe('uncertain');
      expect(tale.states()).toEqual(all(TWO, 'prepared'));
      isDown = false;
      expect(await tale.endings()).toEqual(all(TWO, 'abort'));
    },
    60_000,
  );

  it.concurrent(
    'blocks too who only could not propose',
    async () => {
      let isDown = true;
      const sometimes: Line = (usual, request) => callLine(isDown ? down : (go) => go(), usual, request);
      const answers = { 'propose commit': sometimes };
      const tale = await fixture.orphaned({ branches: TWO, answers, patience: { preCommittedMs: 500 } });
      await tale.preCommit('north.debit', 'south.credit');
      await tale.untilAsked('propose commit', 6);
      expect(await tale.details('south.credit')).toContain('proposes commit to the register at north');
      expect(tale.states()).toEqual(all(TWO, 'prepared'));
      isDown = false;
      expect(await tale.endings()).toEqual(all(TWO, 'commit'));
    },
    60_000,
  );

  it.concurrent(
    'is not needed by who hears of the decision while it asks',
    async () => {
      const tale = await fixture.orphaned({
        branches: TWO,
        answers: { register: down },
        patience: { uncertainMs: 500 },
      });
      await tale.untilAsked('register', 4);
      participants.register.set(tale.id, { decision: 'commit', by: 'coordinator' });
      for (const branch of tale.names) await tale.workflow(branch).signal('doCommit', { token: tale.token(branch) });
      expect(await tale.endings()).toEqual(all(TWO, 'commit'));
      expect(tale.asked().filter((line) => line.startsWith('propose'))).toEqual([]);
    },
    60_000,
  );
});

it('A participant that can never write down that all can commit, and hears of nobody, asks for an abort in the end', async () => {
  const tale = await fixture.orphaned({
    branches: TWO,
    answers: { 'preCommit south.credit': down },
    patience: { uncertainMs: 1_000 },
    patienceOf: { 'north.debit': { uncertainMs: 600_000 } },
  });
  await tale.workflow('south.credit').signal('preCommit', { token: tale.token('south.credit') });
  await until('it is decided', () => tale.decided !== undefined);
  expect(tale.decided).toBe('abort');
  await tale.workflow('north.debit').signal('doAbort', { token: tale.token('north.debit') });
  expect(await tale.endings()).toEqual(all(TWO, 'abort'));
}, 120_000);

it('Nothing happened that may not happen', () => expect(participants.breaches).toEqual([]));
