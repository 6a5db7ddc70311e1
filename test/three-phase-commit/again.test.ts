/** An id that comes again for something else, participants that are reset, and what the coordinator makes of one that did otherwise. */
import { ApplicationFailure } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { gate } from '../two-phase-commit/fixture';
import { all, IMPATIENT, threePhaseFixture, TWO, until } from './fixture';
import type { Tale } from './fixture';

const fixture = threePhaseFixture();
const { participants } = fixture;

/** Time enough for the test, and not for a person. */
const PATIENT = { ...IMPATIENT, timeouts: { ...IMPATIENT.timeouts, prepare: 4_000, uncertain: 6_000 } } as const;

/** Started by a client that knows nothing of the first one. */
const again = (id: string, input: unknown, branches = TWO): Promise<WorkflowHandle> =>
  fixture.client.workflow.start('settles', {
    workflowId: id,
    taskQueue: 'transactions',
    args: [{ branches: branches.map((branch) => ({ ...branch, input })), options: PATIENT }],
  });

/** Resets a participant to its beginning. */
async function reset({ id }: Tale, branch: string): Promise<void> {
  await fixture.client.connection.workflowService.resetWorkflowExecution({
    namespace: fixture.client.options.namespace,
    workflowExecution: { workflowId: `${id}#${branch}` },
    // Of the first workflow task: started, scheduled, begun, ended.
    workflowTaskFinishEventId: 4 as never,
    requestId: `${id}-${branch}`,
    reason: 'by a test',
  });
}

describe.concurrent('a second run of the same id', () => {
  it.concurrent('with another input does not roll back what the first one has decided to commit', async () => {
    const tale = await fixture.abandoned(TWO, PATIENT);
    participants.register.set(tale.id, { decision: 'commit', by: 'coordinator' });
    participants.set(tale.id, 'north.debit', 'committed');
    // As the register's participant answers when the hash of the request is another.
    tale.say('decide north.debit', () => {
      throw ApplicationFailure.nonRetryable('decided for another input', 'InputMismatch');
    });
    // As a branch answers when its row has another input.
    for (const branch of tale.names)
      tale.say(`abort ${branch}`, async () => ({ kind: 'foreign', evidence: 'It is of another request.' }));
    await again(tale.id, 'another');
    expect(await tale.endings()).toEqual(all(TWO, 'commit'));
    expect(tale.states()).toEqual(all(TWO, 'committed'));
  });

  it.concurrent('with another input is not told that it has committed', async () => {
    const tale = await fixture.abandoned(TWO);
    const handle = await again(tale.id, 'another');
    expect(await handle.result()).toMatchObject({ outcome: 'aborted', cause: { reason: { code: 'input-mismatch' } } });
    expect(tale.states()).toEqual(all(TWO, 'rolled-back'));
  });

  it.concurrent(
    'of a build that puts another branch first takes over none that obeys the former register',
    async () => {
      const tale = await fixture.abandoned(TWO, PATIENT);
      const handle = await again(tale.id, null, [...TWO].reverse());
      expect(await handle.result()).toMatchObject({
        outcome: 'aborted',
        cause: { reason: { code: 'input-mismatch' } },
      });
      expect(await tale.endings()).toEqual(all(TWO, 'abort'));
      expect(tale.states()).toEqual(all(TWO, 'rolled-back'));
    },
  );

  it.concurrent('with the same input goes on where the first one was', async () => {
    const tale = await fixture.abandoned(TWO);
    const handle = await again(tale.id, null);
    expect(await handle.result()).toMatchObject({ outcome: 'committed' });
    expect(tale.states()).toEqual(all(TWO, 'committed'));
  });
});

describe.concurrent('a participant that is reset', () => {
  it.concurrent('and cannot tell whether it is prepared does as the register says', async () => {
    const away = () => {
      throw ApplicationFailure.retryable('The database does not answer.');
    };
    const tale = await fixture.begin({ branches: TWO, options: PATIENT, answers: { 'commit south.credit': away } });
    await tale.untilState('south.credit', 'committed');
    tale.say('prepare south.credit', away);
    await reset(tale, 'south.credit');
    await tale.untilAsked('prepare south.credit', 3);
    tale.say('commit south.credit', async (usual) => usual());
    await tale.untilStates(all(TWO, 'committed'));
    expect(await tale.report()).toMatchObject({ outcome: 'committed' });
    expect(tale.asked()).not.toContain('abort south.credit');
  });
});

it('A participant that says that it did otherwise is held for a person, and not reported as done', async () => {
  const slow = gate();
  const tale = await fixture.begin({
    branches: TWO,
    // Both have to vote, however busy the machine is.
    options: { ...IMPATIENT, timeouts: { ...IMPATIENT.timeouts, prepare: 30_000, uncertain: 60_000 } },
    answers: { 'commit south.credit': slow.line },
  });
  await slow.entered;
  const about = { transaction: tale.id, branch: 'south.credit', token: tale.token('south.credit') };
  await tale.workflow().signal('ack', { ...about, state: 'aborted' });
  await until('it is held', async () => (await tale.now()).outcome === 'held');
  expect(await tale.details()).toContain('another decision without the coordinator');
  slow.release();
  await tale.terminate();
});

it('A participant that cannot pre-commit, because its branch is lost, does as the register says', async () => {
  const lost = () => {
    throw ApplicationFailure.retryable('It is neither prepared nor in the branch log.');
  };
  const tale = await fixture.orphaned({
    branches: TWO,
    answers: { 'preCommit south.credit': lost },
    patience: { uncertainMs: 60_000, preCommittedMs: 60_000 },
    attemptTimeoutMs: 500,
  });
  await tale.workflow('south.credit').signal('preCommit', { token: tale.token('south.credit') });
  await tale.untilAsked('preCommit south.credit', 2);
  participants.register.set(tale.id, { decision: 'commit', by: 'coordinator' });
  await tale.untilState('south.credit', 'committed');
  await tale.workflow('north.debit').terminate('it has all the patience');
});
