/**
 * Pre-commits a branch: writes down, beside its prepared transaction, that all have voted `commit`. Committed before anybody is
 * told, so that whoever looks later, its recovery too, knows more than that it is uncertain.
 *
 * @see Skeen: "Nonblocking Commit Protocols", SIGMOD 1981: the buffer state between the vote and the commit
 */
import { crashpoint } from '../protocol';
import type { FinishRequest, ParticipantReplies } from '../protocol';
import { labelOf } from './branch';
import { BranchInProgressError } from './errors';
import type { FinishableBranch } from './finish';
import { inLocalTransaction } from './local-transaction';
import { look } from './look';

const PRE_COMMIT = `
  update txn.preparation set pre_committed_at = coalesce(pre_committed_at, clock_timestamp())
   where gid = $1 and exists (select from pg_prepared_xacts where gid = $1 and database = current_database())`;

/**
 * @returns `done`, or how the branch has been finished meanwhile
 * @throws {BranchInProgressError} when it is neither prepared nor finished; to be tried again
 */
export async function preCommit(
  branch: FinishableBranch,
  request: FinishRequest,
): Promise<ParticipantReplies['preCommit']> {
  if (await write(branch, request)) {
    await crashpoint('three-phase.pre-committed-before-ack');
    return 'done';
  }
  switch (await look(branch.pool, branch.name, request)) {
    case 'applied':
      return 'commit';
    case 'none':
      throw new BranchInProgressError(request.transaction, request.branch);
    default:
      return 'abort';
  }
}

const write = ({ pool, timeouts, gid }: FinishableBranch, request: FinishRequest): Promise<boolean> =>
  inLocalTransaction(pool, { timeouts, mode: 'read write', label: labelOf(request) }, async (client) => {
    const { rowCount } = await client.query(PRE_COMMIT, [gid]);
    return rowCount === 1;
  });
