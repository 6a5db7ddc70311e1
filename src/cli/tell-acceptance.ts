/** The command `accept` in words. */
import type { AcceptRequest, Contradictory } from './accept';
import { tellAccepted } from './audit/accepted';
import type { Accepted } from './audit/accepted';
import type { AuditReport } from './audit/audit';
import { tellFinding } from './audit/tell';
import { ExitCode } from './exit-code';
import { count, printable } from './printable';
import type { Answer } from './table';
import { nameOf } from './target';

/** What was recorded, or would be. */
export function tellAcceptance(report: AuditReport, branch: Contradictory, request: AcceptRequest): Answer {
  const { target, by, reason, mode } = request;
  const { participant, name, findings } = branch;
  const rest = report.findings.filter((one) => !findings.some((mine) => mine === one)).length;
  const shown = `${name} of ${nameOf(target)} at ${participant}`;
  const heading =
    mode === 'dry-run'
      ? `Nothing was changed: this is a dry run. With --apply, it is kept that ${shown} was accepted, and nothing else is changed.`
      : `Changed: it is kept that ${shown} was accepted, and nothing else was changed. temporal-txn audit notes it from now on.`;
  const undecided = findings.some(({ deed }) => deed.decision === 'none');
  const lines = [
    heading,
    `${mode === 'dry-run' ? 'It would be' : 'It is'} kept in txn.acceptance at ${participant}: by ${printable(by)}, because: ${printable(reason)}`,
    ...(undecided
      ? ['Nothing is decided: should it be decided otherwise later, the audit finds this branch again.']
      : []),
    ...(rest > 0 ? [`${count(rest, 'other finding')} of this transaction: see temporal-txn audit.`] : []),
    ...notLookedAt(report),
    ...findings.map((finding) => `\n${tellFinding(finding, 'what was found')}`),
  ];
  return {
    exitCode: mode === 'dry-run' || rest > 0 ? ExitCode.NeedsPerson : exitCodeOf(report),
    text: lines.join('\n'),
    json: {
      changed: mode === 'apply',
      said: heading,
      participant,
      by,
      reason,
      findings,
      others: rest,
      notLookedAt: report.notLookedAt,
    },
  };
}

/** It was accepted before: whoever did it first is kept. */
export function tellAcceptedBefore(report: AuditReport, accepted: readonly Accepted[]): Answer {
  const rest = report.findings.length;
  const heading =
    rest > 0
      ? `Nothing was changed: it is accepted already, but ${count(rest, 'other finding')} of this transaction: see temporal-txn audit.`
      : 'Nothing was changed and nothing needs a person: it is accepted already.';
  return {
    exitCode: rest > 0 ? ExitCode.NeedsPerson : exitCodeOf(report),
    text: [heading, ...accepted.map(tellAccepted), ...notLookedAt(report)].join('\n'),
    json: { changed: false, said: heading, accepted, others: rest, notLookedAt: report.notLookedAt },
  };
}

const notLookedAt = (report: AuditReport): string[] =>
  report.notLookedAt.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`);

const exitCodeOf = (report: AuditReport): ExitCode =>
  report.notLookedAt.length > 0 ? ExitCode.Incomplete : ExitCode.Well;
