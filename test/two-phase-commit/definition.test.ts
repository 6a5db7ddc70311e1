/** Transactions that cannot be: found before anything is asked of anybody. */
import { WorkflowFailedError } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { TransactionFailed } from '../../src/client';
import type { TwoPhaseCommitOptions } from '../../src/workflow';
import { THREE, twoPhaseFixture } from './fixture';
import type { Planned } from './workflows';

const fixture = twoPhaseFixture();

const debit: Planned = { participant: 'north', operation: 'debit' };
const many = (count: number): readonly Planned[] =>
  Array.from({ length: count }, (_, i) => ({ ...debit, id: `branch-${i}` }));

/** What is wrong, with which branches and options. */
const BAD: readonly (readonly [string, readonly Planned[], TwoPhaseCommitOptions, RegExp])[] = [
  ['no branches', [], {}, /at least one branch/],
  ['65 branches', many(65), {}, /at most 64 branches, not 65/],
  [
    'one id twice',
    [
      { ...debit, id: 'a' },
      { ...debit, id: 'a' },
    ],
    {},
    /Two branches have the id a\./,
  ],
  [
    'an id that another gets as a number of its kind',
    [debit, debit, { participant: 'south', operation: 'credit', id: 'north.debit-2' }],
    {},
    /Two branches have the id north\.debit-2\./,
  ],
  ['an id that is none', [{ ...debit, id: 'a b' }], {}, /branch id "a b" is not allowed/],
  ['an empty id', [{ ...debit, id: '' }], {}, /branch id "" is not allowed/],
  ['no time to prepare', THREE, { timeouts: { prepare: 0 } }, /the timeout prepare is 0, not a duration above zero/],
  [
    'ages to prepare',
    THREE,
    { timeouts: { prepare: 1e12 } },
    /the timeout prepare is 1000000000000, longer than 30 days/,
  ],
  ['a negative time to commit', THREE, { timeouts: { commit: -1 } }, /the timeout commit is -1/],
  [
    'an attempt as long as the vote',
    THREE,
    { timeouts: { prepare: '10 seconds' } },
    /attemptTimeout \(10 s\) is not shorter than timeouts.prepare \(10 s\)/,
  ],
  ['no attempts', THREE, { attempts: 0 }, /attempts is 0/],
  ['half an attempt', THREE, { attempts: 1.5 }, /attempts is 1.5/],
  ['a thousand attempts', THREE, { attempts: 1_000 }, /attempts is 1000, not a whole number from 1 to 100/],
];

/** Written in a way that cannot be kept atomic, in code that can be mended. */
describe('a workflow whose transaction has', () => {
  it.each([
    ...BAD,
    [
      'only branches that are not ours',
      [{ id: 'boss', finish: 'none' }],
      {},
      /at least one branch at a participant/,
    ] as const,
  ])('%s fails its task and asks nobody', async (_, branches, options, message) => {
    const tale = await fixture.begin({ branches, options });
    await expect.poll(() => tale.taskFailure(), { timeout: 20_000 }).toMatch(message);
    expect(tale.asked()).toEqual([]);
    expect(await tale.handle.status()).toBe('RUNNING');
    await tale.workflow.terminate();
  });

  it('64 branches commits', async () => {
    const tale = await fixture.begin({ branches: many(64) });
    expect(await tale.report()).toMatchObject({ outcome: 'committed', results: many(64).map(({ id }) => id) });
  });

  it('the same operation twice names the second one', async () => {
    const tale = await fixture.begin({ branches: [debit, debit, { ...debit, participant: 'south' }] });
    expect((await tale.report()).branches.map(({ branch }) => branch)).toEqual([
      'north.debit',
      'north.debit-2',
      'south.debit',
    ]);
  });
});

describe('a request to the ready-made coordinator with', () => {
  const more = [
    [
      'a duration of another age',
      THREE,
      { timeouts: { prepare: '5 lightyears' } },
      /timeout prepare is "5 lightyears"/,
    ],
    ['an object for a duration', THREE, { attemptTimeout: {} }, /the timeout attemptTimeout is of type object/],
    ['timeouts that are null', THREE, { timeouts: { abort: null } }, /the timeout abort is null/],
    ['a retry policy that is none', THREE, { retry: { maximumAttempts: -3 } }, /retry is no policy/],
    ['options that are no object', THREE, 7, /"options" is 7, not an object/],
    [
      'a participant that is no name',
      [{ participant: 'North Bank', operation: 'debit' }],
      {},
      /branch 1: .*participant name/,
    ],
    [
      'an operation that is no name',
      [debit, { participant: 'north', operation: 'drop table' }],
      {},
      /branch 2: .*operation name/,
    ],
    ['a branch that is null', [null], {}, /branch 1: /],
    ['branches that are no list', 'all of them', {}, /"branches" is .*, not a list/],
  ] as const;

  it.each([...BAD, ...more])('%s fails, and says that nothing was changed', async (_, branches, options, message) => {
    const tale = await fixture.begin({ workflow: 'coordinateTwoPhaseCommit', input: { branches, options } });
    const error: unknown = await tale.handle.result().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionFailed);
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
    expect(error).toMatchObject({ message: expect.stringMatching(/Nothing was (changed|started)/) });
    expect((error as TransactionFailed).cause).not.toBeInstanceOf(WorkflowFailedError);
    expect(tale.asked()).toEqual([]);
  });

  it('an id of its own among the options commits under that of the workflow', async () => {
    const input = { branches: THREE.map((each) => ({ input: null, ...each })), options: { id: 'somebody-elses' } };
    const tale = await fixture.begin({ workflow: 'coordinateTwoPhaseCommit', input });
    await tale.handle.result();
    expect(tale.decided).toBe('commit');
    expect(fixture.participants.register.has('somebody-elses')).toBe(false);
  });

  it('good branches commits them', async () => {
    const id = fixture.nextId;
    const handle = await fixture.environment.transactions.commit({
      id: `${id}-commit`,
      branches: THREE.map((each) => ({ input: null, ...each })) as never,
      votes: 'answer',
      summary: 'a transfer',
    });
    expect(await handle.decision()).toMatchObject({ decision: 'commit' });
    expect(await handle.result()).toEqual(['north.debit', 'south.credit', 'audit.record']);
  });
});
