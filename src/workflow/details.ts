/** The Current Details of the Web UI: a table of the steps, and when something waits for a person, the command that settles it. */
import type { WorkflowInfo } from '@temporalio/workflow';
import { tellCompensation, tellFate } from '../protocol';
import type { SagaReport, StepReport } from '../protocol';

export function detailsOf(reports: readonly SagaReport[], place: Place): string {
  return reports.map((report) => section(report, place, reports.length > 1)).join('\n\n');
}

type Place = Pick<WorkflowInfo, 'workflowId' | 'namespace'>;

/** The page takes its text from its address, and addresses have an end. */
const MOST_ROWS = 30;

function section(report: SagaReport, place: Place, oneOfSeveral: boolean): string {
  const held = report.steps.filter(isHeld);
  // What waits for a person comes first, and is in the table however long the saga is.
  const shown = new Set([...held, ...report.steps].slice(0, MOST_ROWS));
  const hidden = report.steps.length - shown.size;
  return [
    `**Saga ${report.id}: ${report.outcome}**`,
    '',
    ...causeOf(report),
    ...held.slice(0, 1).flatMap((step) => advice(step, place, oneOfSeveral ? report.id : undefined)),
    '| step | outcome | compensation |',
    '| --- | --- | --- |',
    ...report.steps.filter((step) => shown.has(step)).map(row),
    ...(hidden > 0 ? ['', `… and ${hidden} more: see the query "report".`] : []),
  ].join('\n');
}

const isHeld = ({ fate, compensation }: StepReport): boolean => fate.kind === 'held' || compensation.kind === 'held';

function causeOf(report: SagaReport): string[] {
  if (!('cause' in report) || !report.cause) return [];
  const { kind, branch, message } = report.cause;
  return [`Cause: ${kind}${branch === undefined ? '' : ` at ${branch}`}: ${cell(message)}`, ''];
}

/** Most steps are compensatable, and only the others are worth a word. */
const row = ({ branch, role, fate, compensation }: StepReport): string =>
  `| ${role === 'compensatable' ? branch : `${branch} (${role})`} | ${cell(tellFate(fate))} | ${cell(tellCompensation(compensation))} |`;

function advice(
  { branch, fate }: StepReport,
  { workflowId, namespace }: Place,
  transaction: string | undefined,
): string[] {
  const what = fate.kind === 'held' ? `Step ${branch}` : `The compensation of ${branch}`;
  const input = JSON.stringify({
    step: branch,
    ...(transaction === undefined ? {} : { transaction }),
    reason: '…',
    by: '…',
  });
  return [
    `**${what} waits for a person.** Nothing is lost. Mend the cause and send the update \`retryStep\`, here under More Actions, Send an Update, or with:`,
    '',
    '```',
    // In lines, because the page does not wrap them.
    `temporal workflow update execute --name retryStep \\`,
    `  --namespace ${namespace} --workflow-id ${workflowId} \\`,
    `  --input '${input}'`,
    '```',
    '',
    'Or give the step up (`skipStep`), or say that you settled it by other means (`resolve`).',
    '',
  ];
}

/** Messages come from anywhere: one that holds a bar, a line break or markup must not break the table. */
const cell = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[\\|`*_<>[\]]/g, (c) => `\\${c}`)
    .slice(0, 300);
