/** How transactions of two-phase commit end, as their reports and their participants tell it. */
import { describe, expect, it } from 'vitest';
import { TransactionAborted } from '../../src/client';
import { gate, THREE, twoPhaseFixture } from './fixture';
import { broken, down, refuses, unheard } from './participants';

const fixture = twoPhaseFixture();

const NAMES = ['north.debit', 'south.credit', 'audit.record'];
const all = (state: string): Record<string, string> => Object.fromEntries(NAMES.map((name) => [name, state]));

describe('a transaction whose branches all vote commit', () => {
  it('is decided at the primary, commits every branch, and returns the results in their order', async () => {
    const tale = await fixture.begin();
    expect(await tale.report()).toEqual({
      id: tale.id,
      protocol: 'two-phase-commit',
      outcome: 'committed',
      decision: 'commit',
      attempts: 1,
      results: NAMES,
      branches: THREE.map((branch, i) => ({ ...branch, branch: NAMES[i], vote: 'commit', finish: { kind: 'done' } })),
    });
    expect(tale.askedToFinish()).toEqual(['commit audit.record', 'commit south.credit', 'decide north.debit']);
    expect(tale.states()).toEqual(all('committed'));
    expect(fixture.participants.proposals.get(tale.id)).toEqual([
      expect.objectContaining({
        propose: 'commit',
        register: 'north',
        xid: '7',
        branches: NAMES.map((branch) => ({ branch, participant: branch.split('.')[0], vote: 'commit' })),
      }),
    ]);
  });

  it('shows no search attributes, and is counted', async () => {
    const label = { protocol: 'two-phase-commit', outcome: 'committed' };
    const before = fixture.counted('txn_transactions_total', label);
    const tale = await fixture.begin();
    await tale.report();
    expect(await tale.attributes()).toEqual({});
    expect(fixture.counted('txn_transactions_total', label)).toBe(before + 1);
  });

  it('asks a branch for its result at the commit when only an earlier attempt knew it', async () => {
    const tale = await fixture.begin({
      answers: { 'prepare south.credit': { vote: 'commit' }, 'prepare north.debit': { vote: 'commit' } },
    });
    fixture.participants.set(tale.id, 'north.debit', 'prepared');
    fixture.participants.set(tale.id, 'south.credit', 'prepared');
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: NAMES });
  });
});

describe('a transaction one of whose branches votes abort', () => {
  it('aborts every branch, and says which one, why, and how the others voted', async () => {
    const tale = await fixture.begin({
      answers: { 'prepare south.credit': refuses('account-closed', 'It is closed.') },
    });
    const report = await tale.report();
    const reason = { code: 'account-closed', message: 'It is closed.' };
    expect(report).toMatchObject({
      outcome: 'aborted',
      decision: 'abort',
      cause: { kind: 'refused', branch: 'south.credit', message: 'It is closed.', reason },
    });
    expect(report.branches[1]).toMatchObject({ vote: 'abort', reason, finish: { kind: 'done' } });
    expect(tale.askedToFinish()).toEqual(['abort audit.record', 'abort south.credit', 'decide north.debit']);
    expect(tale.states()).toEqual(all('rolled-back'));
    expect(fixture.participants.register.get(tale.id)).toEqual({ decision: 'abort', by: 'coordinator', reason });
    expect(await tale.attributes()).toMatchObject({
      TxnStatus: 'aborted',
      TxnProtocol: 'two-phase-commit',
      TxnParticipants: ['audit', 'north', 'south'],
      TxnNeedsAttention: false,
      TxnFailedStep: 'south.credit',
    });
  });

  it('throws the report at the client', async () => {
    const tale = await fixture.begin({ workflow: 'commits', answers: { 'prepare north.debit': refuses() } });
    const error: unknown = await tale.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionAborted);
    expect(error).toMatchObject({
      message: expect.stringMatching(/did not commit\. Nothing took effect: Not today\./),
      report: { outcome: 'aborted', cause: { branch: 'north.debit' } },
    });
  });

  it('decides at the first one, without waiting for the others', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      answers: { 'prepare audit.record': slow.line, 'prepare south.credit': refuses() },
    });
    await tale.untilAsked('abort audit.record');
    expect(tale.decided).toBe('abort');
    slow.release();
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'aborted', cause: { branch: 'south.credit' } });
    expect(report.branches[2]).toMatchObject({ vote: 'none', finish: { kind: 'done' } });
  });

  it('is aborted where the operation fails for good, with what it said', async () => {
    const tale = await fixture.begin({ answers: { 'prepare audit.record': broken } });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'failed', branch: 'audit.record', message: 'The operation is broken.' },
    });
    expect(tale.states()).toEqual(all('rolled-back'));
  });

  it.each([
    ['fenced', 'failed'],
    ['not-preparable', 'failed'],
    ['decided-before', 'failed'],
    ['recovered', 'recovered'],
    ['constraint-violated', 'refused'],
  ])('calls a reason of %s %s', async (code, kind) => {
    const tale = await fixture.begin({ answers: { 'prepare south.credit': refuses(code) } });
    expect(await tale.report()).toMatchObject({ cause: { kind, reason: { code } } });
  });
});

