/** How a transaction ended, for people and for programs. */
import type { CompensationFate, SagaReport, StepFate } from 'temporal-txn/client';
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

function tellFate(fate: StepFate): string {
  switch (fate.kind) {
    case 'not-done':
      return `refused: ${fate.refusal.code}`;
    case 'unknown':
      return `unknown: ${fate.cause}`;
    case 'held':
      return `held: ${fate.cause}`;
    case 'resolved':
      return `resolved as ${fate.as} by ${fate.by}`;
    case 'skipped':
      return `skipped by ${fate.by}`;
    case 'running':
    case 'done':
      return fate.kind;
  }
}

function tellCompensation(fate: CompensationFate): string {
  switch (fate.kind) {
    case 'not-needed':
      return '–';
    case 'held':
      return `held: ${fate.cause}`;
    case 'resolved':
    case 'skipped':
      return `${fate.kind} by ${fate.by}: ${fate.reason}`;
    case 'armed':
    case 'running':
    case 'compensated':
    case 'nothing-to-compensate':
      return fate.kind;
  }
}
