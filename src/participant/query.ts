/**
 * Settles an unknown outcome: says what the branch did, and if it has done nothing yet, fences it off so that the answer
 * stays true. A plain look at the log could answer "nothing" a moment before a slow attempt commits.
 */
import type { BranchRequest, QueryAnswer } from '../protocol';
import type { Branch } from './branch';
import { doneBy, findBranch } from './branch-log';
import { inBranchTransaction } from './branch-transaction';
import { BranchInProgressError } from './errors';

/** @throws {InputMismatchError} when the branch exists with another input */
export const query = (branch: Branch, request: BranchRequest): Promise<QueryAnswer> =>
  inBranchTransaction(branch, request, 'fenced', async ({ client }, inserted) => {
    if (inserted) return { answer: 'never-applied' };
    const row = await findBranch(client, branch.name, request);
    if (!row) throw new BranchInProgressError(request.transaction, request.branch);
    switch (row.state) {
      case 'applied':
        return {
          answer: 'applied',
          result: row.result,
          ...(row.holdsLocks ? { locks: true } : {}),
          ...doneBy(branch.caller, request, row),
        };
      case 'refused':
        return {
          answer: 'refused',
          refusal: row.refusal ?? { code: 'refused', message: 'The reason was not kept.' },
        };
      default:
        return { answer: 'never-applied' };
    }
  });
