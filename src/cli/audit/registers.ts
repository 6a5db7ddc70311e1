/**
 * The registers, page by page, against prepared transactions and branch logs.
 *
 * Of one page the register is read first, the prepared transactions second, the branch logs last: whatever was decided is
 * then prepared or finished, and what is finished before the list is read has its row when the log is.
 */
import { branchesOf, decisionsOf, gidOf, listPrepared, pageOfDecisions, readGid } from '../../participant';
import type { AuditedBranch, AuditedDecision, GidParts } from '../../participant';
import type { BranchId, TransactionId } from '../../protocol';
import type { Database } from '../databases';
import { judgeDecision } from './judge-decision';
import type { Facts } from './judge-decision';
import { ALL_PREPARED } from './look';
import type { Look } from './look';

const PAGE = 500;

/** Judges every decision of one register. */
export async function lookAtRegister(look: Look, { pool, participant }: Database): Promise<void> {
  const { only } = look.options;
  if (only !== undefined) return judgePage(look, participant, await decisionsOf(pool, [...only]));
  for (let after = ''; ;) {
    const page = await pageOfDecisions(pool, after, PAGE);
    await judgePage(look, participant, page);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.key;
  }
}

async function judgePage(look: Look, register: string, page: readonly AuditedDecision[]): Promise<void> {
  const { counts, options } = look;
  const facts = await factsOf(look, page);
  for (const decided of page) {
    const judged = judgeDecision(decided, register, facts, options);
    counts[decided.decision === 'commit' ? 'commits' : 'aborts'] += 1;
    counts.compared += judged.compared;
    counts.readOnly += judged.readOnly;
    counts.notJudged += judged.notJudged;
    look.findings.push(...judged.findings);
    for (const participant of judged.notLookedAt)
      look.isAbsent(participant, 'It is not configured, and registers name it.');
  }
  await compareRegisters(look, register, page);
}

async function factsOf(look: Look, page: readonly AuditedDecision[]): Promise<Facts> {
  const transactions = page.flatMap(({ transaction }) => transaction ?? []);
  const prepared = new Map<string, 'ours' | 'stranger'>();
  for (const database of look.databases) {
    const { participant, pool } = database;
    const listed = await look.ask(database, () => listPrepared(pool, look.viewerOf(participant), ALL_PREPARED));
    for (const { parts, whose } of listed ?? [])
      if (parts) prepared.set(placeOf(parts), whose === 'ours' ? 'ours' : 'stranger');
  }
  const rows = new Map<string, Map<string, AuditedBranch[]>>();
  for (const database of look.databases) {
    const found = await look.ask(database, () => branchesOf(database.pool, transactions));
    if (found) rows.set(database.participant, byTransaction(found));
  }
  return {
    participants: [...rows.keys()],
    rowsAt: (participant, transaction) => {
      const there = rows.get(participant);
      return there && (there.get(transaction) ?? []);
    },
    preparedAs: (participant, transaction, branch) => prepared.get(placeOf(partsOf(participant, transaction, branch))),
  };
}

function byTransaction(found: readonly AuditedBranch[]): Map<string, AuditedBranch[]> {
  const grouped = new Map<string, AuditedBranch[]>();
  for (const row of found) grouped.set(row.transaction, [...(grouped.get(row.transaction) ?? []), row]);
  return grouped;
}

/** One branch, in whatever namespace: a wrong --namespace must not make what is prepared look lost. */
const placeOf = ({ participant, transaction, branch }: GidParts): string => `${participant} ${transaction} ${branch}`;

/** What the gid of a branch says, apart from what was asked for. */
function partsOf(participant: string, transaction: string, branch: string): GidParts {
  // Cast: only hashes of them are used.
  const request = { transaction: transaction as TransactionId, branch: branch as BranchId, input: null };
  const parts = readGid(gidOf(request, { operation: '', register: participant, participant, namespace: '' }));
  if (parts === undefined) throw new Error('Nothing was changed: a gid that was just made cannot be read.');
  return parts;
}

/** One transaction has one register: a second one that says otherwise is why branches differ. */
async function compareRegisters(look: Look, register: string, page: readonly AuditedDecision[]): Promise<void> {
  const mine = new Map(page.map(({ key, decision }) => [key, decision]));
  for (const other of look.databases.filter(({ participant }) => participant !== register)) {
    const found = (await look.ask(other, () => decisionsOf(other.pool, [...mine.keys()]))) ?? [];
    for (const { key, decision, transaction } of found.filter((one) => mine.get(one.key) !== one.decision))
      look.findings.push({
        kind: 'two-decisions',
        participant: register,
        key,
        ...(transaction === null ? {} : { transaction }),
        told: `The register at ${other.participant} says ${decision}, that at ${register} the opposite.`,
        toDo: 'find out which one the coordinator used, and repair the branches of the other by hand',
      });
  }
}
