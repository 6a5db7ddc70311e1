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
  /** That the workflow received. */
  readonly signals: number;
  readonly updates: number;
  readonly actions: number;
}

export function costOf({ events }: History): Cost {
  const all = events ?? [];
  const count = (type: keyof HistoryEvent): number => all.filter((event) => event[type]).length;
  // A history keeps the start of an activity's last attempt only, with its number.
  const attempts = all.map((event) => event.activityTaskStartedEventAttributes?.attempt ?? 0);
  const activities = attempts.reduce((sum, attempt) => sum + attempt, 0);
  // All local activities of one workflow task are one action.
  const markedTasks = new Set(
    all.flatMap(({ markerRecordedEventAttributes: marker }) =>
      marker ? [String(marker.workflowTaskCompletedEventId)] : [],
    ),
  );
  const timers = count('timerStartedEventAttributes');
  const upserts = count('upsertWorkflowSearchAttributesEventAttributes');
  const signals = count('workflowExecutionSignaledEventAttributes');
  const updates = count('workflowExecutionUpdateAcceptedEventAttributes');
  const others =
    count('workflowExecutionStartedEventAttributes') +
    count('startChildWorkflowExecutionInitiatedEventAttributes') +
    count('signalExternalWorkflowExecutionInitiatedEventAttributes') +
    markedTasks.size;
  return {
    events: all.length,
    workflowTasks: count('workflowTaskCompletedEventAttributes'),
    activities,
    timers,
    upserts,
    signals,
    updates,
    actions: others + activities + timers + upserts + signals + updates,
  };
}

/**
 * What a transaction costs that has several workflows. A child or a signal that one of them sent to another is counted once,
 * where it arrived.
 */
export function costOfAll(histories: readonly History[]): Cost {
  const costs = histories.map((history) => {
    const sent = (history.events ?? []).filter(
      (event) =>
        event.startChildWorkflowExecutionInitiatedEventAttributes ??
        event.signalExternalWorkflowExecutionInitiatedEventAttributes,
    );
    const cost = costOf(history);
    return histories.length > 1 ? { ...cost, actions: cost.actions - sent.length } : cost;
  });
  const sum = (key: keyof Cost): number => costs.reduce((total, cost) => total + cost[key], 0);
  return {
    events: sum('events'),
    workflowTasks: sum('workflowTasks'),
    activities: sum('activities'),
    timers: sum('timers'),
    upserts: sum('upserts'),
    signals: sum('signals'),
    updates: sum('updates'),
    actions: sum('actions'),
  };
}
