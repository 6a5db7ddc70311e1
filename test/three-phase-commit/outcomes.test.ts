/** How a transaction of three-phase commit ends while everybody is there, and what is asked of whom on the way. */
import { Context } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import type { ThreePhaseCommitOptions } from '../../src/workflow';
import { gate } from '../two-phase-commit/fixture';
import { broken, callLine, down, refuses, unheard } from '../two-phase-commit/participants';
import type { Line } from '../two-phase-commit/participants';
import { all, FOUR, IMPATIENT, nameOf, THREE, threePhaseFixture, TWO } from './fixture';

const fixture = threePhaseFixture();
const { participants } = fixture;

const NAMES = THREE.map(nameOf);
const verbs = (asked: readonly string[]): string[] => asked.map((line) => line.split(' ')[0] ?? '');

describe('a transaction of three-phase commit whose branches all vote commit', () => {
  it('asks whether all can, tells all that all can, decides at the primary, and has all do it', async () => {
    const tale = await fixture.begin();
    expect(await tale.report()).toEqual({
      id: tale.id,
      protocol: 'three-phase-commit',
      outcome: 'committed',
      decision: 'commit',
      attempts: 1,
      results: NAMES,
      branches: THREE.map((branch, i) => ({ ...branch, branch: NAMES[i], vote: 'commit', finish: { kind: 'done' } })),
    });
    expect(verbs(tale.asked())).toEqual([
      ...['prepare', 'prepare', 'prepare'],
      ...['preCommit', 'preCommit', 'preCommit'],
      'decide',
      ...['commit', 'commit', 'commit'],
    ]);
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
    expect(tale.states()).toEqual(all(THREE, 'committed'));
    expect(participants.proposals.get(tale.id)).toMatchObject([{ propose: 'commit', register: 'north' }]);
  });

  it('says in its details and those of its participants how it went, and shows no search attributes', async () => {
    const tale = await fixture.begin();
    await tale.report();
    expect(await tale.details()).toContain(`**Three-phase commit ${tale.id}: committed, decided: commit**`);
    expect(await tale.details('south.credit')).toBe(
      `**Branch south.credit of ${tale.id}**, three-phase commit: has followed the decision commit: applied. State: committed.`,
    );
    const { typedSearchAttributes } = await tale.workflow().describe();
    expect(typedSearchAttributes.getAll().filter(({ key }) => key.name.startsWith('Txn'))).toEqual([]);
  });

  it('has histories of a known length, and each participant is told each thing once', async () => {
    const tale = await fixture.begin();
    await tale.report();
    await tale.endings();
    expect(await tale.sent()).toEqual([...NAMES.map(() => 'preCommit'), ...NAMES.map(() => 'doCommit')]);
    expect(await tale.sent('south.credit')).toEqual(['vote', 'ack', 'ack']);
    expect((await tale.history()).length).toBeLessThanOrEqual(100);
    expect((await tale.history('south.credit')).length).toBeLessThanOrEqual(60);
  });

  it('asks a branch for its result at the commit when only an earlier attempt knew it', async () => {
    const tale = await fixture.begin({ answers: { 'prepare south.credit': { vote: 'commit' } } });
    participants.set(tale.id, 'south.credit', 'prepared');
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: NAMES });
  });

  it.each(['prepare', 'preCommit', 'commit'])('does not mind that an answer to %s is lost', async (question) => {
    const lost = [unheard, (usual: () => Promise<unknown>) => usual()];
    const tale = await fixture.begin({ answers: { [`${question} south.credit`]: lost } });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
    expect(tale.states()).toEqual(all(THREE, 'committed'));
  });

  it('does not wait for the last acknowledgement of a pre-commit: all have voted', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      answers: { 'preCommit audit.record': slow.line },
      options: { timeouts: { preCommit: 500 } },
    });
    await tale.untilAsked('commit south.credit');
    expect(tale.decided).toBe('commit');
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
  });

  it('asks a participant to finish its branch itself when that one does not say that it has', async () => {
    let isDown = true;
    // Its workflow's activity fails, and the one of the coordinator does not.
    const forItself: Line = (usual, request) => {
      const isOwn = Context.current().info.workflowExecution?.workflowId.includes('#') === true;
      return callLine(isOwn && isDown ? down : (go) => go(), usual, request);
    };
    const tale = await fixture.begin({
      answers: { 'commit south.credit': forItself },
      options: { attemptTimeout: 500 },
    });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    isDown = false;
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
  });
});

