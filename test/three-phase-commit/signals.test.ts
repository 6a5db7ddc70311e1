/**
 * What comes to coordinator and participants that nobody of the transaction sent: malformed, for another transaction, with a
 * secret that is none. It changes nothing. And a coordinator that comes back, with secrets of its own.
 */
import { describe, expect, it } from 'vitest';
import { gate } from '../two-phase-commit/fixture';
import { refuses } from '../two-phase-commit/participants';
import { all, nameOf, SECRET, THREE, threePhaseFixture, TWO } from './fixture';
import type { Tale } from './fixture';

const fixture = threePhaseFixture();
const { participants } = fixture;

const MALFORMED: readonly unknown[] = [
  null,
  7,
  'commit',
  [],
  {},
  { token: 7 },
  { token: null, secret: null },
  { secret: '' },
];

const send = async (tale: Tale, branch: string | undefined, name: string, ...messages: readonly unknown[]) => {
  for (const message of messages) await tale.workflow(branch).signal(name, message);
};

/** What the coordinator gave the participants to know each other by. */
async function secretOf(tale: Tale, branch: string): Promise<string> {
  const [started] = await tale.history(branch);
  const { data } = started?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0] ?? {};
  return (JSON.parse(Buffer.from(data ?? []).toString()) as { secret: string }).secret;
}

describe('a coordinator of three-phase commit', () => {
  it('counts no vote, and no acknowledgement, that is malformed or has another secret', async () => {
    const slow = { south: gate(), audit: gate(), commit: gate() };
    const tale = await fixture.begin({
      answers: {
        'prepare south.credit': slow.south.line,
        'preCommit audit.record': slow.audit.line,
        'commit audit.record': slow.commit.line,
      },
    });
    await slow.south.entered;
    const { id: transaction } = tale;
    const vote = { transaction, branch: 'south.credit', token: 'forged', vote: 'commit' };
    await send(tale, undefined, 'vote', ...MALFORMED, vote, { ...vote, vote: 'abort' }, { ...vote, branch: 'nobody' });
    expect(await tale.now()).toMatchObject({ outcome: 'preparing', branches: [{}, { vote: 'none' }, {}] });
    slow.south.release();
    await slow.audit.entered;
    const ack = { transaction, branch: 'audit.record', token: 'forged', state: 'pre-committed' };
    const other = { ...ack, token: tale.token('audit.record'), transaction: 'another' };
    await send(tale, undefined, 'ack', ...MALFORMED, ack, other);
    expect(await tale.now()).toMatchObject({ outcome: 'pre-committing' });
    expect(tale.decided).toBeUndefined();
    slow.audit.release();
    await slow.commit.entered;
    await send(tale, undefined, 'ack', ...MALFORMED, { ...ack, state: 'committed' }, { ...other, state: 'committed' });
    expect(await tale.handle.status()).toBe('RUNNING');
    slow.commit.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
  });

  it('takes a pre-commit for no acknowledgement of the decision', async () => {
    const slow = gate();
    const tale = await fixture.begin({ branches: TWO, answers: { 'commit south.credit': slow.line } });
    await slow.entered;
    const { id: transaction } = tale;
    const token = tale.token('south.credit');
    await send(tale, undefined, 'ack', { transaction, branch: 'south.credit', token, state: 'pre-committed' });
    expect(await tale.handle.status()).toBe('RUNNING');
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
  });
});

