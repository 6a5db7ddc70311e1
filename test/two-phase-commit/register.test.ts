/** The decision is what the register says, whoever wrote it; and what becomes of transactions that get into each other's way. */
import { describe, expect, it } from 'vitest';
import { TransactionInputMismatch } from '../../src/client';
import { gate, twoPhaseFixture } from './fixture';
import { callLine, down, mismatch, refuses, unheard } from './participants';

const fixture = twoPhaseFixture();
const { participants } = fixture;

const NAMES = ['north.debit', 'south.credit', 'audit.record'];
const all = (state: string): Record<string, string> => Object.fromEntries(NAMES.map((name) => [name, state]));

describe('a register that says otherwise than proposed', () => {
  it('makes everybody abort what the coordinator would commit', async () => {
    const reason = { code: 'recovered', message: 'Recovery was first.' };
    participants.register.set(fixture.nextId, { decision: 'abort', by: 'recovery of south', reason });
    const tale = await fixture.begin();
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'recovered', message: 'Recovery was first.', reason },
    });
    expect(participants.proposals.get(tale.id)?.map(({ propose }) => propose)).toEqual(['commit']);
    expect(tale.states()).toEqual(all('rolled-back'));
    expect(await tale.handle.decision()).toMatchObject({ decision: 'abort', reason });
  });

  it('makes everybody commit what the coordinator would abort, results included', async () => {
    const slow = gate();
    participants.register.set(fixture.nextId, { decision: 'commit', by: 'an earlier run' });
    const tale = await fixture.begin({
      answers: {
        'prepare south.credit': async (usual, request) => {
          await usual();
          await callLine(slow.line, usual, request);
          return { vote: 'commit' };
        },
      },
    });
    await slow.entered;
    await expect.poll(() => tale.states()).toEqual(all('prepared'));
    await tale.handle.cancel();
    await tale.untilAsked('commit south.credit');
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed', decision: 'commit', results: NAMES });
    expect(participants.proposals.get(tale.id)?.map(({ propose }) => propose)).toEqual(['abort']);
    expect(tale.states()).toEqual(all('committed'));
  });
});

describe('a decide that fails', () => {
  it('is asked again, and the answer of the first one that arrived stands', async () => {
    const tale = await fixture.begin({ answers: { 'decide north.debit': [down, unheard, async (usual) => usual()] } });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(participants.proposals.get(tale.id)).toHaveLength(2);
    expect(tale.states()).toEqual(all('committed'));
  });

  it('because the transaction exists with another input leaves nothing of ours, and says so to the client', async () => {
    const tale = await fixture.begin({ workflow: 'commits', answers: { 'decide north.debit': mismatch } });
    await expect(tale.handle.result()).rejects.toThrow(TransactionInputMismatch);
    expect(tale.states()).toEqual(all('rolled-back'));
    expect(participants.register.has(tale.id)).toBe(false);
    expect(tale.askedToFinish()).toEqual([
      'abort audit.record',
      'abort north.debit',
      'abort south.credit',
      'decide north.debit',
    ]);
  });

  it('because of a collision found at a vote is told alike', async () => {
    const tale = await fixture.begin({
      workflow: 'commits',
      answers: { 'prepare south.credit': refuses('input-mismatch', 'It stands.') },
    });
    await expect(tale.handle.result()).rejects.toThrow(TransactionInputMismatch);
  });
});

const contention = refuses('contention', 'A lock was held for too long.');

