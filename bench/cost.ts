/**
 * What a workflow costs by its history. Billable actions are counted as Temporal Cloud counts them, for what can be seen
 * in a history: queries and heartbeats leave no event.
 *
 * @see https://docs.temporal.io/cloud/actions
 */
import type { WorkflowHandle } from '@temporalio/client';

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];

export interface Cost {
  readonly events: number;
  readonly workflowTasks: number;
  /** Attempts that failed count too. */
  readonly activities: number;
  readonly timers: number;
  readonly upserts: number;
  readonly actions: number;
}

export function costOf({ events }: History): Cost {
  const all = events ?? [];
  const count = (type: keyof HistoryEvent): number => all.filter((event) => event[type]).length;
  // A history keeps the start of an activity's last attempt only, with its number.
  const attempts = all.map((event) => event.activityTaskStartedEventAttributes?.attempt ?? 0);
  const activities = attempts.reduce((sum, attempt) => sum + attempt, 0);
  const timers = count('timerStartedEventAttributes');
  const upserts = count('upsertWorkflowSearchAttributesEventAttributes');
  const others =
    count('workflowExecutionStartedEventAttributes') +
    count('workflowExecutionSignaledEventAttributes') +
    count('workflowExecutionUpdateAcceptedEventAttributes') +
    count('startChildWorkflowExecutionInitiatedEventAttributes') +
    count('signalExternalWorkflowExecutionInitiatedEventAttributes') +
    count('markerRecordedEventAttributes');
  return {
    events: all.length,
    workflowTasks: count('workflowTaskCompletedEventAttributes'),
    activities,
    timers,
    upserts,
    actions: others + activities + timers + upserts,
  };
}
