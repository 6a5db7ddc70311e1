/**
 * The command `accept`: keeps that a person has looked at a branch that did otherwise than decided, and has put things right by
 * other means or lets it stand. It believes nobody: only what the audit itself finds, twice, can be accepted, and only as it is.
 */
import { branchKeyOf, listPrepared, recordAcceptance } from '../participant';
import type { BranchId, Decision } from '../protocol';
import { lookTwice } from './audit/audit';
import type { AuditReport } from './audit/audit';
import type { Deed, Finding } from './audit/judge-decision';
import { ALL_PREPARED } from './audit/look';
import { openCase } from './case';
import type { Question } from './case';
import type { Coordinators } from './coordinators';
import { reach } from './databases';
import type { Database } from './databases';
import { InvalidArgument, NothingToAccept, RegisterUnreadable, SeveralToAccept } from './errors';
import { ExitCode } from './exit-code';
import { printable } from './printable';
import { databaseOf } from './resolve';
import type { Answer } from './table';
import { nameOf } from './target';
import type { Target } from './target';
import { tellAcceptance, tellAcceptedBefore } from './tell-acceptance';

export interface AcceptRequest extends Question {
  /** Which branch, where the target does not say it. */
  readonly branch?: BranchId;
  readonly by: string;
  readonly reason: string;
  readonly mode: 'dry-run' | 'apply';
  /** Pause before what looks wrong is looked at again, in milliseconds. */
  readonly pauseMs: number;
}

/** Something that can be accepted. */
type Contradiction = Finding & { readonly deed: Deed };

/** A branch that did otherwise than decided, with everything that the audit finds of that. */
export interface Contradictory {
  readonly participant: string;
  readonly branchKey: string;
  readonly name: string;
  readonly findings: readonly [Contradiction, ...Contradiction[]];
}

/** Which branch is meant; all of the transaction when neither is given. */
interface Wanted {
  readonly participant?: string;
  readonly branchKey?: string;
}

/**
 * Accepts one branch, or says what that would be.
 *
 * @throws {CommandError} when there is nothing to accept, or more than one branch
 */
export async function accept(
  databases: readonly Database[],
  coordinators: Coordinators,
  request: AcceptRequest,
): Promise<Answer> {
  const { target, namespace, patience, pauseMs, by, reason, mode } = request;
  const wanted = wantedOf(target, request.branch);
  const limits = { namespace, graceMs: patience.graceMs, purgedAfterMs: Infinity, only: new Set([target.key]) };
  const report = await lookTwice(databases, limits, pauseMs);
  const found = contradictoryIn(report.findings, wanted);
  const [one, another] = found;
  if (one !== undefined && another !== undefined)
    throw new SeveralToAccept(
      nameOf(target),
      found.map(({ participant, name }) => `${name} at ${participant}`),
    );
  await refusePrepared(databases, request, one ?? wanted);
  if (one === undefined) {
    const before = report.accepted.filter((accepted) => isMeant(wanted, accepted));
    if (before.length > 0) return tellAcceptedBefore(report, before);
    throw await whyNothing(databases, coordinators, request, report, wanted);
  }
  const unread = one.findings.find(({ deed }) => deed.decision === 'unreadable');
  if (unread !== undefined) throw unreadable(report, unread.deed.register);
  if (mode === 'apply') await record(databaseOf(databases, one.participant), one, by, reason);
  return tellAcceptance(report, one, request);
}

function wantedOf(target: Target, branch: BranchId | undefined): Wanted {
  const branchKey = branch === undefined ? undefined : branchKeyOf(branch);
  if (target.kind === 'transaction') return branchKey === undefined ? {} : { branchKey };
  if (branchKey !== undefined && branchKey !== target.branch)
    throw new InvalidArgument('--branch', branch, 'It is not the branch of that gid: leave it out.');
  return { participant: target.participant, branchKey: target.branch };
}

const isMeant = (
  wanted: Wanted,
  { participant, branchKey }: { readonly participant: string; readonly branchKey: string },
): boolean => (wanted.participant ?? participant) === participant && (wanted.branchKey ?? branchKey) === branchKey;

