/**
 * Settles an unknown outcome: says what the branch did, and if it has done nothing yet, fences it off so that the answer
 * stays true. A plain look at the log could answer "nothing" a moment before a slow attempt commits.
 */
import type { BranchRequest, QueryAnswer } from '../protocol';
import { labelOf } from './branch';
import type { Branch } from './branch';
import { branchInsertion, findBranch, wasInserted } from './branch-log';
import { BranchInProgressError } from './errors';
import { inLocalTransaction } from './local-transaction';

/** @throws {InputMismatchError} when the branch exists with another input */
export const query = (branch: Branch, request: BranchRequest): Promise<QueryAnswer> =>
  inLocalTransaction(
    branch.pool,
    {
      timeouts: branch.timeouts,
      mode: 'read write',
      label: labelOf(request),
      first: [branchInsertion(branch.name, request, 'fenced', branch.caller)],
    },
    async (client, transaction) => {
      if (wasInserted(transaction)) return { answer: 'never-applied' };
      const row = await findBranch(client, branch.name, request);
      if (!row) throw new BranchInProgressError(request.transaction, request.branch);
      switch (row.state) {
        case 'applied':
          return { answer: 'applied', result: row.result, ...(row.holdsLocks ? { locks: true } : {}) };
        case 'refused':
          return {
            answer: 'refused',
            refusal: row.refusal ?? { code: 'refused', message: 'The reason was not kept.' },
          };
        default:
          return { answer: 'never-applied' };
      }
    },
  );
