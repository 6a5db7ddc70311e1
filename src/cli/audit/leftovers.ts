/** What is still prepared, what was asked to prepare and came to nothing, and what people finished by hand. */
import { branchKeyOf, heuristicsOf, listPrepared, preparationsOf, readGid } from '../../participant';
import type { AuditedPreparation, PreparedTransaction, RecordedHeuristic } from '../../participant';
import type { Database } from '../databases';
import { age, printable } from '../printable';
import { ALL_PREPARED } from './look';
import type { Look } from './look';

/** Whatever has been prepared for longer than the grace period is a finding; what is not ours is named. */
export async function lookAtPrepared(look: Look, { participant, pool }: Database): Promise<void> {
  const { counts, notes, options } = look;
  for (const one of await listPrepared(pool, look.viewerOf(participant), ALL_PREPARED)) {
    const { gid, whose, parts, ageMs, branch } = one;
    if (whose !== 'ours' || parts === undefined) {
      counts.strangers += 1;
      notes.push(`${participant}: ${printable(gid)} is prepared and not ours: left alone. See temporal-txn in-doubt.`);
      continue;
    }
    counts.prepared += 1;
    const { transaction: key, register } = parts;
    if (ageMs < options.graceMs || !look.isWanted(key)) continue;
    look.findings.push({
      kind: 'in-doubt',
      participant,
      key,
      gid,
      ...(branch === undefined ? {} : { transaction: branch.transaction }),
      told: tellPrepared(one, await look.decisionOf(register, key)),
      toDo: 'temporal-txn in-doubt shows what to do, temporal-txn resolve does it',
    });
  }
}

const tellPrepared = ({ ageMs, owned, owner }: PreparedTransaction, decision: string): string =>
  `Prepared for ${age(ageMs)}; the register says ${decision === 'none' ? 'nothing' : decision}` +
  `${owned ? '' : `; it belongs to role ${printable(owner)}`}.`;

/** A preparation says what a register may not: a branch that took effect undecided, or was lost. */
export async function lookAtPreparations(look: Look, { participant, pool }: Database): Promise<void> {
  for (const preparation of await preparationsOf(pool, participant, look.options.graceMs)) {
    look.counts.preparations += 1;
    const { key, prepared, state } = preparation;
    if (prepared || !look.isWanted(key) || (state !== null && state !== 'applied')) continue;
    await judgePreparation(look, participant, preparation);
  }
}

async function judgePreparation(
  look: Look,
  participant: string,
  { key, transaction, branch, register, state }: AuditedPreparation,
): Promise<void> {
  const decision = await look.decisionOf(register, key);
  const about = { participant, key, transaction, branch };
  if (state === 'applied' && decision === 'none')
    look.findings.push({
      kind: 'no-decision',
      ...about,
      told: `It took effect, and the register at ${register} has no decision.`,
      toDo: 'find out who committed it, and compare the business data of all branches by hand',
      deed: { branchKey: branchKeyOf(branch), took: 'commit', decision, register },
    });
  if (state === null && decision === 'commit')
    look.findings.push({
      kind: 'lost',
      ...about,
      told: 'The register says commit, and it is neither prepared nor in the branch log: lost, or finished by hand.',
      toDo: 'compare the business data of all branches, and repair it by hand',
      deed: { branchKey: branchKeyOf(branch), took: 'abort', decision, register },
    });
  if (state === null && decision !== 'commit') look.counts.leftOver += 1;
}

/**
 * What was forced and agrees with the decision in the end is only noted, and so is what came to nothing: how such a branch stands is
 * seen without the row.
 */
export async function lookAtHeuristics(look: Look, { participant, pool }: Database): Promise<void> {
  for (const heuristic of await heuristicsOf(pool)) {
    const { id, gid, key, transaction, branch, took, by, reason, at } = heuristic;
    look.counts.heuristics += 1;
    if (!look.isWanted(key)) continue;
    const parts = readGid(gid);
    const register = parts?.register ?? participant;
    const branchKey = branch === undefined ? parts?.branch : branchKeyOf(branch);
    const decision = await look.decisionOf(register, key);
    const told = `${printable(by)} forced ${took} (${printable(reason)}); the register at ${register} says ${decision === 'none' ? 'nothing' : decision}.`;
    const instead = whatStandsInstead(heuristic);
    if (instead !== undefined || decision === took) {
      look.notes.push(`${participant}: ${printable(gid)}: ${told} ${instead ?? 'They agree.'}`);
      continue;
    }
    look.findings.push({
      kind: 'heuristic',
      participant,
      key,
      // Each row is a finding of its own.
      gid: `${gid}#${id}`,
      ...(transaction === undefined ? {} : { transaction }),
      ...(branch === undefined ? {} : { branch }),
      told,
      toDo: 'make the business data of the other branches agree with it, by hand',
      ...(branchKey === undefined ? {} : { deed: { branchKey, took, decision, register, at } }),
    });
  }
}

/** The row was written before the deed, which may have failed, or come too late. */
function whatStandsInstead({ took, prepared, state }: RecordedHeuristic): string | undefined {
  if (prepared) return 'It has not come to that: it is still prepared.';
  return state === (took === 'commit' ? 'fenced' : 'applied')
    ? `It has not come to that: its row says ${state}.`
    : undefined;
}
