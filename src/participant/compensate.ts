/**
 * Undoes a branch once, if it took effect; and if it did not, sees to it that it never will.
 *
 * The first statement inserts a tombstone under the branch's key. Where the action is still under way it waits for it; where
 * the action never came, the tombstone stays and refuses it when it does (no hanging action after an empty compensation).
 */
import { crashpoint, isGroupId } from '../protocol';
import type { BranchRequest, CompensateAnswer } from '../protocol';
import { readInput } from './branch';
import type { Branch } from './branch';
import { endMark, findBranch, earlierRunOf } from './branch-log';
import type { BranchRow } from './branch-log';
import { inBranchTransaction } from './branch-transaction';
import { BranchInProgressError, DoneByAnotherError, NotCompensatableError } from './errors';
import { branchLocksRelease } from './isolation/semantic-lock';
import { withTx } from './tx';

/** The workflow that did a branch. */
export interface Doer {
  readonly workflowId: string;
  /** Absent where an older version has written the row. */
  readonly runId?: string;
}

/**
 * @param cleared who is known to have left the transaction to others
 * @throws {InputMismatchError} when the branch exists with another input: what it did is not this request's to undo
 * @throws {DoneByAnotherError} when somebody has done it who may have told a caller so: see `earlier-fate.ts`
 * @throws {NotCompensatableError} when it took effect and its operation has no `compensate`
 */
export const compensate = (branch: Branch, request: BranchRequest, cleared?: Doer): Promise<CompensateAnswer> =>
  inBranchTransaction(branch, request, 'fenced', async (transaction, inserted) => {
    const { client } = transaction;
    if (inserted) {
      await crashpoint('compensation.before-commit');
      return { answer: 'nothing-to-compensate' };
    }
    const row = await findBranch(client, branch.name, request, 'for update');
    // Purged between the two statements: the next attempt leaves the tombstone.
    if (!row) throw new BranchInProgressError(request.transaction, request.branch);
    switch (row.state) {
      case 'refused':
      case 'fenced':
        return { answer: 'nothing-to-compensate' };
      case 'compensated':
        return { answer: 'compensated-before' };
      case 'applied': {
        const { operation } = branch;
        const doer = otherDoer(branch, row, request);
        if (doer && !isSame(doer, cleared)) throw new DoneByAnotherError(doer);
        if (!operation.compensate) throw new NotCompensatableError(branch.name);
        const input = await readInput(operation, request.input);
        await withTx(client, request, branch.wakeRelays, async (tx) => operation.compensate?.(tx, input, row.result));
        transaction.atEnd(...branchLocksRelease(request));
        transaction.atEnd(endMark(request, 'compensated'));
        await crashpoint('compensation.before-commit');
        return { answer: 'compensated' };
      }
      case 'tried':
      case 'confirmed':
      case 'cancelled':
        throw new NotCompensatableError(branch.name);
    }
  });

/** A group, unless it has handed the transaction over to whoever asks; another workflow; and another run of the one that asks. */
function otherDoer({ caller }: Branch, row: BranchRow, { inherits, coordinator }: BranchRequest): Doer | undefined {
  const { workflowId } = row;
  if (workflowId === null) return undefined;
  const doer = { workflowId, ...(row.runId === null ? {} : { runId: row.runId }) };
  if (isGroupId(workflowId)) return workflowId === inherits ? undefined : doer;
  if (caller && workflowId !== (coordinator ?? caller.workflowId)) return doer;
  return coordinator === undefined && earlierRunOf(caller, row) !== undefined ? doer : undefined;
}

const isSame = (one: Doer, other: Doer | undefined): boolean =>
  one.workflowId === other?.workflowId && one.runId === other.runId;
