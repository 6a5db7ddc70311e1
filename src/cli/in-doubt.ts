/** The command `in-doubt`: what waits for a decision or for being finished, what to think of it, and what to type. */
import type { BranchEvidence, Evidence, StrangerEvidence } from './evidence';
import { ExitCode } from './exit-code';
import { age, count, printable } from './printable';
import { block } from './table';
import type { Answer } from './table';
import { looksLikeGid, transactionIdFor } from './target';

/** Whose move it is. */
type Standing =
  /** Nobody's: its coordinator is at work. */
  | 'waits'
  /** That of the participant's recovery; nothing is locked meanwhile. */
  | 'recovery'
  | 'person';

/** A branch older than the grace period should have been finished by its coordinator or by recovery. */
export function standing(
  { verdict, ageMs, prepared, register, coordinator }: BranchEvidence,
  graceMs: number,
): Standing {
  if (verdict.act.kind === 'hold') return 'person';
  if (ageMs < graceMs) return 'waits';
  // What is not prepared holds no lock; but what was decided to commit and is gone is lost.
  if (!prepared) return register.says === 'commit' ? 'person' : 'recovery';
  return verdict.act.kind === 'leave' && coordinator.state === 'running' && register.says === 'none'
    ? 'waits'
    : 'person';
}

/** Puts the evidence into words. */
export function tellInDoubt(evidence: Evidence, graceMs: number): Answer {
  const { branches, strangers, unreachable, lookedAt, temporalDown } = evidence;
  const needy = branches.filter((branch) => standing(branch, graceMs) === 'person').length;
  const waiting = branches.filter((branch) => branch.ageMs >= graceMs && standing(branch, graceMs) === 'waits').length;
  const lines = [
    `${summary(needy, waiting, lookedAt.length)} Nothing was changed.`,
    `Looked at ${count(lookedAt.length, 'database')}: ${lookedAt.join(', ') || 'none'}.`,
    ...unreachable.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`),
    ...(temporalDown === undefined
      ? []
      : [`Temporal could not be asked: ${temporalDown}. The registers decide, so this hinders nothing.`]),
    ...branches.map((branch) => `\n${tellBranch(branch, graceMs)}`),
    ...strangers.map((stranger) => `\n${tellStranger(stranger)}`),
  ];
  return {
    exitCode: exitCodeOf(needy, evidence),
    text: lines.join('\n'),
    json: {
      changed: false,
      needPerson: needy,
      lookedAt,
      notLookedAt: unreachable,
      ...(temporalDown === undefined ? {} : { temporalDown }),
      branches: branches.map((branch) => ({
        ...branch,
        standing: standing(branch, graceMs),
        toType: whatToType(branch, graceMs),
      })),
      strangers,
    },
  };
}

function summary(needy: number, waiting: number, databases: number): string {
  if (databases === 0) return 'Nothing could be looked at.';
  if (needy === 0 && waiting === 1)
    return 'No person is needed yet: 1 branch is in doubt, and its coordinator is running.';
  if (needy === 0 && waiting > 1)
    return `No person is needed yet: ${waiting} branches are in doubt, and their coordinators are running.`;
  if (needy === 0) return 'Nothing needs a person.';
  return needy === 1 ? '1 branch needs a person.' : `${needy} branches need a person.`;
}

function exitCodeOf(needy: number, { lookedAt, unreachable }: Pick<Evidence, 'lookedAt' | 'unreachable'>): ExitCode {
  if (lookedAt.length === 0) return ExitCode.WrongUsage;
  if (needy > 0) return ExitCode.NeedsPerson;
  return unreachable.length > 0 ? ExitCode.Incomplete : ExitCode.Well;
}

/** One branch, as a table of what is known of it, of what to think of that, and of what to type. */
export function tellBranch(
  found: BranchEvidence,
  graceMs: number,
  what: 'facts' | 'facts and verdict' | 'all' = 'all',
): string {
  const { participant, gid, ageMs, prepared, owner, transaction, branch, register, coordinator, verdict } = found;
  return block(`${participant}: ${prepared ? 'prepared' : 'asked to prepare, and not prepared,'} ${age(ageMs)} ago`, [
    ['transaction', transaction === undefined ? 'not recorded (orphan)' : printable(transaction)],
    ['branch', branch === undefined ? 'not recorded (orphan)' : printable(branch)],
    ['gid', printable(gid)],
    ...(owner === undefined ? [] : [['role', printable(owner)] as const]),
    ['register', tellRegister(register)],
    ['coordinator', coordinator.told],
    ...(what === 'facts' ? [] : [['verdict', `${tellAct(found)}. ${verdict.because}${lostOf(found)}`] as const]),
    ...(what === 'all' ? [['to do', whatToType(found, graceMs)] as const] : []),
  ]);
}

function tellRegister({ participant, says, why, decided }: BranchEvidence['register']): string {
  switch (says) {
    case 'none':
      return `nothing decided (at ${participant})`;
    case 'unreadable':
      return `not readable (at ${participant}): ${why ?? ''}`;
    default:
      return `${says} (at ${participant}), by ${printable(decided?.by ?? 'unknown')}, ${decided?.decidedAt.toISOString() ?? ''}`;
  }
}

function tellAct({ verdict: { act } }: BranchEvidence): string {
  switch (act.kind) {
    case 'apply':
      return `do as decided: ${act.decision}`;
    case 'decide':
      return `propose ${act.propose} to the register and do what it says`;
    case 'leave':
      return 'leave it alone';
    case 'hold':
      return 'a person has to look';
  }
}

const lostOf = ({ prepared, register }: BranchEvidence): string =>
  !prepared && register.says === 'commit'
    ? ' Nothing of it is prepared or committed any more: it was finished by hand or is LOST.'
    : '';

export function whatToType(found: BranchEvidence, graceMs: number): string {
  const { verdict, register, prepared, owner, participant } = found;
  if (verdict.act.kind === 'hold')
    return `give ${participant} a connection string of role ${printable(owner ?? '')} or of a superuser, then: ${resolveCommand(found)}`;
  switch (standing(found, graceMs)) {
    case 'waits':
      return 'nothing now';
    case 'recovery':
      return `nothing: the recovery of ${participant} clears it. Without one: ${resolveCommand(found)}`;
    case 'person':
      if (register.says === 'unreadable') return `make the register at ${register.participant} readable`;
      return prepared
        ? resolveCommand(found)
        : `compare the business data of ${participant} with the decision, and repair it by hand`;
  }
}

/** By the transaction where its id can be typed safely, else by the gid. */
function resolveCommand({ transaction, key, gid }: BranchEvidence): string {
  const id = transaction === undefined || looksLikeGid(transaction) ? undefined : transactionIdFor(transaction, key);
  return `temporal-txn resolve ${id ?? gid} --by <you> --reason <why> --apply`;
}

const tellStranger = ({ participant, gid, ageMs, owner, why }: StrangerEvidence): string =>
  block(`${participant}: left alone, prepared ${age(ageMs)} ago`, [
    ['gid', printable(gid)],
    ['role', printable(owner)],
    ['why', why],
  ]);
