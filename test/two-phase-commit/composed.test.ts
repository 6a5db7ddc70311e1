/** One branch alone, several transactions in one workflow, a transaction in a saga, and who waits for the decision only. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { TransactionAborted, TransactionInterrupted } from '../../src/client';
import type { SagaReport } from '../../src/client';
import { gate, THREE, twoPhaseFixture } from './fixture';
import type { Settled } from './fixture';
import { broken, down, mismatch, refuses } from './participants';
import type { Planned } from './workflows';

const fixture = twoPhaseFixture();
const { participants } = fixture;

const ONE: readonly Planned[] = [{ participant: 'north', operation: 'debit' }];
const refusal = ApplicationFailure.nonRetryable('Not today.', 'Refusal', { code: 'not-today', message: 'Not today.' });

describe('a transaction with one branch', () => {
  it('commits in one phase', async () => {
    const tale = await fixture.begin({ branches: ONE });
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'committed', results: ['north.debit'], attempts: 1 });
    expect(report.branches[0]).toMatchObject({ vote: 'none', finish: { kind: 'done' } });
    expect(tale.asked()).toEqual(['execute north.debit']);
    expect(await tale.attributes()).toEqual({});
  });

  it('aborts when it is refused', async () => {
    const tale = await fixture.begin({ branches: ONE, answers: { 'execute north.debit': refusal } });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'refused', reason: { code: 'not-today' } },
    });
    expect(tale.asked()).toEqual(['execute north.debit']);
  });

  it('aborts when the branch exists with another input', async () => {
    const tale = await fixture.begin({ branches: ONE, answers: { 'execute north.debit': mismatch } });
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { reason: { code: 'input-mismatch' } } });
  });

  it('asks what became of it when no answer came: it happened', async () => {
    const tale = await fixture.begin({
      branches: ONE,
      answers: {
        'execute north.debit': async (usual) => {
          await usual();
          throw ApplicationFailure.nonRetryable('The answer was lost.', 'OperationFailed');
        },
      },
    });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: ['north.debit'] });
    expect(tale.asked()).toEqual(['execute north.debit', 'query north.debit']);
  });

  it('asks what became of it when no answer came: it never will', async () => {
    const tale = await fixture.begin({ branches: ONE, answers: { 'execute north.debit': broken } });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'failed', message: 'The operation is broken.' },
    });
    expect(tale.asked()).toEqual(['execute north.debit', 'query north.debit']);
  });

  it('asks what became of it when no answer came: it was refused', async () => {
    const tale = await fixture.begin({
      branches: ONE,
      answers: {
        'execute north.debit': broken,
        'query north.debit': { answer: 'refused', refusal: { code: 'not-today', message: 'Not today.' } },
      },
    });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'refused', message: 'Not today.' },
    });
  });

  it('is overdue while nobody can tell, and the person cannot guess', async () => {
    const before = fixture.counted('txn_overdue_total');
    const tale = await fixture.begin({
      branches: ONE,
      answers: { 'execute north.debit': broken, 'query north.debit': down },
      options: { timeouts: { commit: '1 second' } },
    });
    const report = await tale.until('overdue');
    expect(report.branches[0]?.finish).toEqual({ kind: 'overdue', cause: 'The database does not answer.' });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'overdue', TxnFailedStep: 'north.debit' });
    expect(fixture.counted('txn_overdue_total')).toBe(before + 1);
    const ruling = { step: 'north.debit', reason: 'a guess', by: 'kim' };
    await expect(tale.handle.skipStep(ruling)).rejects.toThrow(/nobody can take its place/);
    tale.say('query north.debit', { answer: 'applied', result: 'late' });
    await tale.handle.retryStep(ruling);
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: ['late'] });
  });

  it('is tried again under an id of its own when it meets contention', async () => {
    const contention = ApplicationFailure.nonRetryable('Locked.', 'Refusal', {
      code: 'contention',
      message: 'Locked.',
    });
    const tale = await fixture.begin({ branches: ONE, answers: { 'execute north.debit': contention } });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', attempts: 2 });
    expect(participants.asked(`${tale.id}+2`)).toEqual(['execute north.debit']);
  });
});

describe('two transactions in one workflow', () => {
  it('are both at their ends when it fails: what is open then is aborted first', async () => {
    const slow = gate();
    const id = fixture.nextId;
    participants.say(id, 'prepare south.credit', (usual) => slow.line(usual).then(() => refuses()));
    // Nothing of the second one is under way any more: it waits for somebody.
    const waiting = [...THREE, { id: 'partner', finish: 'none' }] as const;
    const tale = await fixture.begin({ workflow: 'together', input: [{ branches: THREE }, { branches: waiting }] });
    await slow.entered;
    await expect.poll(async () => (await tale.handle.reports())[1]?.outcome).toBe('preparing');
    slow.release();
    await expect(tale.handle.result()).rejects.toMatchObject({ name: 'TransactionAborted', report: { id } });
    expect((await tale.handle.reports()).map(({ outcome }) => outcome)).toEqual(['aborted', 'aborted']);
  });

  it('run side by side under ids of their own, and each hears its own votes only', async () => {
    const slow = gate();
    const id = fixture.nextId;
    participants.say(`${id}/2`, 'prepare south.credit', refuses());
    participants.say(id, 'prepare south.credit', slow.line);
    const tale = await fixture.begin({ workflow: 'sideBySide', input: [{ branches: THREE }, { branches: THREE }] });
    await slow.entered;
    await expect.poll(() => participants.register.get(`${id}/2`)?.decision).toBe('abort');
    expect(participants.register.has(id)).toBe(false);
    const reports = await tale.handle.reports<'two-phase-commit'>();
    expect(reports.map((report) => report.id)).toEqual([id, `${id}/2`]);
    slow.release();
    const [first, second] = (await tale.handle.result()) as [Settled, Settled];
    expect(first).toMatchObject({ id, outcome: 'committed' });
    expect(second).toMatchObject({ id: `${id}/2`, outcome: 'aborted', cause: { branch: 'south.credit' } });
    expect(Object.values(participants.states(id))).toEqual(['committed', 'committed', 'committed']);
    expect(new Set(Object.values(participants.states(`${id}/2`)))).toEqual(new Set(['rolled-back']));
    expect(await tale.handle.decision()).toMatchObject({ transaction: id, decision: 'commit' });
  });

  it('are told apart by a ruling that names the transaction', async () => {
    const id = fixture.nextId;
    const lost = { kind: 'lost', evidence: 'Gone.' };
    for (const each of [id, `${id}/2`]) participants.say(each, 'commit south.credit', lost);
    const tale = await fixture.begin({ workflow: 'sideBySide', input: [{ branches: THREE }, { branches: THREE }] });
    await expect
      .poll(async () => (await tale.handle.reports()).map(({ outcome }) => outcome))
      .toEqual(['held', 'held']);
    const ruling = { step: 'south.credit', reason: 'seen', by: 'kim' };
    await expect(tale.handle.resolve(ruling)).rejects.toThrow(/several transactions hold "south.credit"/);
    await tale.handle.skipStep({ ...ruling, transaction: `${id}/2` });
    await tale.handle.resolve({ ...ruling, transaction: id });
    const [first, second] = (await tale.handle.result()) as [Settled, Settled];
    expect([first.outcome, second.outcome]).toEqual(['committed', 'mixed']);
  });
});

describe('a transaction in a saga', () => {
  it('is one step of it', async () => {
    const tale = await fixture.begin({ workflow: 'sagaAround', input: null });
    const report = (await tale.handle.result()) as SagaReport;
    expect(report).toMatchObject({ id: tale.id, protocol: 'saga', outcome: 'committed' });
    expect(participants.register.get(`${tale.id}/1/1`)).toMatchObject({ decision: 'commit' });
    expect((await tale.handle.reports()).map(({ protocol }) => protocol)).toEqual(['saga', 'two-phase-commit']);
    expect(await tale.attributes()).toEqual({});
  });

  it('that aborts has done nothing, and what came before is undone', async () => {
    const id = fixture.nextId;
    participants.say(`${id}/1/1`, 'prepare south.credit', refuses());
    const tale = await fixture.begin({ workflow: 'sagaAround', input: null });
    const report = (await tale.handle.result()) as SagaReport;
    expect(report).toMatchObject({
      outcome: 'compensated',
      steps: [
        { branch: 'shop.reserve', compensation: { kind: 'compensated' } },
        {
          branch: 'money',
          fate: { kind: 'not-done', refusal: { code: 'aborted' } },
          compensation: { kind: 'not-needed' },
        },
      ],
    });
    expect(tale.asked()).toEqual(['execute shop.reserve', 'compensate shop.reserve']);
  });

  it('that has committed is undone by a transaction the other way round', async () => {
    const id = fixture.nextId;
    participants.say(id, 'execute shop.ship', refusal);
    const tale = await fixture.begin({ workflow: 'sagaAround', input: null });
    const report = (await tale.handle.result()) as SagaReport;
    expect(report).toMatchObject({
      outcome: 'compensated',
      steps: [{}, { branch: 'money', compensation: { kind: 'compensated' } }, {}],
    });
    const reports = await tale.handle.reports<'two-phase-commit'>();
    const [, there, back] = reports;
    expect(there).toMatchObject({ outcome: 'committed', branches: [{ operation: 'debit' }, { operation: 'credit' }] });
    expect(back).toMatchObject({
      outcome: 'committed',
      branches: [
        { participant: 'north', operation: 'credit' },
        { participant: 'south', operation: 'debit' },
      ],
    });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'compensated', TxnProtocol: 'saga' });
  });
});

describe('a client that waits for the decision only', () => {
  it('goes on while a branch is still following', async () => {
    const slow = gate();
    const tale = await fixture.begin({ workflow: 'commits', answers: { 'commit south.credit': slow.line } });
    expect(await tale.handle.decision()).toEqual({ transaction: tale.id, decision: 'commit', by: 'coordinator' });
    expect(tale.states()['south.credit']).toBe('prepared');
    expect(await tale.handle.status()).toBe('RUNNING');
    slow.release();
    await tale.handle.result();
    // Who decided is in no report.
    expect(await tale.handle.decision()).toEqual({ transaction: tale.id, decision: 'commit' });
  });

  it('can say so at the start', async () => {
    const id = 'waits-for-the-decision';
    const input = {
      branches: [
        { participant: 'north', operation: 'debit', input: {} },
        { participant: 'south', operation: 'credit', input: {} },
      ],
    };
    const { transactions } = fixture.environment;
    const decided = await transactions.execute('coordinateTwoPhaseCommit', { id, input, waitFor: 'decision' });
    expect(decided).toEqual({ transaction: id, decision: 'commit', by: 'coordinator' });
    expect(await transactions.execute('coordinateTwoPhaseCommit', { id, input })).toHaveLength(2);
  });

  it('waits for it when it is early', async () => {
    const slow = gate();
    const tale = await fixture.begin({ answers: { 'prepare south.credit': slow.line } });
    const deciding = tale.handle.decision();
    await slow.entered;
    slow.release();
    expect(await deciding).toMatchObject({ decision: 'commit' });
  });

  it.each(['commits', 'settles'])('hears of an abort with its reason, from a workflow that %s', async (workflow) => {
    const slow = gate();
    const tale = await fixture.begin({
      workflow,
      answers: { 'prepare audit.record': refuses('closed', 'It is closed.'), 'abort south.credit': slow.line },
    });
    const reason = { code: 'closed', message: 'It is closed.' };
    expect(await tale.handle.decision()).toEqual({
      transaction: tale.id,
      decision: 'abort',
      by: 'coordinator',
      reason,
    });
    slow.release();
    await tale.handle.result().catch((error: unknown) => expect(error).toBeInstanceOf(TransactionAborted));
    expect(await tale.handle.decision()).toEqual({
      transaction: tale.id,
      decision: 'abort',
      reason,
    });
  });

  it('is told when nobody will decide any more', async () => {
    const slow = gate();
    const tale = await fixture.begin({ answers: { 'prepare south.credit': slow.line } });
    await slow.entered;
    const deciding = tale.handle.decision().catch((error: unknown) => error);
    await tale.workflow.terminate();
    slow.release();
    expect(await deciding).toBeInstanceOf(TransactionInterrupted);
    expect(await tale.handle.decision().catch((error: unknown) => error)).toBeInstanceOf(TransactionInterrupted);
  });
});