describe('contention', () => {
  it('has everything tried again, under an id of its own, after a pause, in an order that is the same everywhere', async () => {
    const slow = gate();
    const second = `${fixture.nextId}+2`;
    participants.say(second, 'prepare north.debit', slow.line);
    const before = fixture.counted('txn_contention_retries_total', { protocol: 'two-phase-commit' });
    const tale = await fixture.begin({ answers: { 'prepare south.credit': contention } });
    await slow.entered;
    expect(await tale.now()).toMatchObject({ outcome: 'preparing', attempts: 2 });
    expect((await tale.now()).decision).toBeUndefined();
    // One after the other, by participant: audit, north, south.
    expect(participants.asked(second)).toEqual(['prepare audit.record', 'prepare north.debit']);
    slow.release();
    const report = await tale.report();
    expect(report).toMatchObject({ id: tale.id, outcome: 'committed', attempts: 2, results: NAMES });
    expect(participants.asked(second).slice(0, 3)).toEqual([
      'prepare audit.record',
      'prepare north.debit',
      'prepare south.credit',
    ]);
    expect(tale.states()).toEqual(all('rolled-back'));
    expect(participants.states(second)).toEqual(all('committed'));
    expect(participants.register.get(tale.id)).toMatchObject({ decision: 'abort', reason: { code: 'contention' } });
    expect(participants.register.get(second)).toMatchObject({ decision: 'commit' });
    expect(await tale.details()).toContain('Tried 2 times, because of contention.');
    expect(fixture.counted('txn_contention_retries_total', { protocol: 'two-phase-commit' })).toBe(before + 1);
    expect(await tale.handle.decision()).toMatchObject({ decision: 'commit' });
    expect(await tale.attributes()).toEqual({});
  });

  it('pauses longer each time, at random, so that two transactions do not meet again', async () => {
    const id = fixture.nextId;
    for (const suffix of ['+2', '+3', '+4', '+5'])
      participants.say(`${id}${suffix}`, 'prepare south.credit', contention);
    const tale = await fixture.begin({ answers: { 'prepare south.credit': contention } });
    const report = await tale.report();
    expect(report).toMatchObject({
      outcome: 'aborted',
      attempts: 5,
      cause: { kind: 'contention', branch: 'south.credit', message: 'A lock was held for too long.' },
    });
    const timers = (await tale.history()).flatMap((event) => event.timerStartedEventAttributes ?? []);
    const ms = timers
      .map(({ startToFireTimeout: t }) => Number(t?.seconds ?? 0) * 1000 + (t?.nanos ?? 0) / 1e6)
      .filter((pause) => pause < 30_000);
    expect(ms).toHaveLength(4);
    for (const [i, pause] of ms.entries()) {
      expect(pause).toBeGreaterThanOrEqual(100 * 2 ** i);
      expect(pause).toBeLessThanOrEqual(300 * 2 ** i);
    }
    expect(ms.some((pause, i) => pause !== 200 * 2 ** i)).toBe(true);
    for (const suffix of ['', '+2', '+3', '+4', '+5'])
      expect(participants.states(`${id}${suffix}`)['north.debit']).toBe('rolled-back');
  });

  it('ends after as many attempts as are set', async () => {
    const tale = await fixture.begin({ answers: { 'prepare north.debit': contention }, options: { attempts: 1 } });
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', attempts: 1, cause: { kind: 'contention' } });
  });

  it('asks nobody again when the caller withdraws, and ends as the register of the next attempt says', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      answers: { 'prepare south.credit': contention, 'abort audit.record': slow.line },
    });
    await slow.entered;
    await tale.handle.cancel();
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', attempts: 2, cause: { kind: 'cancelled' } });
    expect(participants.asked(`${tale.id}+2`).filter((line) => line.startsWith('prepare'))).toEqual([]);
    expect(await tale.handle.decision()).toMatchObject({ decision: 'abort' });
  });

  it('does not hide what the next attempt of an earlier run has committed, when it is withdrawn', async () => {
    const id = fixture.nextId;
    const slow = gate();
    const reason = { code: 'contention', message: 'A lock was held for too long.' };
    participants.register.set(id, { decision: 'abort', by: 'coordinator', reason });
    participants.register.set(`${id}+2`, { decision: 'commit', by: 'coordinator' });
    for (const name of NAMES) participants.set(`${id}+2`, name, 'committed');
    const tale = await fixture.begin({ answers: { 'abort audit.record': slow.line } });
    expect(tale.id).toBe(id);
    await slow.entered;
    await tale.handle.cancel();
    slow.release();
    expect((await tale.report()).decision).toBe('commit');
  });

  it('that a register remembers leads to the attempt that committed then', async () => {
    const id = fixture.nextId;
    const reason = { code: 'contention', message: 'A lock was held for too long.' };
    participants.register.set(id, { decision: 'abort', by: 'coordinator', reason });
    participants.register.set(`${id}+2`, { decision: 'commit', by: 'coordinator' });
    for (const name of NAMES) {
      participants.set(id, name, 'rolled-back');
      participants.set(`${id}+2`, name, 'committed');
    }
    const tale = await fixture.begin();
    expect(await tale.report()).toMatchObject({ outcome: 'committed', attempts: 2, results: NAMES });
    expect(participants.states(`${id}+2`)).toEqual(all('committed'));
  });
});

describe('in all of these', () => {
  it('no participant was told otherwise than the register says', () => {
    expect(participants.breaches.filter((breach) => !breach.endsWith('decided is undefined'))).toEqual([]);
  });
});
