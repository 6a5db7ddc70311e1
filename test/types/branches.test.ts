/**
 * What the compiler knows of two-phase commit, and refuses. The build compiles this file: a line marked `@ts-expect-error` that
 * compiles fails it. None of the transactions here is ever run.
 */
import { branch, participant, twoPhaseCommit } from 'temporal-txn/workflow';
import type { Branch, ExternalBranch, SettledCommitReport } from 'temporal-txn/workflow';
import { describe, expectTypeOf, it } from 'vitest';
import type { accounts } from '../../activities/accounts/operations';
import type { audit } from '../../activities/audit/operations';

const bank = participant<typeof accounts>('north-bank');
const ledger = participant<typeof audit>('audit');
const movement = { account: 'alice', amount: 100, currency: 'EUR' };
const entry = { kind: 'transfer', from: 'north-bank/alice', to: 'south-bank/bob', amount: 100, currency: 'EUR' };
const approval: ExternalBranch = { id: 'approval', finish: 'none' };

describe('a branch', () => {
  it('has the result of its operation', () => {
    expectTypeOf(branch(bank.debit, movement)).toEqualTypeOf<Branch<{ balance: number }>>();
    expectTypeOf(branch(bank.balance, { account: 'alice' })).toEqualTypeOf<
      Branch<{ balance: number; currency: string }>
    >();
  });

  it('takes the input of its operation only', () => {
    void (() => [
      // @ts-expect-error The amount is missing.
      branch(bank.debit, { account: 'alice', currency: 'EUR' }),
      // @ts-expect-error The amount is a number.
      branch(bank.debit, { ...movement, amount: '100' }),
      // @ts-expect-error This is the input of another operation.
      branch(ledger.record, movement),
    ]);
  });
});

describe('a transaction', () => {
  const branches = () => [branch(bank.debit, movement), approval, branch(ledger.record, entry)] as const;

  it('has the results of its branches, one by one, and none of a branch that is not ours', () => {
    const run = () => twoPhaseCommit([branch(bank.debit, movement), approval, branch(ledger.record, entry)]);
    expectTypeOf(run).returns.resolves.toEqualTypeOf<readonly [{ balance: number }, undefined, { id: string }]>();
    const listed = () => twoPhaseCommit(branches());
    expectTypeOf(listed).returns.resolves.toEqualTypeOf<readonly [{ balance: number }, undefined, { id: string }]>();
  });

  it('of a list of branches has a list of results', () => {
    const list: readonly Branch<{ balance: number }>[] = [];
    const run = () => twoPhaseCommit(list);
    expectTypeOf(run).returns.resolves.toEqualTypeOf<readonly { balance: number }[]>();
  });

  it('settles to a report that has results only when it committed, and a cause only when it aborted', () => {
    const settle = () => twoPhaseCommit.settle([branch(bank.debit, movement), approval]);
    expectTypeOf(settle).returns.resolves.not.toBeAny();
    type Report = Awaited<ReturnType<typeof settle>>;
    expectTypeOf<Report>().toExtend<SettledCommitReport<'two-phase-commit'>>();
    type Committed = Extract<Report, { outcome: 'committed' }>;
    expectTypeOf<Committed['results']>().toEqualTypeOf<readonly [{ balance: number }, undefined]>();
    expectTypeOf<Extract<Report, { outcome: 'aborted' }>>().not.toHaveProperty('results');
    expectTypeOf<Committed>().not.toHaveProperty('cause');
  });

  it('takes branches and known options only', () => {
    void (() => [
      // @ts-expect-error It does not say how it hears of the decision.
      twoPhaseCommit([{ id: 'approval' }]),
      // @ts-expect-error Votes come by signal or by answer.
      twoPhaseCommit([branch(bank.debit, movement)], { votes: 'by pigeon' }),
      // @ts-expect-error There is no such timeout.
      twoPhaseCommit([branch(bank.debit, movement)], { timeouts: { vote: '1 second' } }),
    ]);
  });
});
