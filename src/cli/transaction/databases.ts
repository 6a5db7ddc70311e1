/** A transaction as the databases know it: registers, branch logs, prepared transactions, and what the audit finds. Reads only. */
import { branchesOf, decisionsOf, keyOf } from '../../participant';
import type { AuditedBranch, AuditedDecision, TransactionKey } from '../../participant';
import { idOfAttempt, MOST_ATTEMPTS, parseTransactionId } from '../../protocol';
import type { Patience, TransactionReport } from '../../protocol';
import { lookTwice } from '../audit/audit';
import type { Accepted } from '../audit/accepted';
import type { Finding } from '../audit/judge-decision';
import type { Coordinators } from '../coordinators';
import { reach, tellFailure } from '../databases';
import type { Database, Unreachable } from '../databases';
import { gather } from '../evidence';
import type { BranchEvidence } from '../evidence';

/** A row of a branch log. */
export type Row = AuditedBranch & { readonly participant: string };
/** A row of a register. */
export type DecisionRow = Omit<AuditedDecision, 'transaction'> & {
  readonly participant: string;
  readonly transaction: string;
};

export interface DatabaseLook {
  readonly lookedAt: readonly string[];
  /** Those that may hold more of it. */
  readonly notLookedAt: readonly Unreachable[];
  readonly rows: readonly Row[];
  readonly decisions: readonly DecisionRow[];
  /** Prepared, or asked to prepare and gone. */
  readonly inDoubt: readonly BranchEvidence[];
  /** What the audit finds, apart from what is in doubt. */
  readonly findings: readonly Finding[];
  readonly accepted: readonly Accepted[];
}

export interface Looking {
  readonly id: string;
  readonly reports: readonly TransactionReport[];
  readonly namespace: string;
  readonly patience: Patience;
  readonly pauseMs: number;
}

/** Looks at all databases. Never throws: one that fails is named. */
export async function lookAtDatabases(
  databases: readonly Database[],
  coordinators: Coordinators,
  { id, reports, namespace, patience, pauseMs }: Looking,
): Promise<DatabaseLook> {
  const ids = new Map(idsOf(id, reports).map((one) => [keyOf(one), one as string]));
  const keys = new Set(ids.keys());
  const { reached, unreachable } = await reach(databases);
  const lost: Unreachable[] = [];
  const read = await Promise.all(
    reached.map(async (database) => {
      try {
        return await readRows(database, ids);
      } catch (error) {
        lost.push({ participant: database.participant, why: tellFailure(database, error) });
        return { rows: [], decisions: [] };
      }
    }),
  );
  const usable = reached.filter(({ participant }) => !lost.some((one) => one.participant === participant));
  const evidence = await gather(usable, coordinators, { namespace, patience, young: true, keys });
  const limits = { namespace, graceMs: patience.graceMs, purgedAfterMs: Infinity, only: keys };
  const audited = await lookTwice(usable, limits, pauseMs);
  const absent = [...unreachable, ...lost, ...audited.notLookedAt].filter(
    (one, i, all) => all.findIndex(({ participant }) => participant === one.participant) === i,
  );
  const lookedAt = usable
    .map(({ participant }) => participant)
    .filter((name) => !absent.some(({ participant }) => participant === name));
  const decisions = read.flatMap((one) => one.decisions);
  return {
    lookedAt,
    notLookedAt: missing(reports, decisions, lookedAt, absent),
    rows: read.flatMap(({ rows }) => rows),
    decisions,
    inDoubt: evidence.branches,
    findings: audited.findings.filter(({ gid, kind }) => kind !== 'in-doubt' || gid === undefined),
    accepted: audited.accepted,
  };
}

const MOST_OTHERS = 8;

/**
 * A workflow may run several transactions, and try one of them several times, each under an id of its own. Which ones it says
 * itself; where it cannot be asked, all attempts at its first one are looked for, and the first few others.
 */
export function idsOf(id: string, reports: readonly TransactionReport[]): ReturnType<typeof parseTransactionId>[] {
  const reported = reports.flatMap((report) => [
    report.id,
    ...Array.from({ length: 'attempts' in report ? report.attempts - 1 : 0 }, (_, i) => idOfAttempt(report.id, i + 2)),
  ]);
  const guessed =
    reports.length > 0
      ? []
      : [
          ...Array.from({ length: MOST_ATTEMPTS - 1 }, (_, i) => idOfAttempt(id, i + 2)),
          ...Array.from({ length: MOST_OTHERS }, (_, i) => [`${id}/${i + 2}`, `${id}/1/${i + 1}`]).flat(),
        ];
  return [...new Set([id, ...reported, ...guessed])].flatMap((text) => {
    try {
      return [parseTransactionId(text)];
    } catch {
      return [];
    }
  });
}

async function readRows(
  { participant, pool }: Database,
  ids: ReadonlyMap<TransactionKey, string>,
): Promise<{ readonly rows: Row[]; readonly decisions: DecisionRow[] }> {
  const rows = await branchesOf(pool, [...ids.values()]);
  const decisions = await decisionsOf(pool, [...ids.keys()]);
  return {
    rows: rows.map((row) => ({ ...row, participant })),
    decisions: decisions.map((one) => ({ ...one, participant, transaction: ids.get(one.key) ?? '' })),
  };
}

/** Where workflow or register say which participants there are, no other database matters. */
function missing(
  reports: readonly TransactionReport[],
  decisions: readonly DecisionRow[],
  lookedAt: readonly string[],
  absent: readonly Unreachable[],
): Unreachable[] {
  const named = new Set([
    ...reports.flatMap((report) =>
      (report.protocol === 'saga' ? report.steps : report.branches).flatMap(({ participant }) => participant ?? []),
    ),
    ...decisions.flatMap(({ branches }) => (branches ?? []).flatMap(({ participant }) => participant ?? [])),
  ]);
  if (named.size === 0) return [...absent];
  return [...named]
    .filter((participant) => !lookedAt.includes(participant))
    .map((participant) => ({
      participant,
      why: absent.find((one) => one.participant === participant)?.why ?? 'It is not configured.',
    }));
}
