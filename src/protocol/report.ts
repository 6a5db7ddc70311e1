/** How a transaction stands or ended, whatever its protocol. */
import type { CommitReport } from './atomic-commit';
import type { SagaReport } from './saga';
import { needsAttention, stepOfInterest } from './saga-journal';
import type { BranchId } from './words';

export type TransactionReport =
  | SagaReport
  | CommitReport<'two-phase-commit'>
  | CommitReport<'three-phase-commit'>
  | CommitReport<'try-confirm-cancel'>;

/** Whether a report will not change any more. */
export function isEnded(report: TransactionReport): boolean {
  switch (report.outcome) {
    case 'committed':
    case 'aborted':
    case 'compensated':
    case 'mixed':
      return true;
    default:
      return false;
  }
}

/** Whether somebody has to look at it before it can end. */
export function isHeld(report: TransactionReport): boolean {
  return report.protocol === 'saga'
    ? needsAttention(report.steps)
    : report.branches.some(({ finish }) => finish.kind === 'held');
}

/** The first step or branch that a reader should look at: one that is held, or else the one that failed. */
export function branchOfInterest(report: TransactionReport): BranchId | undefined {
  if (report.protocol === 'saga') return stepOfInterest(report.steps)?.branch;
  const { branches } = report;
  return (
    branches.find(({ finish }) => finish.kind === 'held') ??
    branches.find(({ finish }) => finish.kind === 'overdue' || finish.kind === 'skipped') ??
    branches.find(({ vote }) => vote === 'abort')
  )?.branch;
}

/** Names of the participants that it has branches at, each once, sorted. */
export function participantsOf(report: TransactionReport): readonly string[] {
  const branches = report.protocol === 'saga' ? report.steps : report.branches;
  return [...new Set(branches.flatMap(({ participant }) => participant ?? []))].sort();
}
