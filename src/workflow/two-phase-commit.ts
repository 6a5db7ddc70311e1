/**
 * Two-phase commit: every branch prepares and votes, the decision is written once in the database of the first one, and every
 * branch follows it.
 *
 * The decision is a row, not an event of this workflow: a reset re-runs workflow code and could decide otherwise. Until
 * `decide` the coordinator proposes; from there on it obeys, and nothing cancels it.
 *
 * @see Gray: "Notes on Data Base Operating Systems", 1978
 * @see Mohan, Lindsay, Obermarck: "Transaction Management in the R* Distributed Database Management System", TODS 1986
 */
import type { SettledCommitReport } from '../protocol';
import type { AnyBranch, ResultsOf } from './branches';
import { twoPhaseSettings } from './commit-options';
import type { TwoPhaseCommitOptions } from './commit-options';
import { CommitRun } from './commit-run';
import { heard, inTransaction, onRecordInGroup } from './context';
import { resultsOf } from './outcome';
import { twoPhases } from './two-phases';

function run<const Branches extends readonly AnyBranch[]>(
  branches: Branches,
  options: TwoPhaseCommitOptions = {},
): Promise<ResultsOf<Branches>> {
  return onRecordInGroup(settle(branches, options).then(heard(resultsOf)));
}

function settle<const Branches extends readonly AnyBranch[]>(
  branches: Branches,
  options: TwoPhaseCommitOptions = {},
): Promise<SettledCommitReport<'two-phase-commit', ResultsOf<Branches>>> {
  return onRecordInGroup(begin(branches, options));
}

async function begin<const Branches extends readonly AnyBranch[]>(
  branches: Branches,
  options: TwoPhaseCommitOptions,
): Promise<SettledCommitReport<'two-phase-commit', ResultsOf<Branches>>> {
  const settings = twoPhaseSettings(options);
  const report = await inTransaction({ id: options.id, protocol: 'two-phase-commit' }, (context) =>
    new CommitRun(context, branches, settings, twoPhases).settle(),
  );
  return report as SettledCommitReport<'two-phase-commit', ResultsOf<Branches>>; // Cast: results come in the order of the branches.
}

/**
 * Commits operations of several participants together, or none of them.
 *
 * The first branch at a participant is the primary: the decision is kept in its database. A transaction with one branch is
 * committed in one phase. A cancellation before the decision aborts; after it, it comes too late.
 *
 * `twoPhaseCommit.settle` does the same and resolves with the report instead of throwing.
 *
 * @param branches at most 64; see {@link branch} and `ExternalBranch`
 * @returns the results of the operations, in the order of the branches
 * @throws {TransactionAborted} when nothing took effect: a branch voted abort, a vote did not come, it was cancelled
 * @throws {TransactionMixed} when a branch did otherwise than decided, by somebody's hand, and a person has let that stand
 * @throws {TransactionDefinitionError} when branches or options are out of range; fails the workflow task
 * @example
 * const [debit, , entry] = await twoPhaseCommit([
 *   branch(north.debit, { account: from, amount }),
 *   branch(south.credit, { account: to, amount }),
 *   branch(ledger.record, { kind: 'transfer', from, to, amount }),
 * ]);
 */
export const twoPhaseCommit = Object.assign(run, { settle });