describe('a participant of three-phase commit', () => {
  it('is not moved by messages that are malformed or have another secret', async () => {
    const slow = gate();
    const tale = await fixture.begin({ answers: { 'prepare audit.record': slow.line } });
    await slow.entered;
    await tale.untilState('south.credit', 'uncertain');
    const from = `${tale.id}#north.debit`;
    const forged = { token: 'forged', secret: 'forged', from, state: 'committed', spread: true };
    const alien = { ...forged, coordinator: 'another-workflow' };
    const { token: north } = participants.request(tale.id, 'north.debit');
    for (const signal of ['preCommit', 'doCommit', 'doAbort', 'inquire', 'stand', 'canCommit'])
      await send(tale, 'south.credit', signal, ...MALFORMED, forged, alien, { token: north });
    const secret = await secretOf(tale, 'south.credit');
    // Somebody who is no participant of this transaction learns nothing, though he has the secret; and states are known ones.
    await send(tale, 'south.credit', 'inquire', { secret, from: 'a-stranger' }, { secret });
    await send(tale, 'south.credit', 'stand', { secret, from, state: 'done' }, { secret, state: 'committed' });
    expect(await tale.stateOf('south.credit')).toBe('uncertain');
    expect(await tale.sent('south.credit')).toEqual(['vote']);
    expect(tale.asked().filter((line) => line.endsWith('south.credit'))).toEqual(['prepare south.credit']);
    tale.say('prepare audit.record', refuses());
    slow.release();
    await tale.report();
    // It has obeyed its coordinator all the same.
    expect(new Set(Object.values(await tale.endings())).size).toBe(1);
    expect(tale.decided).toBe('commit');
  });

  it('believes another that knows the secret, and no answer without it', async () => {
    // South must be away before north asks it; and only who is lied to waits for an answer that does not come.
    const uncertainMs = 6_000;
    const [lied, told] = await Promise.all([
      fixture.orphaned({ branches: TWO, patience: { uncertainMs, peersMs: 5_000 } }),
      fixture.orphaned({ branches: TWO, patience: { uncertainMs, peersMs: 60_000 } }),
    ]);
    await fixture.away('south');
    for (const [tale, secret] of [
      [lied, 'forged'],
      [told, SECRET],
    ] as const) {
      await expect.poll(() => tale.sent('north.debit'), { timeout: 45_000 }).toContain('inquire');
      const from = `${tale.id}#south.credit`;
      await send(tale, 'north.debit', 'stand', { secret, from, state: 'pre-committed' });
    }
    await expect.poll(() => [lied.decided, told.decided], { timeout: 45_000 }).toEqual(['abort', 'commit']);
    await fixture.back('south');
    expect(await lied.endings()).toEqual(all(TWO, 'abort'));
    expect(await told.endings()).toEqual(all(TWO, 'commit'));
  });
});

describe('a coordinator that is started again', () => {
  const again = async (tale: Tale): Promise<void> => {
    await fixture.client.workflow.start('settles', {
      workflowId: tale.id,
      taskQueue: 'transactions',
      args: [{ branches: tale.branches }],
    });
  };

  it('asks the participants that are there for their votes, and commits', async () => {
    const tale = await fixture.abandoned(THREE);
    await again(tale);
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await tale.endings()).toEqual(all(THREE, 'commit'));
    expect(await tale.sent()).toEqual(expect.arrayContaining(['canCommit', 'preCommit', 'doCommit']));
    expect(tale.asked().filter((line) => line.startsWith('prepare'))).toHaveLength(3);
  });

  it('asks one that has not voted yet, and hears its vote when that is there', async () => {
    const slow = gate();
    const tale = await fixture.begin({ branches: TWO, answers: { 'prepare south.credit': slow.line } });
    await slow.entered;
    await tale.terminate();
    await again(tale);
    await expect.poll(() => tale.sent(), { timeout: 45_000 }).toEqual(['canCommit', 'canCommit']);
    slow.release();
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await tale.endings()).toEqual(all(TWO, 'commit'));
  });

  it('when the participants have ended, says what they did', async () => {
    const tale = await fixture.begin({ branches: TWO });
    await tale.report();
    await tale.endings();
    await again(tale);
    expect(await fixture.client.workflow.getHandle(tale.id).result()).toMatchObject({
      outcome: 'committed',
      results: TWO.map(nameOf),
    });
    expect(tale.asked().filter((line) => line.startsWith('prepare'))).toHaveLength(2);
  });

  it('after a pre-commit goes on from there', async () => {
    const tale = await fixture.abandoned(TWO);
    await tale.preCommit('south.credit');
    await again(tale);
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(await tale.endings()).toEqual(all(TWO, 'commit'));
    expect(tale.asked().filter((line) => line === 'preCommit south.credit')).toHaveLength(1);
  });
});

it('Nothing happened that may not happen', () => expect(participants.breaches).toEqual([]));
