/** Whatever anybody sends: the transaction ends as its branches voted, and what was no vote is counted. */
import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { gate, twoPhaseFixture } from './fixture';
import type { Begun } from './fixture';
import { callLine, refuses } from './participants';

const fixture = twoPhaseFixture();
const { participants } = fixture;

const rejected = (reason?: string): number =>
  fixture.counted('txn_votes_rejected_total', reason === undefined ? {} : { reason });

/** A transaction that waits for the vote of one branch. */
async function waiting() {
  const slow = gate();
  const tale = await fixture.begin({ answers: { 'prepare south.credit': slow.line } });
  await slow.entered;
  await expect
    .poll(async () => (await tale.now()).branches.map(({ vote }) => vote))
    .toEqual(['commit', 'none', 'commit']);
  return { tale, slow };
}

async function hasReceived(tale: Begun, signals: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const history = await tale.history();
        const last = history.findLastIndex((event) => event.workflowExecutionSignaledEventAttributes);
        const count = history.filter((event) => event.workflowExecutionSignaledEventAttributes).length;
        return count >= signals && history.slice(last).some((event) => event.workflowTaskCompletedEventAttributes);
      },
      { timeout: 20_000 },
    )
    .toBe(true);
}

/** Sends bytes that no converter knows. */
async function sendRaw(tale: Begun, signalName: string, encoding: string, data = 'x'): Promise<void> {
  const { client } = fixture.environment.temporal;
  await client.connection.workflowService.signalWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: tale.id },
    signalName,
    identity: 'mallory',
    input: { payloads: [{ metadata: { encoding: Buffer.from(encoding) }, data: Buffer.from(data) }] },
  });
}

