/** The Current Details of the Web UI: a table of the steps or branches, and when something waits for a person, the command that settles it. */
import type { WorkflowInfo } from '@temporalio/workflow';
import { idInDatabases, tellCompensation, tellFate, tellFinish, tellVote } from '../protocol';
import type {
  BranchId,
  BranchReport,
  CommitProtocol,
  CommitReport,
  SagaReport,
  StepReport,
  TransactionReport,
} from '../protocol';
import { cell, table } from './markdown';

export function detailsOf(reports: readonly TransactionReport[], place: Place): string {
  const several = reports.length > 1;
  return reports
    .map((report) => (report.protocol === 'saga' ? sagaSection : commitSection)(report as never, place, several))
    .join('\n\n');
}

type Place = Pick<WorkflowInfo, 'workflowId' | 'namespace'>;

/** The page takes its text from its address, and addresses have an end. */
const MOST_ROWS = 30;

function sagaSection(report: SagaReport, place: Place, oneOfSeveral: boolean): string {
  const held = report.steps.filter(isHeld);
  // What waits for a person comes first, and is in the table however long the saga is.
  const shown = new Set([...held, ...report.steps].slice(0, MOST_ROWS));
  const hidden = report.steps.length - shown.size;
  return [
    `**Saga ${report.id}: ${report.outcome}**`,
    '',
    ...causeOf(report),
    ...held
      .slice(0, 1)
      .flatMap((step) => [
        ...advice(whatWaits(step), step.branch, place, oneOfSeveral ? report.id : undefined),
        ...OTHER_WAYS,
      ]),
    ...table(['step', 'outcome', 'compensation'], report.steps.filter((step) => shown.has(step)).map(row)),
    ...(hidden > 0 ? ['', `… and ${hidden} more: see the query "report".`] : []),
  ].join('\n');
}

function commitSection(report: CommitReport, place: Place, oneOfSeveral: boolean): string {
  const held = report.branches.filter(({ finish }) => finish.kind === 'held');
  const decided = report.decision === undefined ? '' : `, decided: ${report.decision}`;
  return [
    `**${TITLES[report.protocol]} ${report.id}: ${report.outcome}${decided}**`,
    '',
    ...causeOf(report),
    ...held.slice(0, 1).flatMap(({ branch }) => [
      ...advice(`Branch ${branch}`, branch, place, oneOfSeveral ? report.id : undefined),
      // Nobody can take the place of the register: the desk refuses both.
      ...(report.decision === undefined ? [] : OTHER_WAYS),
    ]),
    ...(report.outcome === 'overdue' || held.length > 0 ? [...evidence(report), ''] : []),
    ...table(
      report.protocol === 'try-confirm-cancel'
        ? ['reservation', 'try', 'confirmed or cancelled']
        : ['branch', 'vote', 'followed the decision'],
      report.branches.map(commitRow),
    ),
    ...(report.attempts > 1 ? ['', `Tried ${report.attempts} times, because of contention.`] : []),
  ].join('\n');
}

const TITLES: Readonly<Record<CommitProtocol, string>> = {
  'two-phase-commit': 'Two-phase commit',
  'three-phase-commit': 'Three-phase commit',
  'try-confirm-cancel': 'Try-confirm-cancel',
};

/** Who may look into the databases sees there which side is right. */
const evidence = (report: CommitReport): string[] => [
  '```',
  `temporal-txn in-doubt`,
  `temporal-txn resolve ${idInDatabases(report)}`,
  '```',
];

const commitRow = (report: BranchReport, position: number): string[] => [
  position === 0 ? `${report.branch} (primary)` : report.branch,
  cell(tellVote(report)),
  cell(tellFinish(report.finish)),
];

const isHeld = ({ fate, compensation }: StepReport): boolean => fate.kind === 'held' || compensation.kind === 'held';

function causeOf(report: TransactionReport | CommitReport): string[] {
  if (!('cause' in report) || !report.cause) return [];
  const { kind, branch, message } = report.cause;
  return [`Cause: ${kind}${branch === undefined ? '' : ` at ${branch}`}: ${cell(message)}`, ''];
}

/** Most steps are compensatable, and only the others are worth a word. */
const row = ({ branch, role, fate, compensation }: StepReport): string[] => [
  role === 'compensatable' ? branch : `${branch} (${role})`,
  cell(tellFate(fate)),
  cell(tellCompensation(compensation)),
];

const whatWaits = ({ branch, fate }: StepReport): string =>
  fate.kind === 'held' ? `Step ${branch}` : `The compensation of ${branch}`;

function advice(
  what: string,
  branch: BranchId,
  { workflowId, namespace }: Place,
  transaction: string | undefined,
): string[] {
  const input = JSON.stringify({
    step: branch,
    ...(transaction === undefined ? {} : { transaction }),
    reason: '…',
    by: '…',
  });
  return [
    `**${what} waits for a person.** Nothing is lost. Mend the cause, then send the update \`retryStep\`: here under More Actions, Send an Update, with the data`,
    '',
    '```',
    input,
    '```',
    '',
    'or from a terminal:',
    '',
    '```',
    // In lines, because the page does not wrap them.
    `temporal workflow update execute --name retryStep \\`,
    `  --namespace ${namespace} --workflow-id ${workflowId} \\`,
    '  --input \\',
    `  '${input}'`,
    '```',
    '',
  ];
}

const OTHER_WAYS: readonly string[] = [
  'With the same data, `skipStep` gives the step up, and `resolve` says that you settled it by other means.',
  '',
];
