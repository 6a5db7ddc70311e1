/**
 * What belongs together in a history: all that was asked for one branch, from its first try to its compensation, or from its
 * vote to its commit. Temporal keeps the marks with the events, for tools that show a branch as one group.
 */
import { createEventGroup } from '@temporalio/workflow';
import type { EventGroupMarker } from '@temporalio/workflow';

/** The id is not made from the label, as by default: several transactions of one workflow may have branches of one name. */
export const groupOf = (transaction: string, branch: string): EventGroupMarker =>
  createEventGroup(branch, { id: `${transaction}/${branch}` });

interface Question {
  readonly transaction?: unknown;
  readonly branch?: unknown;
  /** Of one for many branches: the questions. */
  readonly items?: readonly { readonly request: Question }[];
}

/** Of a question about a branch, or about many. One about a whole participant is in no group. */
export const groupsOf = ({ transaction, branch, items = [] }: Question): EventGroupMarker[] =>
  typeof transaction === 'string' && typeof branch === 'string'
    ? [groupOf(transaction, branch)]
    : items.flatMap(({ request }) => groupsOf(request));