function contradictoryIn(findings: readonly Finding[], wanted: Wanted): readonly Contradictory[] {
  const branches = new Map<string, Contradictory>();
  for (const one of findings) {
    if (!isContradiction(one)) continue;
    const { participant, deed } = one;
    const { branchKey } = deed;
    if (!isMeant(wanted, { participant, branchKey })) continue;
    const place = `${participant} ${branchKey}`;
    const before = branches.get(place);
    const name = one.branch === undefined ? undefined : printable(one.branch);
    branches.set(place, {
      participant,
      branchKey,
      name: name ?? before?.name ?? printable(one.gid ?? branchKey),
      findings: before === undefined ? [one] : [...before.findings, one],
    });
  }
  return [...branches.values()];
}

const isContradiction = (finding: Finding): finding is Contradiction => finding.deed !== undefined;

/** What is prepared has no outcome yet, whatever was done about the branch before. However young it is. */
async function refusePrepared(
  databases: readonly Database[],
  { target, namespace }: AcceptRequest,
  wanted: Wanted,
): Promise<void> {
  const { reached } = await reach(databases);
  for (const { participant, pool } of reached)
    for (const { gid, parts } of await listPrepared(pool, { participant, namespace }, ALL_PREPARED))
      if (parts?.transaction === target.key && isMeant(wanted, { ...parts, branchKey: parts.branch }))
        throw new NothingToAccept(
          gid,
          `is still prepared at ${participant}: it can still do as decided. See temporal-txn resolve ${gid}.`,
        );
}

async function whyNothing(
  databases: readonly Database[],
  coordinators: Coordinators,
  request: AcceptRequest,
  { findings, notLookedAt }: AuditReport,
  wanted: Wanted,
): Promise<Error> {
  // It throws where nobody knows the transaction.
  const { name, register, rows, evidence } = await openCase(databases, coordinators, request);
  if (register.says === 'unreadable') return unreadable({ notLookedAt }, register.participant);
  const shown = request.branch === undefined ? name : `${request.branch} of ${name}`;
  const known = [...rows, ...evidence.branches, ...(register.decided?.branches ?? [])];
  const isKnown = known.some(({ branch }) => branch !== undefined && branchKeyOf(branch) === wanted.branchKey);
  const absent = notLookedAt.map(({ participant }) => participant).join(', ');
  if (absent !== '')
    return new NothingToAccept(
      shown,
      `agrees with its decision as far as could be looked at. Not looked at: ${absent}. Try again when they answer.`,
      ExitCode.Incomplete,
    );
  if (request.branch !== undefined && !isKnown)
    return new NothingToAccept(shown, 'is not known: check --branch. temporal-txn audit names what can be accepted.');
  const [other] = findings.filter(({ branch }) =>
    [undefined, branch && branchKeyOf(branch)].includes(wanted.branchKey),
  );
  if (other !== undefined)
    return new NothingToAccept(
      shown,
      `is found by the audit as ${other.kind}, which is not a branch's doing and cannot be accepted: ${other.toDo}.`,
      ExitCode.NeedsPerson,
    );
  return new NothingToAccept(
    shown,
    register.says === 'none'
      ? 'is not decided, and nothing of it took effect: there is nothing to accept.'
      : `agrees with its decision, ${register.says}: there is nothing to accept. What is younger than --grace is not judged.`,
  );
}

const unreadable = ({ notLookedAt }: Pick<AuditReport, 'notLookedAt'>, register: string): RegisterUnreadable =>
  new RegisterUnreadable(
    register,
    notLookedAt.find(({ participant }) => participant === register)?.why ?? 'It is not configured.',
  );

async function record(
  { pool }: Database,
  { branchKey, findings }: Contradictory,
  by: string,
  reason: string,
): Promise<void> {
  const [{ key }] = findings;
  const transaction = findings.find((one) => one.transaction !== undefined)?.transaction;
  const branch = findings.find((one) => one.branch !== undefined)?.branch;
  await recordAcceptance(
    pool,
    {
      key,
      branchKey,
      by,
      reason,
      ...(transaction === undefined ? {} : { transaction }),
      ...(branch === undefined ? {} : { branch }),
    },
    findings.map(({ deed: { took, decision } }) => ({ took, ...(isDecision(decision) ? { decision } : {}) })),
  );
}

const isDecision = (said: Deed['decision']): said is Decision => said === 'commit' || said === 'abort';
