/** The command `show`: one page of a transaction, with its branches as the workflow reports them and as the databases have them. */
import { idInDatabases, isGroupId, tellCompensation, tellFate, tellFinish, tellVote } from '../../protocol';
import type { TransactionReport } from '../../protocol';
import { tellAccepted } from '../audit/accepted';
import { tellFinding } from '../audit/tell';
import { age, printable } from '../printable';
import { block } from '../table';
import type { Answer } from '../table';
import { duration } from '../timeline/scale';
import type { BranchEvidence } from '../evidence';
import { rowOf } from './disagreements';
import type { Standing } from './look';
import { needyIn } from './verdict-group';
import { atMost, MOST_SHOWN } from './verdict-words';
import type { DatabaseLook, Row } from './databases';
import type { WorkflowLook } from './workflow';

/** Puts everything on one page. */
export function tellStanding(standing: Standing): Answer {
  const { id, workflow, verdict, reports, databases, disagreements, exitCode } = standing;
  const { findings, accepted, lookedAt, notLookedAt } = databases;
  const isGroup = isGroupId(id);
  const isOneOfMany = isGroup || reports.length > 1;
  const shown = isGroup && workflow.kind === 'found' ? needyIn(standing, workflow) : reports;
  const several = isGroup ? MOST_SHOWN : shown.length;
  const lines = [
    `${verdict.first} Nothing was changed.`,
    '',
    block(printable(id), factsOf(standing)),
    ...shown.slice(0, several).flatMap((report) => ['', tellReport(report, databases, isOneOfMany)]),
    ...(shown.length > several
      ? ['', `And ${shown.length - several} more: see -o json, or temporal-txn show <transaction-id>.`]
      : []),
    ...unreported(standing),
    '',
    `Looked at ${lookedAt.length === 0 ? 'no database' : `the databases of ${lookedAt.join(', ')}`}.`,
    ...notLookedAt.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`),
    ...atMost(
      disagreements.map(
        ({ branch, transaction, participant, told }) =>
          `DISAGREEMENT: ${printable(branch)}${isOneOfMany ? ` of ${printable(transaction)}` : ''} at ${participant}: ${told}.`,
      ),
      (n) => `And ${n} more DISAGREEMENTS: see -o json.`,
    ),
    ...accepted.map((one) => `Note: ${tellAccepted(one)}`),
    ...atMost(
      findings.map((finding) => `\n${tellFinding(finding)}`),
      (n) => `\nAnd ${n} more: see temporal-txn audit.`,
    ),
    '',
    ...(verdict.toDo.length === 0 ? ['To do: nothing.'] : ['To do:', ...verdict.toDo.map((one) => `  ${one}`)]),
  ];
  return { exitCode, text: lines.join('\n'), json: valueOf(standing) };
}

function factsOf({ id: asked, workflow, reports, databases, verdict }: Standing): [string, string][] {
  const { decisions } = databases;
  const rows: [string, string][] = [];
  const why: [string, string][] = verdict.why === '' ? [] : [['why', verdict.why]];
  if (workflow.kind === 'found') {
    const { id, type, status, startedAt, closedAt } = workflow;
    const where = id !== asked && isGroupId(id) ? `, in ${printable(id)}` : '';
    const took =
      closedAt === undefined
        ? ''
        : `, ended ${closedAt.toISOString()} (${duration(closedAt.getTime() - startedAt.getTime())})`;
    rows.push(['workflow', `${printable(type)}, ${status}${where}`], ['started', `${startedAt.toISOString()}${took}`]);
    if (workflow.report.kind === 'no-worker') rows.push(['report', `none: ${workflow.report.why}`]);
  } else {
    rows.push(['workflow', workflow.kind === 'down' ? `not looked at: ${workflow.why}` : tellUnknown(workflow)]);
  }
  // A group has one for each of its transactions, and the first line counts them.
  if (isGroupId(asked)) return [...rows, ...why];
  for (const { id, protocol, outcome } of reports)
    rows.push(['protocol', reports.length > 1 ? `${protocol} (${printable(id)})` : protocol], ['status', outcome]);
  for (const { participant, decision, by, ageMs, transaction } of decisions)
    rows.push([
      'register',
      `${decision} (at ${participant}), by ${printable(by)}, ${age(ageMs)} ago${decisions.length > 1 ? `, for ${printable(transaction)}` : ''}`,
    ]);
  return [...rows, ...why];
}

const tellUnknown = ({ begunIn }: Extract<WorkflowLook, { kind: 'unknown' }>): string =>
  `Temporal does not know it, or has forgotten it${begunIn === undefined ? '' : `; begun in ${printable(begunIn.group)}`}`;

function tellReport(report: TransactionReport, look: DatabaseLook, several: boolean): string {
  const id = idInDatabases(report);
  const title = several ? [`Of ${printable(report.id)}:`] : [];
  const lines =
    report.protocol === 'saga'
      ? [
          ['step', 'at', 'outcome', 'compensation', 'in the database'],
          ...report.steps.map((step) => [
            step.role === 'compensatable' ? step.branch : `${step.branch} (${step.role})`,
            step.participant ?? '-',
            tellFate(step.fate),
            tellCompensation(step.compensation),
            inDatabase(look, id, step),
          ]),
        ]
      : [
          ['branch', 'at', 'vote', 'decision', 'followed', 'in the database'],
          ...report.branches.map((branch, i) => [
            i === 0 ? `${branch.branch} (primary)` : branch.branch,
            branch.participant ?? '-',
            tellVote(branch),
            report.decision ?? '-',
            tellFinish(branch.finish),
            inDatabase(look, id, branch),
          ]),
        ];
  return [...title, columns(lines)].join('\n');
}

function inDatabase(
  look: DatabaseLook,
  transaction: string,
  branch: { readonly branch: string; readonly participant?: string },
): string {
  const { participant } = branch;
  if (participant === undefined) return '-';
  if (!look.lookedAt.includes(participant)) return 'not looked at';
  const row = rowOf(look, transaction, branch);
  if (row !== undefined) return row.state;
  const found = look.inDoubt.find(
    (one) => one.branch === branch.branch && one.participant === participant && one.transaction === transaction,
  );
  return found === undefined ? 'nothing' : tellPrepared(found);
}

const tellPrepared = ({ prepared, ageMs, gid }: BranchEvidence): string =>
  prepared ? `prepared ${age(ageMs)} ago (${gid})` : `asked to prepare ${age(ageMs)} ago, and not prepared`;

/** What is in the databases and no report names: all there is where Temporal does not answer. */
function unreported({ reports, databases }: Standing): string[] {
  const isReported = (transaction: string | undefined, branch: string | undefined): boolean =>
    reports.some(
      (report) =>
        idInDatabases(report) === transaction &&
        (report.protocol === 'saga' ? report.steps : report.branches).some((one) => one.branch === branch),
    );
  const rows = databases.rows.filter((row: Row) => !isReported(row.transaction, row.branch));
  const prepared = databases.inDoubt.filter(({ transaction, branch }) => !isReported(transaction, branch));
  if (rows.length + prepared.length === 0) return [];
  return [
    '',
    columns([
      ['branch', 'of', 'at', 'in the database'],
      ...rows.map(({ branch, transaction, participant, state }) => [branch, transaction, participant, state]),
      ...prepared.map((one) => [
        one.branch ?? 'not recorded',
        one.transaction ?? 'not recorded',
        one.participant,
        tellPrepared(one),
      ]),
    ]),
  ];
}

/** Rows of cells below each other, escaped: reasons and messages come from anywhere. */
function columns(rows: readonly (readonly string[])[]): string {
  const told = rows.map((row) => row.map((cell) => printable(cell.replaceAll('–', '-'))));
  const widths = (told[0] ?? []).map((_, i) => Math.max(...told.map((row) => row[i]?.length ?? 0)));
  return told.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}

function valueOf({ id, workflow, reports, databases, disagreements, verdict }: Standing): unknown {
  const {
    events: _,
    pending: __,
    report: ___,
    ...told
  } = workflow.kind === 'found' ? workflow : { ...workflow, events: [], pending: [], report: undefined };
  return { changed: false, id, needs: verdict.need, verdict, workflow: told, reports, databases, disagreements };
}
