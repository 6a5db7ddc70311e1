/** The command `audit`: the report in words. */
import { parseBranchId } from '../../protocol';
import { readGid } from '../../participant';
import { ExitCode } from '../exit-code';
import { count, printable } from '../printable';
import { block } from '../table';
import type { Answer } from '../table';
import { transactionIdFor } from '../target';
import type { AuditReport } from './audit';
import type { Finding } from './judge-decision';

const EXIT_CODES: Readonly<Record<AuditReport['verdict'], ExitCode>> = {
  well: ExitCode.Well,
  'needs-a-person': ExitCode.NeedsPerson,
  incomplete: ExitCode.Incomplete,
  'nothing-looked-at': ExitCode.WrongUsage,
};

/** Puts a report into words. */
export function tellAudit(report: AuditReport): Answer {
  const { findings, notes, lookedAt, notLookedAt } = report;
  const lines = [
    `${summaryOf(report)} Nothing was changed.`,
    `Looked at ${count(lookedAt.length, 'database')}: ${lookedAt.join(', ') || 'none'}.`,
    ...notLookedAt.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`),
    ...(lookedAt.length === 0 ? [] : ['', tellCounts(report)]),
    ...findings.map((finding) => `\n${tellFinding(finding)}`),
    ...(notes.length === 0 ? [] : ['', ...notes.map((note) => `Note: ${note}`)]),
  ];
  return {
    exitCode: EXIT_CODES[report.verdict],
    text: lines.join('\n'),
    json: { changed: false, needPerson: findings.length, ...report },
  };
}

function summaryOf({ verdict, findings, counts }: AuditReport): string {
  switch (verdict) {
    case 'well':
      return counts.commits + counts.aborts + counts.prepared === 0
        ? 'Nothing needs a person: there is no transaction in the registers yet.'
        : 'Nothing needs a person.';
    case 'needs-a-person':
      return findings.length === 1 ? '1 finding needs a person.' : `${findings.length} findings need a person.`;
    case 'incomplete':
      return 'Nothing that was looked at needs a person, but not everything could be looked at.';
    case 'nothing-looked-at':
      return 'Nothing could be looked at, so nothing is known.';
  }
}

function tellCounts({ counts }: AuditReport): string {
  const {
    commits,
    aborts,
    compared,
    readOnly,
    notJudged,
    prepared,
    strangers,
    preparations,
    leftOver,
    heuristics,
    accepted,
  } = counts;
  return block('What was looked at', [
    ['transactions', `${commits + aborts} in the registers: ${commits} commit, ${aborts} abort`],
    ['branches', `${compared} compared with the decision, ${readOnly} read-only, ${notJudged} not judged`],
    ['prepared', `${prepared}, and ${strangers} of others, left alone`],
    ['preparations', `${preparations} recorded, ${leftOver} of them left to recovery`],
    ['by hand', String(heuristics)],
    ['accepted', String(accepted)],
  ]);
}

/** One finding, as a table. */
export function tellFinding(finding: Finding, what: 'all' | 'what was found' = 'all'): string {
  const { kind, participant, key, transaction, branch, gid, told, toDo } = finding;
  const then = acceptCommand(finding);
  return block(`${kind} at ${participant}`, [
    ['transaction', transaction === undefined ? `not recorded; its key is ${printable(key)}` : printable(transaction)],
    ...(branch === undefined ? [] : [['branch', printable(branch)] as const]),
    ...(gid === undefined ? [] : [['gid', printable(gid)] as const]),
    ['found', told],
    ...(what === 'all' ? [['to do', toDo] as const] : []),
    ...(what === 'all' && then !== undefined ? [['then', then] as const] : []),
  ]);
}

/** By what can be typed safely: records can hold anything. */
function acceptCommand({ deed, key, transaction, branch, gid }: Finding): string | undefined {
  if (deed === undefined) return undefined;
  const target = transaction === undefined ? undefined : transactionIdFor(transaction, key);
  if (target !== undefined && branch !== undefined && isBranchId(branch))
    return `temporal-txn accept ${target} --branch ${branch} --by <you> --reason <why>`;
  const [name = ''] = gid?.split('#') ?? [];
  return readGid(name) === undefined ? undefined : `temporal-txn accept ${name} --by <you> --reason <why>`;
}

function isBranchId(text: string): boolean {
  try {
    parseBranchId(text);
    return true;
  } catch {
    return false;
  }
}