describe('a vote by signal', () => {
  it('to commit is a hint: only the answer of the participant itself commits', async () => {
    const { tale, slow } = await waiting();
    await tale.vote('south.credit', 'commit');
    await expect.poll(async () => (await tale.now()).branches[1]?.vote).toBe('commit');
    expect((await tale.now()).outcome).toBe('preparing');
    expect(tale.askedToFinish()).toEqual([]);
    slow.release();
    expect((await tale.report()).outcome).toBe('committed');
  });

  it('to commit does not stand against what the participant itself answers', async () => {
    const slow = gate();
    const tale = await fixture.begin({
      answers: {
        'prepare south.credit': async (usual, request) => {
          await callLine(slow.line, async () => undefined, request);
          return refuses();
        },
      },
      options: { votes: 'answer' },
    });
    await slow.entered;
    await tale.vote('south.credit', 'commit');
    await expect.poll(async () => (await tale.now()).branches[1]?.vote).toBe('commit');
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { branch: 'south.credit' } });
  });

  it('to abort acts at once, and is final', async () => {
    const { tale, slow } = await waiting();
    const deciding = gate();
    tale.say('decide north.debit', deciding.line);
    const reason = { code: 'limit', message: 'The limit is used up.' };
    await tale.vote('south.credit', 'abort', { reason });
    await deciding.entered;
    await tale.vote('south.credit', 'commit');
    deciding.release();
    await tale.untilAsked('abort south.credit');
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'aborted', cause: { branch: 'south.credit', reason } });
  });

  it('counts once, however often it comes', async () => {
    const { tale, slow } = await waiting();
    const before = rejected();
    for (let i = 0; i < 5; i++) await tale.vote('north.debit', 'commit');
    await hasReceived(tale, 7);
    // Three votes of five branches: a count would have committed without the second bank.
    expect((await tale.now()).outcome).toBe('preparing');
    slow.release();
    expect((await tale.report()).outcome).toBe('committed');
    expect(rejected()).toBe(before);
  });

  const others: readonly [string, string, (tale: Begun) => Promise<void>][] = [
    ['contradicts an earlier one', 'contradictory', (tale) => tale.vote('north.debit', 'abort')],
    ['has no token', 'wrong-token', (tale) => tale.vote('south.credit', 'abort', { token: undefined })],
    ['is forged', 'wrong-token', (tale) => tale.vote('south.credit', 'abort', { token: 'let-me-in' })],
    [
      'has the token of another branch',
      'wrong-token',
      (tale) => tale.vote('south.credit', 'abort', { token: participants.request(tale.id, 'north.debit').token }),
    ],
    [
      'is for a branch that there is not',
      'unknown-branch',
      (tale) => tale.vote('south.credit', 'abort', { branch: 'west.credit' }),
    ],
    [
      'is for another transaction',
      'unknown-transaction',
      (tale) => tale.vote('south.credit', 'abort', { transaction: 'tale-0' }),
    ],
    [
      'is for a later attempt',
      'unknown-transaction',
      (tale) => tale.vote('south.credit', 'abort', { transaction: `${tale.id}+2` }),
    ],
    ['is no known vote', 'malformed', (tale) => tale.vote('south.credit', 'perhaps')],
    ['is a number', 'malformed', (tale) => tale.workflow.signal('vote', 7)],
    ['is null', 'malformed', (tale) => tale.workflow.signal('vote', null)],
    ['is nothing', 'malformed', (tale) => tale.workflow.signal('vote')],
    ['is a list', 'unknown-transaction', (tale) => tale.workflow.signal('vote', [['vote', 'abort']])],
    ['is an empty object', 'unknown-transaction', (tale) => tale.workflow.signal('vote', {})],
    [
      'has objects for ids',
      'unknown-transaction',
      (tale) => tale.vote('south.credit', 'abort', { transaction: { length: 3 } }),
    ],
    [
      'aims at the prototype',
      'unknown-transaction',
      (tale) => tale.vote('south.credit', 'abort', { transaction: '__proto__' }),
    ],
    ['cannot be decoded', 'malformed', (tale) => sendRaw(tale, 'vote', 'binary/of-tomorrow')],
    ['is broken JSON', 'malformed', (tale) => sendRaw(tale, 'vote', 'json/plain', '{"transaction": ')],
  ];

  it.each(others)('that %s is dropped and counted as %s', async (_, reason, send) => {
    const { tale, slow } = await waiting();
    const before = rejected(reason);
    await send(tale);
    await hasReceived(tale, 3);
    expect(await tale.now()).toMatchObject({
      outcome: 'preparing',
      branches: [{ vote: 'commit' }, { vote: 'none' }, { vote: 'commit' }],
    });
    slow.release();
    expect((await tale.report()).outcome).toBe('committed');
    expect(await tale.taskFailure()).toBeUndefined();
    expect(rejected(reason)).toBe(before + 1);
  });

  it('with a reason that is none is counted without it', async () => {
    for (const reason of [7, 'no', null, { code: 1, message: 2 }, ['a']]) {
      const { tale, slow } = await waiting();
      await tale.vote('south.credit', 'abort', { reason });
      await tale.untilAsked('abort south.credit');
      slow.release();
      expect(await tale.report()).toMatchObject({
        outcome: 'aborted',
        cause: {
          branch: 'south.credit',
          reason: { code: 'failed', message: 'south.credit voted abort and gave no reason.' },
        },
      });
    }
  });

  it('with details of a megabyte loses them', async () => {
    const { tale, slow } = await waiting();
    const details = { text: 'd'.repeat(1_000_000) };
    await tale.vote('south.credit', 'abort', { reason: { code: 'x', message: 'm', details } });
    await tale.untilAsked('abort south.credit');
    slow.release();
    expect((await tale.report()).branches[1]?.reason).toEqual({ code: 'x', message: 'm' });
  });

  it('to read only, by signal, does not spare a participant of ours the second phase', async () => {
    const { tale, slow } = await waiting();
    await tale.vote('south.credit', 'read-only');
    tale.say('prepare audit.record', refuses());
    slow.release();
    await tale.report();
    expect(tale.states()['south.credit']).not.toBe('prepared');
  });

  it('with a reason of a megabyte keeps its beginning', async () => {
    const { tale, slow } = await waiting();
    await tale.vote('south.credit', 'abort', { reason: { code: 'x', message: 'm'.repeat(1_000_000) } });
    await tale.untilAsked('abort south.credit');
    slow.release();
    expect((await tale.report()).branches[1]?.reason?.message).toHaveLength(500);
  });

  it('that comes after the end of the vote is dropped', async () => {
    const deciding = gate();
    const slow = gate();
    const tale = await fixture.begin({
      answers: {
        'prepare south.credit': slow.line,
        'prepare audit.record': refuses(),
        'decide north.debit': deciding.line,
      },
    });
    await deciding.entered;
    const before = rejected('closed');
    await tale.vote('south.credit', 'commit');
    // The vote of the primary may have come too late as well.
    await expect.poll(() => rejected('closed')).toBeGreaterThan(before);
    deciding.release();
    await tale.untilAsked('abort south.credit');
    expect(tale.decided).toBe('abort');
    slow.release();
    expect((await tale.report()).branches[1]?.vote).toBe('none');
  });

  it('does not change by an answer that comes after the end of the vote', async () => {
    const deciding = gate();
    const { tale, slow } = await waiting();
    tale.say('decide north.debit', deciding.line);
    await tale.vote('south.credit', 'abort', { reason: { code: 'limit', message: 'Used up.' } });
    await deciding.entered;
    slow.release();
    const answers = async (): Promise<number> =>
      (await tale.history()).filter((event) => event.activityTaskCompletedEventAttributes).length;
    await expect.poll(answers).toBe(3);
    await expect.poll(async () => (await tale.now()).branches[1]?.vote).toBe('abort');
    deciding.release();
    expect(await tale.report()).toMatchObject({
      outcome: 'aborted',
      cause: { branch: 'south.credit', message: 'Used up.' },
      branches: [{ vote: 'commit' }, { vote: 'abort' }, { vote: 'commit' }],
    });
  });

  it('of an attempt that is over does not count in the next one', async () => {
    const slow = gate();
    const second = `${fixture.nextId}+2`;
    participants.say(second, 'prepare north.debit', slow.line);
    const tale = await fixture.begin({ answers: { 'prepare south.credit': refuses('contention', 'Locked.') } });
    await slow.entered;
    const before = rejected();
    await tale.vote('north.debit', 'abort');
    const { token } = participants.request(tale.id, 'north.debit');
    await tale.workflow.signal('vote', { transaction: second, branch: 'north.debit', token, vote: 'abort' });
    await expect.poll(() => rejected()).toBe(before + 2);
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed', attempts: 2 });
  });
});