describe('a transaction of three-phase commit with branches that', () => {
  it('only read: they are spared the other phases, and are not told', async () => {
    const tale = await fixture.begin({ answers: { 'prepare south.credit': { vote: 'read-only', result: 7 } } });
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'committed' });
    expect(report.branches[1]).toMatchObject({ vote: 'read-only', finish: { kind: 'not-needed' } });
    expect(tale.asked().filter((line) => line.includes('south'))).toEqual(['prepare south.credit']);
    expect(await tale.endings()).toEqual({ ...all(THREE, 'commit'), 'south.credit': 'read-only' });
  });

  it('all only read: nothing is decided', async () => {
    const reads = { vote: 'read-only' };
    const answers = Object.fromEntries(NAMES.map((name) => [`prepare ${name}`, reads]));
    const tale = await fixture.begin({ answers });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(verbs(tale.asked())).toEqual(['prepare', 'prepare', 'prepare']);
    expect(tale.decided).toBeUndefined();
  });

  it('are only one: it is committed in one phase, by no workflow of its own', async () => {
    const tale = await fixture.begin({ branches: FOUR.slice(0, 1) });
    expect(await tale.report()).toMatchObject({ protocol: 'three-phase-commit', results: ['north.debit'] });
    expect(tale.asked()).toEqual(['execute north.debit']);
    expect(await tale.endings()).toEqual({});
  });

  it('met contention: all is tried again under an id of its own, one after the other', async () => {
    const id = fixture.nextId;
    const tale = await fixture.begin({
      branches: TWO,
      answers: { 'prepare south.credit': refuses('contention', 'Somebody holds it.') },
    });
    expect(await tale.report()).toMatchObject({ id, outcome: 'committed', attempts: 2 });
    expect(tale.states()).toEqual(all(TWO, 'rolled-back'));
    expect(participants.states(`${id}+2`)).toEqual(all(TWO, 'committed'));
    expect(await tale.endings()).toEqual(all(TWO, 'abort'));
    const again = fixture.client.workflow.getHandle(`${id}+2#south.credit`);
    expect(await again.result()).toMatchObject({ transaction: `${id}+2`, outcome: 'commit' });
  });
});

describe('a transaction of three-phase commit is aborted everywhere when', () => {
  it('a branch refuses, with its reason', async () => {
    const tale = await fixture.begin({ answers: { 'prepare south.credit': refuses('closed', 'It is closed.') } });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'refused', branch: 'south.credit', reason: { code: 'closed', message: 'It is closed.' } },
    });
    expect(await tale.endings()).toEqual(all(THREE, 'abort'));
    expect(tale.states()).toEqual(all(THREE, 'rolled-back'));
    expect(verbs(tale.asked())).not.toContain('preCommit');
  });

  it.each<[string, Line, ThreePhaseCommitOptions, object]>([
    ['fails for good', broken, {}, { kind: 'failed', message: 'The operation is broken.' }],
    // Its coordinator may lose patience the moment before.
    ['cannot be prepared in time', down, IMPATIENT, { kind: expect.stringMatching('failed|timed-out') }],
  ])('a branch %s', async (_, line, options, cause) => {
    const tale = await fixture.begin({ answers: { 'prepare south.credit': line }, options });
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause });
    expect(await tale.endings()).toEqual(all(THREE, 'abort'));
    expect(tale.states()).toEqual(all(THREE, 'rolled-back'));
  });

  it('a participant says nothing, which is followed there too once it is back', async () => {
    await fixture.away('east');
    // The others must have voted by then, and must not lose patience before east is back.
    const options = { attemptTimeout: 3_000, timeouts: { prepare: 5_000, uncertain: 60_000 } };
    const tale = await fixture.begin({ branches: FOUR, options });
    const report = tale.report();
    await expect.poll(() => tale.decided, { timeout: 45_000 }).toBe('abort');
    await fixture.back('east');
    expect(await report).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'timed-out', message: 'No vote came within 5 s from east.work.' },
    });
    expect(await tale.endings()).toEqual(all(FOUR, 'abort'));
    expect(tale.states()).toEqual(all(FOUR, 'rolled-back'));
  });

  it('it is cancelled while a branch has not voted', async () => {
    const slow = gate();
    const tale = await fixture.begin({ answers: { 'prepare audit.record': slow.line } });
    await slow.entered;
    await tale.handle.cancel();
    await tale.untilAsked('abort audit.record');
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'cancelled' } });
    expect(await tale.endings()).toEqual(all(THREE, 'abort'));
    expect(tale.states()).toEqual(all(THREE, 'rolled-back'));
  });
});

it('A cancellation after the pre-commit comes too late, and so does that of a participant at any time', async () => {
  const slow = gate();
  const tale = await fixture.begin({ answers: { 'preCommit audit.record': slow.line } });
  await slow.entered;
  await tale.handle.cancel();
  await tale.workflow('south.credit').cancel();
  slow.release();
  expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  expect(await tale.endings()).toEqual(all(THREE, 'commit'));
});

describe('a branch that somebody rolled back by hand after its vote', () => {
  it('is held at the coordinator, who learns of it from the database', async () => {
    const id = fixture.nextId;
    const byHand: Line = async (usual) => {
      const answer = await usual();
      participants.set(id, 'south.credit', 'rolled-back');
      return answer;
    };
    const tale = await fixture.begin({ answers: { 'decide north.debit': byHand }, options: { attemptTimeout: 500 } });
    const report = tale.report();
    await expect.poll(async () => (await tale.now()).outcome, { timeout: 45_000 }).toBe('held');
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
    expect(await tale.workflow('south.credit').result()).toMatchObject({ ack: { kind: 'heuristic', took: 'abort' } });
    const ruling = { step: 'south.credit', reason: 'seen in the database', by: 'kim' };
    await tale.handle.skipStep(ruling);
    expect(await report).toMatchObject({ outcome: 'mixed', decision: 'commit' });
  });
});

it('Nothing happened that may not happen', () => expect(participants.breaches).toEqual([]));