describe('a prepare that fails and may be tried again', () => {
  it('is tried again until it succeeds', async () => {
    const tale = await fixture.begin();
    expect((await tale.report()).outcome).toBe('committed');
    const shaky = await fixture.begin({
      answers: { 'prepare south.credit': [down, unheard, async (usual) => usual()] },
    });
    expect(await shaky.report()).toMatchObject({ outcome: 'committed', results: NAMES });
    expect(shaky.asked().filter((line) => line === 'prepare south.credit')).toHaveLength(3);
  });
});

describe('branches that only read', () => {
  const readOnly = { vote: 'read-only', result: 'read' };

  it('are left alone in the second phase', async () => {
    const tale = await fixture.begin({ answers: { 'prepare audit.record': readOnly } });
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'committed', results: ['north.debit', 'south.credit', 'read'] });
    expect(report.branches[2]).toMatchObject({ vote: 'read-only', finish: { kind: 'not-needed' } });
    expect(tale.askedToFinish()).toEqual(['commit south.credit', 'decide north.debit']);
  });

  it('are left alone in an abort too', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      answers: { 'prepare audit.record': readOnly, 'prepare south.credit': slow.line },
    });
    await expect.poll(async () => (await tale.now()).branches[2]?.vote).toBe('read-only');
    tale.say('prepare south.credit', refuses());
    await tale.vote('south.credit', 'abort');
    await tale.untilAsked('abort south.credit');
    slow.release();
    expect((await tale.report()).branches[2]).toMatchObject({ vote: 'read-only', finish: { kind: 'not-needed' } });
    expect(tale.asked()).not.toContain('abort audit.record');
  });

  it('need no decision when there are no others', async () => {
    const answers = Object.fromEntries(NAMES.map((name) => [`prepare ${name}`, readOnly]));
    const tale = await fixture.begin({ answers });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: ['read', 'read', 'read'] });
    expect(tale.askedToFinish()).toEqual([]);
    expect(await tale.handle.decision()).toMatchObject({ decision: 'commit' });
  });

  it('take part in the decision where one of them is the primary', async () => {
    const tale = await fixture.begin({ answers: { 'prepare north.debit': readOnly } });
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'committed', results: ['read', 'south.credit', 'audit.record'] });
    expect(tale.askedToFinish()).toEqual(['commit audit.record', 'commit south.credit', 'decide north.debit']);
  });
});

describe('votes by answer alone', () => {
  it('send no signal, and commit all the same', async () => {
    const tale = await fixture.begin({ options: { votes: 'answer' } });
    expect((await tale.report()).outcome).toBe('committed');
    const history = await tale.history();
    expect(history.filter((event) => event.workflowExecutionSignaledEventAttributes)).toEqual([]);
    const bySignal = await fixture.begin();
    await bySignal.report();
    const signals = (await bySignal.history()).filter((event) => event.workflowExecutionSignaledEventAttributes);
    expect(signals).toHaveLength(3);
  });
});

describe('a cancellation', () => {
  it('before the decision aborts', async () => {
    const slow = gate();
    const tale = await fixture.begin({ answers: { 'prepare south.credit': slow.line } });
    await slow.entered;
    await tale.handle.cancel();
    await tale.untilAsked('abort south.credit');
    slow.release();
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'cancelled', message: 'It was cancelled before it was decided.', reason: { code: 'cancelled' } },
    });
    expect(tale.states()).toEqual(all('rolled-back'));
  });

  it('before anything was asked aborts, and nothing is ever in doubt', async () => {
    const tale = await fixture.begin({ branches: [...THREE, { id: 'approval', finish: 'none' }] });
    await tale.until('preparing');
    await tale.handle.cancel();
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'cancelled' } });
    expect(tale.asked().filter((line) => line.startsWith('prepare'))).toEqual([]);
    expect(tale.states()).toEqual(all('rolled-back'));
  });

  it.each(['decide north.debit', 'commit south.credit'])('at "%s" comes too late', async (question) => {
    const slow = gate();
    const tale = await fixture.begin({ answers: { [question]: slow.line } });
    await slow.entered;
    await tale.handle.cancel();
    await expect
      .poll(async () => (await tale.history()).some((event) => event.workflowExecutionCancelRequestedEventAttributes))
      .toBe(true);
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed', decision: 'commit' });
    expect(tale.states()).toEqual(all('committed'));
  });

  it('during an abort changes neither outcome nor cause', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      answers: { 'prepare south.credit': refuses(), 'decide north.debit': slow.line },
    });
    await slow.entered;
    await tale.handle.cancel();
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { kind: 'refused' } });
    expect(tale.states()).toEqual(all('rolled-back'));
  });
});
