/** When a workflow that has no end begins anew. */
import { patched, workflowInfo } from '@temporalio/workflow';

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Before its history grows too long, and once a day: what the run before was begun with, told and answered is needed no more then. So a
 * key that was replaced may go although the workflow has been there since before it, and is there still.
 */
export function isTimeToBeginAnew(): boolean {
  const { continueAsNewSuggested, runStartTime } = workflowInfo();
  if (continueAsNewSuggested) return true;
  // Runs that the version before has taken past a day go on as they did.
  return Date.now() - runStartTime.getTime() >= DAY_MS && patched('temporal-txn-begin-anew-daily');
}
