/**
 * Whether what somebody else did may be undone: a group, another workflow, or an earlier run of the one that asks. The same id may have been given twice,
 * to a group and to a workflow of its own, to two workflows, or again when Temporal had forgotten it, or the workflow was reset after its end. What a caller
 * was told is committed, the other one must not take back.
 */
import { Context } from '@temporalio/activity';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { isGrpcServiceError, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { isGroupId } from '../protocol';
import type { BranchRequest, CompensateAnswer, GroupAnswer, GroupRequest } from '../protocol';
import type { Branch } from './branch';
import { compensate } from './compensate';
import type { Doer } from './compensate';
import { CommittedByGroupError, CommittedEarlierError, DoneByAnotherError, DoerRunningError } from './errors';

/** Compensates a branch; one that somebody else has done, once that is known to have told nobody so. */
export async function compensateUnlessCommitted(branch: Branch, request: BranchRequest): Promise<CompensateAnswer> {
  try {
    return await compensate(branch, request);
  } catch (error) {
    if (!(error instanceof DoneByAnotherError)) throw error;
    const { doer } = error;
    await (isGroupId(doer.workflowId) ? clearGroup(request, doer) : clearWorkflow(request, doer));
    return compensate(branch, request, doer);
  }
}

const workflows = (): Client['workflow'] => Context.current().client.workflow;

/**
 * @throws {DoerRunningError} while the group runs; to be tried again
 * @throws {CommittedByGroupError} when it has committed the transaction, or nobody knows
 */
async function clearGroup({ transaction, branch }: BranchRequest, { workflowId: group, runId }: Doer): Promise<void> {
  try {
    const { status, raw } = await workflows().getHandle(group, runId).describe();
    if (status.name === 'RUNNING') throw new DoerRunningError(transaction, branch, group);
    // One that was reset tells of the others, and not of what the first run had told before. Participants have answered that one only.
    const first = runId ?? (raw.workflowExecutionInfo?.firstRunId || undefined);
    const handle = workflows().getHandle<(request: GroupRequest) => Promise<GroupAnswer>>(group, first);
    const { outcomes } = await handle.result();
    if (outcomes.some(({ kind, id }) => kind === 'ended' && id === transaction))
      throw new CommittedByGroupError(transaction, group, 'committed');
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw new CommittedByGroupError(transaction, group, 'unknown');
    // Nobody has been told anything by a group that was terminated.
    if (!(error instanceof WorkflowFailedError)) throw error;
  }
}

/**
 * Of another workflow, or of the one that asks, which has another run by now. It may have been resumed or reset before, and one of those runs
 * have committed.
 *
 * @throws {DoerRunningError} while one of its other runs is open, as far as Temporal shows yet; to be tried again
 * @throws {CommittedEarlierError} when one of them has ended by itself, or nobody knows
 */
async function clearWorkflow({ transaction, branch }: BranchRequest, { workflowId, runId }: Doer): Promise<void> {
  const named = (run?: string): string => `${run === undefined ? 'a run' : `run ${run}`} of workflow ${workflowId}`;
  const clear = (run: Pick<WorkflowExecutionInfo, 'runId' | 'status'>, told: readonly string[]): void => {
    const { name } = run.status;
    if (name === 'RUNNING') throw new DoerRunningError(transaction, branch, named(run.runId));
    if (!told.includes(name)) throw new CommittedEarlierError(transaction, named(run.runId), name);
  };
  try {
    clear(await workflows().getHandle(workflowId, runId).describe(), TOLD_NOTHING);
  } catch (error) {
    throw error instanceof WorkflowNotFoundError
      ? new CommittedEarlierError(transaction, named(runId), 'unknown')
      : error;
  }
  // Where it is not known which run it was, it may have been any.
  const others = runId === undefined ? TOLD_NOTHING : [...TOLD_NOTHING, ...TOLD_NO];
  for (const run of await otherRunsOf(workflowId)) clear(run, run.runId === runId ? TOLD_NOTHING : others);
}

/** Ends of runs that have told nobody anything: whoever asks goes on with what they did. */
const TOLD_NOTHING: readonly string[] = ['TERMINATED', 'TIMED_OUT'];
/** And that have told that it did not commit, where they were not the ones who did it. It may not have been attempted. */
const TOLD_NO: readonly string[] = ['FAILED', 'CANCELLED'];

/** All that Temporal shows, but for the run that asks. */
async function otherRunsOf(workflowId: string): Promise<readonly WorkflowExecutionInfo[]> {
  const own = Context.current().info.workflowExecution?.runId;
  const runs: WorkflowExecutionInfo[] = [];
  try {
    // Those of workflows that give their transactions ids of their own have any characters.
    const quoted = workflowId.replaceAll(/['\\]/g, '\\$&');
    for await (const run of workflows().list({ query: `WorkflowId = '${quoted}'` })) runs.push(run);
  } catch (error) {
    // Temporal's time-skipping server shows none, and resets none.
    if (!isUnimplemented(error)) throw error;
  }
  return runs.filter(({ runId }) => runId !== own);
}

/** Of gRPC. */
const UNIMPLEMENTED = 12;
const isUnimplemented = (error: unknown): boolean =>
  error instanceof Error && isGrpcServiceError(error.cause) && Number(error.cause.code) === UNIMPLEMENTED;
