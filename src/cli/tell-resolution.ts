/** The command `resolve` in words: the case, and what was done or would be done about it. */
import type { Registered } from '../participant';
import type { Decision } from '../protocol';
import { covers } from './audit/accepted';
import { judgeDecision } from './audit/judge-decision';
import type { Finding } from './audit/judge-decision';
import { proposalFor } from './case';
import type { Case } from './case';
import type { CommandError } from './errors';
import { ExitCode } from './exit-code';
import { tellBranch } from './in-doubt';
import { count, printable } from './printable';
import type { ResolveRequest, Settled } from './resolve';
import type { Answer } from './table';

export type Resolution =
  /** Nothing was done: it was not asked for, or there is nothing to do. */
  | { readonly kind: 'planned'; readonly refused?: CommandError }
  | {
      readonly kind: 'done';
      readonly decided: Registered;
      /** Whether the register had nothing before. */
      readonly proposed: boolean;
      readonly settled: readonly Settled[];
    };

/** Puts it into words. */
export function tellResolution(found: Case, resolution: Resolution, request: ResolveRequest): Answer {
  const findings = contradictions(found, request.patience.graceMs);
  const { heading, exitCode } =
    resolution.kind === 'planned'
      ? tellPlan(found, resolution.refused, findings.length, request)
      : tellDone(found, resolution, findings.length);
  const settled = resolution.kind === 'done' ? resolution.settled : [];
  const lines = [
    heading,
    ...found.notLookedAt.map(
      ({ participant, why }) => `Not looked at: ${participant}. ${why} Run it again when it answers.`,
    ),
    ...found.acceptances.map(
      ({ participant, branch, branchKey, took, by, reason }) =>
        `${participant}: ${printable(branch ?? branchKey)}: that it took ${took} is accepted by ${printable(by)}: ${printable(reason)}`,
    ),
    ...findings.map(({ participant, branch, told }) => `${participant}: ${printable(branch ?? '')}: ${told}`),
    ...settled.map((one) => `${one.found.participant}: ${printable(one.found.gid)}: ${tellSettled(one)}`),
    ...found.rows.map(
      ({ participant, branch, state }) =>
        `${participant}: the branch log has ${printable(branch)} as ${state}${resolution.kind === 'done' ? ', before this' : ''}.`,
    ),
    ...(resolution.kind === 'done' ? ['', 'As it was found:'] : []),
    ...found.evidence.branches.map(
      (branch) =>
        `\n${tellBranch(branch, request.patience.graceMs, resolution.kind === 'done' ? 'facts' : 'facts and verdict')}`,
    ),
  ];
  return { exitCode, text: lines.join('\n'), json: toValue(found, resolution, findings, heading) };
}

interface Heading {
  readonly heading: string;
  readonly exitCode: ExitCode;
}

function tellPlan(
  { name, evidence, register, notLookedAt }: Case,
  refused: CommandError | undefined,
  contradictory: number,
  { by, mode }: ResolveRequest,
): Heading {
  const n = evidence.branches.length;
  if (refused) return { heading: refused.message, exitCode: refused.exitCode };
  if (n === 0) {
    const decided = `${name} is decided ${register.says}, and none of its branches is in doubt.`;
    if (contradictory > 0)
      return {
        heading: `Nothing was changed: ${decided} But ${count(contradictory, 'branch does', 'branches do')} not agree with that, and a person has to look.`,
        exitCode: ExitCode.NeedsPerson,
      };
    return {
      heading: `Nothing was changed and nothing needs a person: ${decided}`,
      exitCode: notLookedAt.length > 0 ? ExitCode.Incomplete : ExitCode.Well,
    };
  }
  const would =
    register.says === 'none'
      ? `${proposalFor(evidence.branches)} is proposed to the register at ${register.participant}, by ${printable(by)}, and ${count(n, 'branch does', 'branches do')} what it says then`
      : `${count(n, 'branch does', 'branches do')} what the register at ${register.participant} says: ${register.says}`;
  const dry = mode === 'dry-run' ? 'this is a dry run. ' : '';
  return { heading: `Nothing was changed: ${dry}With --apply, ${would}.`, exitCode: ExitCode.NeedsPerson };
}

function tellDone(
  { name, register, notLookedAt }: Case,
  { decided, proposed, settled }: Extract<Resolution, { kind: 'done' }>,
  contradictory: number,
): Heading {
  const followed = settled.filter(hasFollowed(decided.decision)).length;
  const how = proposed
    ? `is now decided ${decided.decision} in the register at ${register.participant}`
    : `was decided ${decided.decision} before`;
  const other = settled.length - followed;
  const left = other === 0 && contradictory === 0 ? 'None of them needs a person any more.' : 'A person has to look.';
  return {
    heading: `Changed: ${name} ${how}, and ${followed} of ${count(settled.length, 'branch', 'branches')} did so. ${left}`,
    exitCode:
      other > 0 || contradictory > 0
        ? ExitCode.NeedsPerson
        : notLookedAt.length > 0
          ? ExitCode.Incomplete
          : ExitCode.Well,
  };
}

/** What belongs to another request was rolled back, and that is all that an abort asks for. */
const hasFollowed =
  (decision: Decision) =>
  ({ ack }: Settled): boolean =>
    ack.kind === 'applied' || (ack.kind === 'foreign' && decision === 'abort');

function tellSettled(settled: Settled): string {
  const { ack } = settled;
  switch (ack.kind) {
    case 'applied':
      return 'done as decided.';
    case 'heuristic':
      return `HEURISTIC: it was finished by hand as ${ack.took}. ${ack.evidence}`;
    case 'lost':
      return `LOST: ${ack.evidence}`;
    case 'foreign':
      return ack.evidence;
    case 'not-done':
      return `not done: ${ack.why}`;
  }
}

/** What stands in the branch logs against the decision, and nobody has accepted. */
function contradictions({ register, rows, evidence, acceptances }: Case, graceMs: number): readonly Finding[] {
  const { decided } = register;
  if (decided === undefined) return [];
  const isListed = (participant: string, _: string, branch: string): boolean =>
    evidence.branches.some(
      (one) => one.participant === participant && (one.branch === branch || one.branch === undefined),
    );
  return judgeDecision(
    { ...decided, ageMs: Date.now() - decided.decidedAt.getTime() },
    register.participant,
    {
      participants: evidence.lookedAt,
      rowsAt: (participant) =>
        evidence.lookedAt.includes(participant) ? rows.filter((row) => row.participant === participant) : undefined,
      preparedAs: (...place) => (isListed(...place) ? 'ours' : undefined),
    },
    { graceMs, purgedAfterMs: Infinity },
  ).findings.filter(
    (one) => !acceptances.some((acceptance) => acceptance.participant === one.participant && covers(acceptance, one)),
  );
}

function toValue(found: Case, resolution: Resolution, findings: readonly Finding[], said: string): unknown {
  const { name, evidence, register, running, rows, acceptances, notLookedAt } = found;
  return {
    changed: resolution.kind === 'done',
    said,
    name,
    register,
    ...(running === undefined ? {} : { running }),
    notLookedAt,
    findings,
    rows,
    acceptances,
    branches: evidence.branches,
    ...(resolution.kind === 'done'
      ? {
          decision: resolution.decided,
          settled: resolution.settled.map((one) => ({
            gid: one.found.gid,
            followed: hasFollowed(resolution.decided.decision)(one),
            ...one.ack,
          })),
        }
      : {}),
  };
}
