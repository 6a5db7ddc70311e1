/** How a transaction ended, for people and for programs. */
import { tellCompensation, tellFate } from 'temporal-txn/client';
import type { SagaReport } from 'temporal-txn/client';
import { table } from './table';

/** The report as a table. */
export function reportTable(report: SagaReport): string {
  const rows = report.steps.map(({ branch, fate, compensation }) => [
    branch,
    tellFate(fate),
    tellCompensation(compensation),
  ]);
  const cause = 'cause' in report && report.cause ? `\ncause: ${report.cause.message}` : '';
  return `${table(['step', 'outcome', 'compensation'], rows)}\n\noutcome: ${report.outcome}${cause}`;
}
