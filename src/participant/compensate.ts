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
import { endMark, findBranch } from './branch-log';
import type { BranchRow } from './branch-log';
import { inBranchTransaction } from './branch-transaction';
import { BegunInGroupError, BranchInProgressError, NotCompensatableError } from './errors';
import { branchLocksRelease } from './isolation/semantic-lock';
import { withTx } from './tx';

/**
 * @param cleared a group that is known to have left the transaction to others
 * @throws {InputMismatchError} when the branch exists with another input: what it did is not this request's to undo
 * @throws {BegunInGroupError} when a group has done it that may have told its caller so: see `group-fate.ts`
 * @throws {NotCompensatableError} when it took effect and its operation has no `compensate`
 */
export const compensate = (branch: Branch, request: BranchRequest, cleared?: string): Promise<CompensateAnswer> =>
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
        const group = groupIn(row, request);
        if (group !== undefined && group !== cleared) throw new BegunInGroupError(group);
        if (!operation.compensate) throw new NotCompensatableError(branch.name);
        const input = await readInput(operation, request.input);
        await withTx(client, request, branch.wakeRelays, async (tx) => operation.compensate?.(tx, input, row.result));
        transaction.atEnd(branchLocksRelease(request));
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

/** The group that did it, unless it has handed the transaction over to whoever asks. */
const groupIn = ({ workflowId }: BranchRow, { inherits }: BranchRequest): string | undefined =>
  workflowId !== null && isGroupId(workflowId) && workflowId !== inherits ? workflowId : undefined;
