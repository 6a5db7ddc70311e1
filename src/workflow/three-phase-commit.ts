/**
 * Three-phase commit: between the vote and the decision every branch learns that every branch can commit, so that the branches
 * end the transaction without the coordinator, whenever it is lost, and alike.
 *
 * Each branch has a workflow of its own, on its participant's task queue. One that hears nothing asks the others and then the
 * register: `commit` is proposed where one of them is pre-committed, else `abort`, and what the register answers is obeyed.
 *
 * @see Skeen: "Nonblocking Commit Protocols", SIGMOD 1981
 * @see Bernstein, Hadzilacos, Goodman: "Concurrency Control and Recovery in Database Systems", 1987, section 7.5
 */
import type { Branch, SettledCommitReport } from '../protocol';
import { isOwn } from './branches';
import type { ResultsOf } from './branches';
import { threePhaseSettings } from './commit-options';
import type { ThreePhaseCommitOptions } from './commit-options';
import { CommitRun } from './commit-run';
import { heard, inTransaction } from './context';
import { TransactionDefinitionError } from './errors';
import { resultsOf } from './outcome';
import { threePhases } from './three-phases';

async function run<const Branches extends readonly Branch[]>(
  branches: Branches,
  options: ThreePhaseCommitOptions = {},
): Promise<ResultsOf<Branches>> {
  const hear = heard(resultsOf<ResultsOf<Branches>>);
  return hear(await settle(branches, options));
}

async function settle<const Branches extends readonly Branch[]>(
  branches: Branches,
  options: ThreePhaseCommitOptions = {},
): Promise<SettledCommitReport<'three-phase-commit', ResultsOf<Branches>>> {
  const settings = threePhaseSettings(options);
  if (branches.some((branch) => !isOwn(branch)))
    throw new TransactionDefinitionError(
      'Nothing was started: a branch of threePhaseCommit() is an operation of a participant, made by branch().',
    );
  const report = await inTransaction({ id: options.id, protocol: 'three-phase-commit' }, (context) =>
    new CommitRun(context, branches, settings, threePhases(settings)).settle(),
  );
  // Cast: results come in the order of the branches.
  return report as SettledCommitReport<'three-phase-commit', ResultsOf<Branches>>;
}

/**
 * Commits operations of several participants together, or none of them, and does not need the coordinator for that once it has
 * asked them. Costs more messages than two-phase commit, which is the one to begin with: see the page on protocols.
 *
 * The participants' workers have to know its workflow, as those of `runParticipant` do.
 *
 * @param branches at most 64, of participants; see {@link branch}
 * @returns the results of the operations, in the order of the branches
 * @throws {TransactionAborted} {TransactionMixed} {TransactionDefinitionError} as `twoPhaseCommit` does
 * @example
 * const [debit] = await threePhaseCommit([
 *   branch(north.debit, { account: from, amount }),
 *   branch(south.credit, { account: to, amount }),
 * ]);
 */
export const threePhaseCommit = Object.assign(run, { settle });
