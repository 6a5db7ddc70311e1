/**
 * Keeps a workflow from ending before its transactions have: what its function has come to is told when they are at their ends. Where it has
 * failed they are turned back first. Loaded into the sandbox by the bundler, and nowhere else, see `workflowBundleOptions` of
 * temporal-txn/worker.
 */
import { CancellationScope, CancelledFailure, ContinueAsNew, TemporalFailure } from '@temporalio/workflow';
import type { WorkflowInterceptors } from '@temporalio/workflow';
import { failTask } from './fail-task';
import { watchWorkflow } from './open-transactions';
import type { OpenTransactions } from './open-transactions';

/** Tells a bundle of workflows that was made with this module: so nothing else in a bundle may import it. */
const mark = 'temporal-txn: workflows end after their transactions';

export const interceptors = Object.assign(watching, { mark });

function watching(): WorkflowInterceptors {
  const open = watchWorkflow();
  return {
    inbound: [
      {
        async execute(input, next) {
          let result: unknown;
          try {
            result = await next(input);
          } catch (error) {
            throw open.areOpen ? await afterAll(open, error) : error;
          }
          if (open.areOpen) await open.untilEnded();
          return result;
        },
      },
    ],
  };
}

/** @returns what the workflow ends with */
async function afterAll(open: OpenTransactions, error: unknown): Promise<unknown> {
  if (error instanceof TemporalFailure) {
    await open.untilTurnedBack();
    return error;
  }
  // A bug, even where such an error may fail the workflow: what is open goes on once it is mended.
  if (!(error instanceof ContinueAsNew)) return failTask(error);
  const scope = CancellationScope.current();
  const wasCancelled = scope.consideredCancelled;
  await open.untilEnded();
  // The function hears of nothing any more, and the next run would not be asked to.
  return scope.consideredCancelled && !wasCancelled ? new CancelledFailure('Workflow cancelled') : error;
}
