/** Branches that did otherwise than decided, or of which nobody knows: held for a person, who rules. */
import { describe, expect, it } from 'vitest';
import { RulingRefused, TransactionMixed } from '../../src/client';
import { gate, twoPhaseFixture } from './fixture';
import type { Begun } from './fixture';
import { broken, down, refuses } from './participants';
import type { State } from './participants';

const fixture = twoPhaseFixture();
const { participants } = fixture;

const kim = { reason: 'seen in the database', by: 'kim' };

/** A transaction one of whose branches was finished by hand just before the decision reached it. */
async function heldBy(state: State | 'none', branch = 'south.credit', workflow = 'settles'): Promise<Begun> {
  const slow = gate();
  const tale = await fixture.begin({ workflow, answers: { 'decide north.debit': slow.line } });
  await slow.entered;
  participants.set(tale.id, branch, state);
  slow.release();
  await tale.until('held');
  return tale;
}

const isAttended = async (tale: Begun): Promise<unknown> => (await tale.attributes())['TxnNeedsAttention'];

describe('a branch that was rolled back by hand although the decision is commit', () => {
  it('is held, and shown with what settles it, while the others commit', async () => {
    const tale = await heldBy('rolled-back');
    const report = await tale.now();
    expect(report).toMatchObject({ outcome: 'held', decision: 'commit' });
    expect(report.branches[1]?.finish).toEqual({ kind: 'held', cause: 'It was rolled back.' });
    await expect.poll(() => tale.states()['audit.record']).toBe('committed');
    expect(await tale.attributes()).toMatchObject({
      TxnStatus: 'held',
      TxnProtocol: 'two-phase-commit',
      TxnNeedsAttention: true,
      TxnFailedStep: 'south.credit',
    });
    const details = await tale.details();
    expect(details).toContain('**Branch south.credit waits for a person.**');
    expect(details).toContain('| south.credit | commit | HELD: It was rolled back. |');
    expect(details).toContain(`--workflow-id ${tale.id}`);
    expect(details).toContain(`temporal-txn resolve ${tale.id}`);
    expect(details).toContain('skipStep');
    await tale.handle.resolve({ step: 'south.credit', ...kim });
    await tale.report();
  });

  it('is settled with retryStep once it is mended', async () => {
    const tale = await heldBy('rolled-back');
    await tale.handle.retryStep({ step: 'south.credit', ...kim });
    await tale.untilAsked('commit south.credit', 2);
    await tale.until('held');
    participants.set(tale.id, 'south.credit', 'committed');
    await tale.handle.retryStep({ step: 'south.credit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await isAttended(tale)).toBe(false);
  });

  it('is settled with resolve: a person has made it what the decision says', async () => {
    const tale = await heldBy('rolled-back');
    await tale.handle.resolve({ step: 'south.credit', ...kim });
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'committed', decision: 'commit' });
    expect(report.branches[1]?.finish).toEqual({ kind: 'resolved', ...kim });
  });

  it('can be left as it is: the outcome is mixed, with the evidence', async () => {
    const tale = await heldBy('rolled-back', 'south.credit', 'commits');
    await tale.handle.skipStep({ step: 'south.credit', ...kim });
    const error: unknown = await tale.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionMixed);
    expect(error).toMatchObject({
      report: {
        outcome: 'mixed',
        decision: 'commit',
        branches: [
          { finish: { kind: 'done' } },
          { finish: { kind: 'skipped', ...kim, evidence: 'It was rolled back.' } },
          { finish: { kind: 'done' } },
        ],
      },
    });
    expect(await tale.attributes()).toMatchObject({ TxnStatus: 'mixed', TxnNeedsAttention: false });
  });

  it('cannot be resolved as not done', async () => {
    const tale = await heldBy('rolled-back');
    await expect(tale.handle.resolve({ step: 'south.credit', ...kim, as: 'not-done' })).rejects.toThrow(RulingRefused);
    await expect(tale.handle.retryStep({ step: 'audit.record', ...kim })).rejects.toThrow(
      /is not held\. Held now: south\.credit/,
    );
    await tale.handle.resolve({ step: 'south.credit', ...kim });
    await tale.report();
  });
});

