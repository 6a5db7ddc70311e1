/** Branches that are not ours: a service of another kind, a person. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { TransactionNotFound } from '../../src/client';
import { THREE, twoPhaseFixture } from './fixture';
import type { Begun } from './fixture';
import { refuses } from './participants';
import type { Told } from './participants';
import type { Planned } from './workflows';

const fixture = twoPhaseFixture();
const { participants } = fixture;

const withPartner = (partner: Partial<Extract<Planned, { finish: unknown }>>): readonly Planned[] => [
  ...THREE,
  { id: 'partner', prepare: 'asked', finish: 'none', ...partner },
];

async function request(tale: Begun, branch = 'partner'): Promise<Told> {
  await expect.poll(() => participants.hasBeenTold(tale.id, branch)).toBe(true);
  return participants.told(tale.id, branch);
}

const vote = (to: Told, word: 'commit' | 'abort' | 'read-only'): Promise<void> =>
  fixture.environment.transactions.vote(to, word);

describe('a branch that is not ours', () => {
  it('is asked before any database, and votes by signal', async () => {
    const tale = await fixture.begin({ branches: withPartner({}) });
    const asked = await request(tale);
    expect(asked).toEqual({ workflow: tale.id, transaction: tale.id, branch: 'partner', token: expect.any(String) });
    await fixture.environment.sleep('20 seconds');
    expect(tale.asked()).toEqual(['ask partner']);
    await vote(asked, 'commit');
    const report = await tale.report();
    expect(report).toMatchObject({
      outcome: 'committed',
      results: ['north.debit', 'south.credit', 'audit.record', null],
    });
    expect(report.branches[3]).toMatchObject({ branch: 'partner', vote: 'commit', finish: { kind: 'not-needed' } });
    expect(participants.proposals.get(tale.id)?.[0]?.branches.at(-1)).toEqual({ branch: 'partner', vote: 'commit' });
  });

  it('shows its vote while another one is waited for', async () => {
    const branches = [...withPartner({}), { id: 'boss', prepare: 'asked', finish: 'none' } as const];
    const tale = await fixture.begin({ branches });
    await vote(await request(tale), 'commit');
    await expect
      .poll(async () => (await tale.now()).branches.map(({ vote: cast }) => cast))
      .toEqual(['none', 'none', 'none', 'commit', 'none']);
    expect(await tale.details()).toContain('| partner | commit | – |');
    await vote(await request(tale, 'boss'), 'abort');
    const report = await tale.report();
    expect(report).toMatchObject({ outcome: 'aborted', cause: { branch: 'boss' } });
    // No database was asked to prepare.
    expect(tale.asked().filter((line) => line.startsWith('prepare'))).toEqual([]);
  });

  it('is waited for from the beginning, when it is told how long that took, though the transaction was resumed', async () => {
    const before = fixture.counted('txn_transaction_duration_seconds');
    const input = { branches: withPartner({ voteTimeout: '1 hour' }) };
    const tale = await fixture.begin({ input });
    await request(tale);
    // Nothing happens any more until the hour is over.
    await expect
      .poll(async () => {
        const history = await tale.history();
        const isAsked = history.some((event) => event.activityTaskCompletedEventAttributes);
        return isAsked && Boolean(history.at(-1)?.workflowTaskCompletedEventAttributes);
      })
      .toBe(true);
    await tale.workflow.terminate();
    await fixture.environment.sleep('1 hour');
    const resumed = await fixture.environment.transactions.resume('settles', { id: tale.id, input });
    expect(await resumed.result()).toMatchObject({ outcome: 'aborted' });
    const seconds = fixture.counted('txn_transaction_duration_seconds') - before;
    expect(seconds).toBeGreaterThanOrEqual(2 * 3_600);
    expect(seconds).toBeLessThan(3 * 3_600);
  });

  it('has approved once and for all, however often the databases meet contention', async () => {
    const contended = refuses('contention', 'A lock was held for too long.');
    const tale = await fixture.begin({
      branches: withPartner({}),
      answers: { 'prepare south.credit': [contended] },
      options: { attempts: 3 },
    });
    await vote(await request(tale), 'commit');
    const report = await tale.report();
    expect(report.attempts).toBeGreaterThan(1);
    expect(tale.asked().filter((line) => line === 'ask partner')).toHaveLength(1);
    expect(report).not.toMatchObject({ cause: { kind: 'timed-out' } });
  });

  it('that objected need not acknowledge the abort', async () => {
    const tale = await fixture.begin({ branches: withPartner({ finish: 'ack' }) });
    await vote(await request(tale), 'abort');
    expect(await tale.report()).toMatchObject({ outcome: 'aborted' });
  });

  it('has its own time to vote', async () => {
    const patient = { id: 'boss', prepare: 'asked', finish: 'none', voteTimeout: '7 days' } as const;
    const tale = await fixture.begin({ branches: [...withPartner({ voteTimeout: '1 minute' }), patient] });
    await request(tale);
    expect(await tale.report()).toMatchObject({
      cause: { kind: 'timed-out', message: 'No vote came within 60 s from partner.' },
    });
  });

  it('aborts with its reason', async () => {
    const tale = await fixture.begin({ branches: withPartner({}) });
    const reason = { code: 'declined', message: 'The limit is used up.' };
    await fixture.environment.transactions.vote(await request(tale), 'abort', reason);
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'refused', branch: 'partner', reason },
    });
  });

  it('that cannot be asked counts as an abort', async () => {
    const tale = await fixture.begin({ branches: withPartner({ prepare: 'fails' }) });
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'failed', branch: 'partner', message: 'The partner is on holiday.' },
    });
    const asked = await fixture.begin({
      branches: withPartner({}),
      answers: { 'ask partner': ApplicationFailure.nonRetryable('No such address.') },
    });
    expect(await asked.report()).toMatchObject({
      outcome: 'aborted',
      cause: { branch: 'partner', message: 'No such address.' },
    });
  });

  it('that has voted before the asking failed has voted', async () => {
    const tale = await fixture.begin({
      branches: withPartner({}),
      answers: {
        'ask partner': async (_, { transaction }) => {
          await vote(participants.told(transaction, 'partner'), 'commit');
          throw ApplicationFailure.nonRetryable('The line was cut.');
        },
      },
    });
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });

  it('has as many days as it is given', async () => {
    const tale = await fixture.begin({ branches: withPartner({ voteTimeout: '7 days' }) });
    const asked = await request(tale);
    await fixture.environment.sleep('6 days');
    expect((await tale.now()).outcome).toBe('preparing');
    await vote(asked, 'commit');
    expect((await tale.report()).outcome).toBe('committed');
    const late = await fixture.begin({ branches: withPartner({ voteTimeout: '7 days' }) });
    expect(await late.report()).toMatchObject({
      outcome: 'aborted',
      cause: { kind: 'timed-out', message: 'No vote came within 604800 s from partner.' },
    });
    await expect(vote(await request(late), 'commit')).rejects.toThrow(TransactionNotFound);
  });

  it('that votes read-only does not hear of the decision', async () => {
    const tale = await fixture.begin({ branches: withPartner({ finish: 'told' }) });
    await vote(await request(tale), 'read-only');
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(tale.asked()).not.toContain('tell partner');
  });
});

describe('a branch that is not ours and has to follow', () => {
  it('is told until it has heard', async () => {
    let tries = 0;
    const tale = await fixture.begin({
      branches: withPartner({ finish: 'told' }),
      answers: {
        'tell partner': async () => {
          if (++tries < 4) throw ApplicationFailure.retryable('Engaged.');
        },
      },
    });
    await vote(await request(tale), 'commit');
    const report = await tale.report();
    expect(report.outcome).toBe('committed');
    expect(report.branches[3]?.finish).toEqual({ kind: 'done' });
    expect(participants.told(tale.id, 'partner').decision).toBe('commit');
    expect(tries).toBe(4);
  });

  it('is told of an abort too', async () => {
    const tale = await fixture.begin({
      branches: withPartner({ finish: 'told' }),
      answers: { 'prepare south.credit': refuses() },
    });
    await vote(await request(tale), 'commit');
    await tale.report();
    expect(participants.told(tale.id, 'partner').decision).toBe('abort');
  });

  it('may acknowledge by signal, is overdue until it does, and only its own token counts', async () => {
    const tale = await fixture.begin({
      branches: withPartner({ finish: 'ack' }),
      options: { timeouts: { commit: '10 seconds' } },
    });
    const asked = await request(tale);
    await vote(asked, 'commit');
    await tale.until('committing');
    await fixture.environment.transactions.acknowledge({ ...asked, token: 'forged' });
    await fixture.environment.sleep('11 seconds');
    const report = await tale.until('overdue');
    expect(report.branches[3]?.finish).toEqual({ kind: 'overdue', cause: 'It has not acknowledged the decision.' });
    await fixture.environment.transactions.acknowledge(asked);
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });

  it('may acknowledge before it is waited for', async () => {
    const tale = await fixture.begin({ branches: withPartner({ finish: 'ack' }) });
    const asked = await request(tale);
    await fixture.environment.transactions.acknowledge(asked);
    await vote(asked, 'commit');
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});
