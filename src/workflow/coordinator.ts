/**
 * The ready-made coordinator: a workflow that commits a list of operations together, for clients that have no workflow of
 * their own to write. Export it from the module of workflows that your workers load.
 */
import { ApplicationFailure } from '@temporalio/workflow';
import { InvalidIdentifier, FailureType, parseOperationName, parseParticipantName, show } from '../protocol';
import type { Branch } from '../protocol';
import { TransactionDefinitionError } from './errors';
import { twoPhaseCommit } from './two-phase-commit';
import type { TwoPhaseCommitOptions } from './commit-options';

/** What a client sends it. */
export interface TwoPhaseCommitRequest {
  /** The first one is the primary. */
  readonly branches: readonly Branch[];
  readonly options?: Omit<TwoPhaseCommitOptions, 'id'>;
}

/**
 * Commits operations of several participants together, or none of them.
 *
 * @returns the results of the operations, in the order of the branches
 * @throws {TransactionAborted} {TransactionMixed} as `twoPhaseCommit` does
 * @example
 * // workflows.ts
 * export { coordinateTwoPhaseCommit } from 'temporal-txn/workflow';
 * // client
 * await transactions.commit({ id, branches: [branch(north.debit, { … }), branch(south.credit, { … })] });
 */
export async function coordinateTwoPhaseCommit(request: TwoPhaseCommitRequest): Promise<readonly unknown[]> {
  const branches = readBranches(request);
  try {
    return await twoPhaseCommit(branches, readOptions(request.options));
  } catch (error) {
    // Here a mistake in branches or options is the client's, and no code that is mended could help.
    if (error instanceof TransactionDefinitionError || error instanceof InvalidIdentifier)
      throw badRequest(error.message);
    throw error;
  }
}

/** What came over the wire is data: read into fresh objects. */
function readBranches(request: Partial<TwoPhaseCommitRequest> | undefined): Branch[] {
  const branches: unknown = request?.branches;
  if (!Array.isArray(branches)) throw badRequest(`"branches" is ${show(branches)}, not a list.`);
  return branches.map((given: Partial<Branch> | null, position) => {
    try {
      return {
        participant: parseParticipantName(given?.participant),
        operation: parseOperationName(given?.operation),
        input: given?.input,
        ...(given?.colocated === true ? { colocated: true as const } : {}),
        ...(given?.id === undefined ? {} : { id: given.id }),
      };
    } catch (error) {
      throw badRequest(`branch ${position + 1}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
}

/** The id is not among them: it is that of the workflow, which its starter has been given. */
function readOptions(given: unknown): TwoPhaseCommitOptions {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null) throw badRequest(`"options" is ${show(given)}, not an object.`);
  const { id: _, ...options } = given as TwoPhaseCommitOptions; // Cast: its values are checked where they are used.
  return options;
}

const badRequest = (problem: string): ApplicationFailure =>
  ApplicationFailure.nonRetryable(`Nothing was changed: ${problem}`, FailureType.BadRequest);
