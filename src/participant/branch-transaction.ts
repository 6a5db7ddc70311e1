/** Local transactions that begin with the first row of a branch: it travels with BEGIN, and whoever finds that it is there knows who was first. */
import { labelOf } from './branch';
import type { Branch } from './branch';
import { branchInsertion, wasInserted } from './branch-log';
import type { BranchState, LoggedRequest } from './branch-log';
import { inLocalTransaction } from './local-transaction';
import type { LocalTransaction } from './local-transaction';
import type { Refusal } from '../protocol';

type LoggedBranch = Pick<Branch, 'pool' | 'timeouts' | 'name' | 'caller'>;

/** @param work hears whether the row was written; where it was not, another attempt has written one */
export const inBranchTransaction = <T>(
  { pool, timeouts, name, caller }: LoggedBranch,
  request: LoggedRequest,
  state: BranchState,
  work: (transaction: LocalTransaction, inserted: boolean) => Promise<T>,
  refusal?: Refusal,
): Promise<T> =>
  inLocalTransaction(
    pool,
    {
      timeouts,
      mode: 'read write',
      label: labelOf(request),
      first: [branchInsertion(name, request, state, caller, refusal)],
    },
    (_, transaction) => work(transaction, wasInserted(transaction)),
  );

/** Commits a row that forbids the branch for ever. @returns false where there is a row */
export const forbidBranch = (
  branch: LoggedBranch,
  request: LoggedRequest,
  state: 'fenced' | 'refused',
  refusal?: Refusal,
): Promise<boolean> => inBranchTransaction(branch, request, state, async (_, inserted) => inserted, refusal);
