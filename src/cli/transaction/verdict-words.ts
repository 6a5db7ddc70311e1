/** The words of a verdict, and what several kinds of transaction have in common. */
import type { TransactionReport } from '../../protocol';
import { printable } from '../printable';
import type { DatabaseLook } from './databases';
import type { Disagreement } from './disagreements';
import type { WorkflowLook } from './workflow';

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
