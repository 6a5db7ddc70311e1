/** The Current Details of the Web UI: a table of the steps, and when something waits for a person, the command that settles it. */
import type { WorkflowInfo } from '@temporalio/workflow';
import { tellCompensation, tellFate } from '../protocol';
import type { SagaReport, StepReport } from '../protocol';

export function detailsOf(
  reports: readonly SagaReport[],
  { workflowId, namespace }: Pick<WorkflowInfo, 'workflowId' | 'namespace'>,
): string {
  return reports.map((report) => section(report, { workflowId, namespace })).join('\n\n');
}

interface Place {
  readonly workflowId: string;
  readonly namespace: string;
}

function section(report: SagaReport, place: Place): string {
  const cause = 'cause' in report && report.cause ? [`Cause: ${cell(report.cause.message)}`, ''] : [];
  const held = report.steps.filter(({ fate, compensation }) => fate.kind === 'held' || compensation.kind === 'held');
  return [
    `**Saga ${report.id}: ${report.outcome}**`,
    '',
    ...cause,
    '| step | at | role | outcome | compensation |',
    '| --- | --- | --- | --- | --- |',
    ...report.steps.map(row),
    ...held.flatMap((step) => advice(step, report.id, place)),
  ].join('\n');
}

const row = ({ branch, participant, role, fate, compensation }: StepReport): string =>
  `| ${branch} | ${participant ?? 'this workflow'} | ${role} | ${cell(tellFate(fate))} | ${cell(tellCompensation(compensation))} |`;

function advice({ branch, fate }: StepReport, transaction: string, { workflowId, namespace }: Place): string[] {
  const what = fate.kind === 'held' ? `Step ${branch}` : `The compensation of ${branch}`;
  const input = JSON.stringify({ step: branch, transaction, reason: '…', by: '…' });
  const command = (name: string): string =>
    `temporal workflow update execute --namespace ${namespace} --workflow-id ${workflowId} --name ${name} --input '${input}'`;
  return [
    '',
    `**${what} waits for a person.** Nothing is lost: it goes on as soon as you rule. Mend the cause and try again:`,
    '',
    '```',
    command('retryStep'),
    '```',
    '',
    'or give it up (`--name skipStep`), or say that you settled it by other means (`--name resolve`). The same updates are under "Send an Update" above.',
  ];
}

/** Messages come from anywhere: one that holds a bar, a line break or markup must not break the table. */
const cell = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[\\|`*_<>[\]]/g, (c) => `\\${c}`)
    .slice(0, 300);