describe('an acknowledgement', () => {
  it.each<[string, (tale: Begun) => Promise<void>]>([
    ['a number', (tale) => tale.workflow.signal('ack', 7)],
    ['for another transaction', (tale) => tale.workflow.signal('ack', { transaction: 'tale-0' })],
    ['of an unknown branch', (tale) => tale.workflow.signal('ack', { transaction: tale.id, branch: 'west' })],
    [
      'with a wrong token',
      (tale) => tale.workflow.signal('ack', { transaction: tale.id, branch: 'north.debit', token: 'x' }),
    ],
    ['that cannot be decoded', (tale) => sendRaw(tale, 'ack', 'binary/of-tomorrow')],
  ])('that is %s is dropped and counted', async (_, send) => {
    const { tale, slow } = await waiting();
    const before = rejected();
    await send(tale);
    await hasReceived(tale, 3);
    slow.release();
    expect((await tale.report()).outcome).toBe('committed');
    expect(rejected()).toBe(before + 1);
  });
});

describe('a flood', () => {
  it('of 1,000 signals of garbage changes nothing and is counted', async () => {
    const { tale, slow } = await waiting();
    const before = rejected();
    const garbage = [
      7,
      'vote',
      null,
      {},
      { transaction: tale.id },
      { transaction: tale.id, branch: 'south.credit', vote: 'abort' },
    ];
    const numbers = Array.from({ length: 1_000 }, (_, i) => i);
    await Promise.all(
      numbers.map((i) =>
        i % 10 === 0
          ? sendRaw(tale, i % 20 === 0 ? 'vote' : 'ack', 'binary/of-tomorrow')
          : tale.workflow.signal(i % 3 === 0 ? 'ack' : 'vote', garbage[i % garbage.length]),
      ),
    );
    await hasReceived(tale, 1_002);
    slow.release();
    expect((await tale.report()).outcome).toBe('committed');
    expect(await tale.taskFailure()).toBeUndefined();
    expect(rejected()).toBe(before + 1_000);
  }, 60_000);
});
