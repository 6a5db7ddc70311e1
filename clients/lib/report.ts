/** How a transaction ended, for people and for programs. */
import { tellCompensation, tellFate, tellFinish, tellVote } from 'temporal-txn/client';
import type { TransactionReport } from 'temporal-txn/client';
import { table } from './table';

/** The report as a table. */
export function reportTable(report: TransactionReport): string {
  const cause = 'cause' in report && report.cause ? `\ncause: ${report.cause.message}` : '';
  return `${lines(report)}\n\noutcome: ${report.outcome}${cause}`;
}

function lines(report: TransactionReport): string {
  if (report.protocol !== 'saga') {
    const rows = report.branches.map((branch) => [branch.branch, tellVote(branch), tellFinish(branch.finish)]);
    const heads =
      report.protocol === 'try-confirm-cancel'
        ? ['reservation', 'try', 'confirmed or cancelled']
        : ['branch', 'vote', 'followed the decision'];
    return table(heads, rows);
  }
  const rows = report.steps.map(({ branch, fate, compensation }) => [
    branch,
    tellFate(fate),
    tellCompensation(compensation),
  ]);
  return table(['step', 'outcome', 'compensation'], rows);
}
