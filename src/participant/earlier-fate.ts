/**
 * Whether what a group did may be undone. The same id may have been given twice, to a group and to a workflow of its own. Once the
 * group has told its caller that the transaction is committed, the other one must not take that back.
 */
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { BranchRequest, CompensateAnswer, GroupAnswer, GroupRequest } from '../protocol';
import type { Branch } from './branch';
import { compensate } from './compensate';
import { BegunInGroupError, CommittedByGroupError, GroupRunningError } from './errors';

/** Compensates a branch; one that a group has done, once that is known to have left it to others. */
export async function compensateUnlessCommitted(branch: Branch, request: BranchRequest): Promise<CompensateAnswer> {
  try {
    return await compensate(branch, request);
  } catch (error) {
    if (!(error instanceof BegunInGroupError)) throw error;
    await clear(request, error.group);
    return compensate(branch, request, error.group);
  }
}

/**
 * @throws {GroupRunningError} while the group runs; to be tried again
 * @throws {CommittedByGroupError} when it has committed the transaction, or nobody knows
 */
async function clear({ transaction, branch }: BranchRequest, group: string): Promise<void> {
  const handle = Context.current().client.workflow.getHandle<(request: GroupRequest) => Promise<GroupAnswer>>(group);
  try {
    if ((await handle.describe()).status.name === 'RUNNING') throw new GroupRunningError(transaction, branch, group);
    const { outcomes } = await handle.result();
    if (outcomes.some(({ kind, id }) => kind === 'ended' && id === transaction))
      throw new CommittedByGroupError(transaction, group, 'committed');
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw new CommittedByGroupError(transaction, group, 'unknown');
    // Nobody has been told anything by a group that was terminated.
    if (!(error instanceof WorkflowFailedError)) throw error;
  }
}