describe('a branch that was committed by hand although the decision is abort', () => {
  it('is held, and mixed when it is left', async () => {
    const slow = gate();
    const deciding = gate();
    const tale = await fixture.begin({
      answers: { 'prepare audit.record': slow.line, 'decide north.debit': deciding.line },
    });
    await slow.entered;
    await tale.handle.cancel();
    await deciding.entered;
    participants.set(tale.id, 'south.credit', 'committed');
    deciding.release();
    await tale.until('held');
    slow.release();
    await tale.handle.skipStep({ step: 'south.credit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'mixed', decision: 'abort', cause: { kind: 'cancelled' } });
  });
});

describe('a branch that was committed by hand although the decision is abort, because another one met contention', () => {
  const contended = async (): Promise<Begun> => {
    const deciding = gate();
    const tale = await fixture.begin({
      answers: { 'prepare south.credit': refuses('contention', 'Locked.'), 'decide north.debit': deciding.line },
    });
    await deciding.entered;
    participants.set(tale.id, 'north.debit', 'committed');
    deciding.release();
    await tale.until('held');
    return tale;
  };

  it('is not done a second time when it is left: the outcome is mixed', async () => {
    const tale = await contended();
    await tale.handle.skipStep({ step: 'north.debit', ...kim });
    expect(await tale.report()).toMatchObject({
      outcome: 'mixed',
      decision: 'abort',
      attempts: 1,
      cause: { kind: 'contention' },
      branches: [{ finish: { kind: 'skipped', ...kim } }, { finish: { kind: 'done' } }, { finish: { kind: 'done' } }],
    });
    expect(participants.asked(`${tale.id}+2`)).toEqual([]);
    expect(await tale.handle.decision()).toMatchObject({ transaction: tale.id, decision: 'abort' });
  });

  it('is tried again with the others once a person has undone it', async () => {
    const tale = await contended();
    await tale.handle.resolve({ step: 'north.debit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', attempts: 2 });
    expect(await tale.handle.decision()).toMatchObject({ transaction: tale.id, decision: 'commit' });
  });
});

describe('a prepared transaction that is lost', () => {
  it('is held, never called a success', async () => {
    const tale = await heldBy('none');
    expect((await tale.now()).branches[1]?.finish).toEqual({ kind: 'held', cause: 'Nobody knows it.' });
    await tale.handle.skipStep({ step: 'south.credit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'mixed' });
  });

  it('is held at the primary too, where the decision itself succeeded', async () => {
    const tale = await heldBy('none', 'north.debit');
    const report = await tale.now();
    expect(report).toMatchObject({ decision: 'commit' });
    expect(report.branches[0]?.finish).toEqual({ kind: 'held', cause: 'Nobody knows it.' });
    await expect.poll(() => tale.states()).toEqual({ 'south.credit': 'committed', 'audit.record': 'committed' });
    await tale.handle.resolve({ step: 'north.debit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a branch that is held in a further attempt', () => {
  it('is ruled on under the id of its transaction, and under that of its attempt, which the databases have', async () => {
    const id = fixture.nextId;
    const attempt = `${id}+2`;
    participants.say(attempt, 'commit south.credit', { kind: 'lost', evidence: 'Nobody knows it.' });
    const tale = await fixture.begin({ answers: { 'prepare south.credit': refuses('contention') } });
    await tale.until('held');
    const ruling = { step: 'south.credit', ...kim };
    await expect(tale.handle.retryStep({ ...ruling, transaction: `${id}+3` })).rejects.toThrow(/is not held/);
    await tale.handle.retryStep({ ...ruling, transaction: id });
    const count = (): number => participants.asked(attempt).filter((line) => line === 'commit south.credit').length;
    await expect.poll(count).toBe(2);
    await tale.until('held');
    await tale.handle.resolve({ ...ruling, transaction: attempt });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', attempts: 2 });
  });
});

describe('a branch of somebody else under the same key', () => {
  it('is nothing of ours, and that is what an abort is', async () => {
    const tale = await fixture.begin({
      answers: {
        'prepare south.credit': { vote: 'abort', reason: { code: 'input-mismatch', message: 'It stands.' } },
        'abort south.credit': { kind: 'foreign', evidence: 'Another input.' },
      },
    });
    expect(await tale.report()).toMatchObject({ outcome: 'aborted' });
  });

  it('is held where we had to commit ours', async () => {
    const tale = await fixture.begin({
      answers: { 'commit south.credit': { kind: 'foreign', evidence: 'Another input.' } },
    });
    expect((await tale.until('held')).branches[1]?.finish).toEqual({ kind: 'held', cause: 'Another input.' });
    await tale.handle.skipStep({ step: 'south.credit', ...kim });
    expect((await tale.report()).outcome).toBe('mixed');
  });
});

describe('a heuristic that agrees with the decision', () => {
  it('is as good as done', async () => {
    const tale = await fixture.begin({
      answers: { 'commit south.credit': { kind: 'heuristic', took: 'commit', evidence: 'By hand.' } },
    });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a decision that cannot be had', () => {
  it('is nobody’s to skip or to resolve; retryStep asks at once', async () => {
    const tale = await fixture.begin({
      answers: { 'decide north.debit': down },
      options: { timeouts: { commit: '1 second' } },
    });
    await tale.until('overdue');
    await expect(tale.handle.skipStep({ step: 'north.debit', ...kim })).rejects.toThrow(/nobody can take its place/);
    await expect(tale.handle.resolve({ step: 'north.debit', ...kim })).rejects.toThrow(/nobody can take its place/);
    // An attempt that comes by itself meanwhile waits for the ruling.
    const ruled = gate();
    tale.say('decide north.debit', ruled.line);
    await tale.handle.retryStep({ step: 'north.debit', ...kim });
    ruled.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a decision that fails for good', () => {
  it('waits for a person, who is told of no other way than to have it asked again', async () => {
    const tale = await fixture.begin({ answers: { 'decide north.debit': broken } });
    await tale.until('held');
    const details = await tale.details();
    expect(details).toContain('**Branch north.debit waits for a person.**');
    expect(details).toContain('retryStep');
    expect(details).not.toContain('skipStep');
    tale.say('decide north.debit', async (usual) => usual());
    await tale.handle.retryStep({ step: 'north.debit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a primary that has decided and cannot follow yet', () => {
  it('keeps nobody waiting, and is ruled on like the others', async () => {
    const tale = await fixture.begin({
      answers: {
        'decide north.debit': async (usual) => {
          const { decision, by } = (await usual()) as { decision: string; by: string };
          participants.set(tale.id, 'north.debit', 'prepared');
          return { decision, by };
        },
        'commit north.debit': down,
      },
      options: { timeouts: { commit: '1 second' } },
    });
    const report = await tale.until('overdue');
    expect(report.branches[0]?.finish).toEqual({ kind: 'overdue', cause: 'The database does not answer.' });
    await expect.poll(() => tale.states()).toMatchObject({ 'south.credit': 'committed', 'audit.record': 'committed' });
    await tale.handle.resolve({ step: 'north.debit', ...kim });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a branch that is overdue', () => {
  const late = async (): Promise<Begun> => {
    const tale = await fixture.begin({
      answers: { 'commit south.credit': down },
      options: { timeouts: { commit: '1 second' } },
    });
    await tale.until('overdue');
    return tale;
  };

  it('cannot be skipped: it is prepared, and follows when it can', async () => {
    const tale = await late();
    expect(await tale.details()).not.toContain('skipStep');
    await expect(tale.handle.skipStep({ step: 'south.credit', ...kim })).rejects.toThrow(/this branch is only late/);
    // An attempt that comes by itself meanwhile waits for the ruling.
    const ruled = gate();
    tale.say('commit south.credit', ruled.line);
    await tale.handle.retryStep({ step: 'south.credit', ...kim });
    ruled.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });

  it('can be resolved by who has seen that it did as decided', async () => {
    const tale = await late();
    await tale.handle.resolve({ step: 'south.credit', ...kim });
    const report = await tale.report();
    expect(report.outcome).toBe('committed');
    expect(report.branches[1]?.finish).toEqual({ kind: 'resolved', ...kim });
  });
});
