/** The words of a verdict, and what several kinds of transaction have in common. */
import type { TransactionReport } from '../../protocol';
import { printable, quoted } from '../printable';
import type { DatabaseLook } from './databases';
import type { Disagreement } from './disagreements';
import type { FoundWorkflow, WorkflowLook } from './workflow';

/** Whether somebody is needed. */
type Need =
  /** It has ended well, or goes on by itself. */
  | 'nobody'
  | 'person'
  /** Too little could be looked at to say so. */
  | 'unknown';

export interface Verdict {
  readonly need: Need;
  /** What to know first, in a sentence. */
  readonly first: string;
  /** Why it stands as it stands. */
  readonly why: string;
  /** What happens without anybody. */
  readonly byItself: string;
  /** What to type or do, in this order. Empty where there is nothing to do. */
  readonly toDo: readonly string[];
}

export interface Found {
  readonly id: string;
  readonly workflow: WorkflowLook;
  readonly reports: readonly TransactionReport[];
  readonly databases: DatabaseLook;
  readonly disagreements: readonly Disagreement[];
  readonly graceMs: number;
  /** Temporal namespace of the workflow. */
  readonly namespace: string;
}

export const NOTHING_KNOWN: Verdict = {
  need: 'unknown',
  first: 'Nothing is known of it.',
  why: '',
  byItself: 'Nothing is known.',
  toDo: [],
};

export function mixed(stays: readonly string[], cause: string): Verdict {
  return {
    need: 'person',
    first: `Somebody has to know: some effects stay and others do not${stays.length === 0 ? '' : ` (${stays.join('; ')})`}.`,
    why: `It ended mixed.${cause === '' ? '' : ` Cause: ${cause}.`}`,
    byItself: 'Nothing more: it has ended.',
    toDo: [
      'Make the business data agree by hand. Where the audit finds a branch, temporal-txn accept then keeps that it was put right.',
    ],
  };
}

export const well = (first: string, why: string): Verdict => ({
  need: 'nobody',
  first,
  why,
  byItself: 'Nothing more: it has ended.',
  toDo: [],
});

const at = (branch: string | undefined): string => (branch === undefined ? '' : ` at ${printable(branch)}`);

/** Why a transaction did not commit, as it says. */
export const causeOf = (report: TransactionReport): string =>
  'cause' in report && report.cause
    ? `${report.cause.kind}${at(report.cause.branch)}: ${printable(report.cause.message)}`
    : 'no cause was recorded';

/** The command by which a held step or branch is ruled on. */
export const rulingCommand = (
  verb: 'retry' | 'skip' | 'compensate',
  id: string,
  transaction: string,
  step: string,
): string =>
  `temporal-txn ${verb} ${id} --step ${step}${transaction === id ? '' : ` --transaction ${transaction}`} --by <you> --reason <why> --apply`;

/** How a workflow was ended from outside, by its status. */
export const HOW_INTERRUPTED: Readonly<Record<string, string>> = { TERMINATED: 'terminated', TIMED_OUT: 'timed out' };

/**
 * The command by which a group that was ended from outside hands over what it has begun. A run of it that was reset is not answered by any
 * participant, so every transaction that has not ended in it leaves it at once, with all that it has asked for.
 */
export const resetCommand = (group: string, namespace: string): string =>
  `temporal workflow reset --workflow-id ${quoted(group)}${namespace === 'default' ? '' : ` --namespace ${quoted(namespace)}`} --type LastWorkflowTask --reason '<why>'`;

/** Where a transaction is no workflow any more, and no group can hand it over. */
export const EXECUTE_AGAIN =
  'Execute it again with the same id and input: what was done answers from the branch logs, and it goes on from there.';

export const startWorker = ({ taskQueue }: FoundWorkflow): string =>
  `Start a worker of task queue ${printable(taskQueue)}.`;

/** A screen has room for so many. */
export const MOST_SHOWN = 10;

/** The first few lines, and of how many more there are. */
export const atMost = (lines: readonly string[], more: (n: number) => string): string[] =>
  lines.length <= MOST_SHOWN ? [...lines] : [...lines.slice(0, MOST_SHOWN), more(lines.length - MOST_SHOWN)];
