/**
 * The audit: one verdict over registers, branch logs and prepared transactions of all databases.
 *
 * Traffic goes on meanwhile, and no snapshot spans databases. So whatever looks wrong is looked at again after a pause, and
 * only what is wrong both times is told: a transaction on its way has moved on by then.
 */
import { DEFAULT_PAUSE_MS, DEFAULT_GRACE_MS } from '../defaults';
import { reach } from '../databases';
import type { Database, Unreachable } from '../databases';
import { setTimeout as sleep } from 'node:timers/promises';
import { setAcceptedAside } from './accepted';
import type { Accepted } from './accepted';
import { identityOf } from './judge-decision';
import type { Finding } from './judge-decision';
import { lookAtHeuristics, lookAtPreparations, lookAtPrepared } from './leftovers';
import { Look } from './look';
import type { Counts, LookOptions } from './look';
import { lookAtRegister } from './registers';

export interface AuditOptions {
  /** Temporal namespace of the coordinators. @default 'default' */
  readonly namespace?: string;
  /** How long a branch may be prepared, or a decision be followed, in milliseconds. @default 60000 */
  readonly graceMs?: number;
  /** Pause before what looks wrong is looked at again, in milliseconds. @default 2000 */
  readonly pauseMs?: number;
  /** Age in milliseconds from which branch-log rows may have been purged: older absences prove nothing. @default none are purged */
  readonly purgedAfterMs?: number;
}

export interface AuditReport {
  /**
   * `well`: everything was looked at and agrees. `incomplete`: what was looked at agrees. `nothing-looked-at`: no database
   * could be looked at, so nothing is known.
   */
  readonly verdict: 'well' | 'needs-a-person' | 'incomplete' | 'nothing-looked-at';
  readonly findings: readonly Finding[];
  /** Branches that did otherwise than decided, and that a person has accepted. */
  readonly accepted: readonly Accepted[];
  /** Worth knowing; nobody has to act. */
  readonly notes: readonly string[];
  readonly lookedAt: readonly string[];
  readonly notLookedAt: readonly Unreachable[];
  /** An audit that has counted nothing has proved nothing. */
  readonly counts: Readonly<Counts>;
}

/**
 * Audits the databases of participants. Reads only.
 *
 * @example
 * const { verdict, counts } = await auditDatabases([{ participant: 'north-bank', pool: north }, { participant: 'south-bank', pool: south }]);
 */
export async function auditDatabases(databases: readonly Database[], options: AuditOptions = {}): Promise<AuditReport> {
  const { namespace = 'default', graceMs = DEFAULT_GRACE_MS, pauseMs = DEFAULT_PAUSE_MS } = options;
  return lookTwice(databases, { namespace, graceMs, purgedAfterMs: options.purgedAfterMs ?? Infinity }, pauseMs);
}

/** The audit, also of a few transactions only. */
export async function lookTwice(
  databases: readonly Database[],
  limits: LookOptions,
  pauseMs: number,
): Promise<AuditReport> {
  const { reached, unreachable } = await reach(databases);
  const first = await lookOnce(reached, limits);
  const { findings, notLookedAt } = await confirm(first, limits, pauseMs);
  const absent = [...unreachable, ...notLookedAt.filter((one) => !isIn(unreachable, one.participant))];
  const lookedAt = reached.map(({ participant }) => participant).filter((name) => !isIn(absent, name));
  return {
    verdict: verdictOf(findings, lookedAt, absent),
    findings,
    accepted: first.accepted,
    notes: first.notes,
    lookedAt,
    notLookedAt: absent,
    counts: first.counts,
  };
}

const isIn = (databases: readonly Unreachable[], participant: string): boolean =>
  databases.some((one) => one.participant === participant);

async function lookOnce(databases: readonly Database[], options: LookOptions): Promise<Look> {
  const look = new Look(databases, options);
  for (const database of databases) {
    for (const at of [lookAtRegister, lookAtPrepared, lookAtPreparations, lookAtHeuristics])
      await look.ask(database, () => at(look, database));
  }
  for (const database of databases) await look.ask(database, () => setAcceptedAside(look, database));
  return look;
}

/** The findings that are there twice. Where the second look fails, the first one has to do. */
async function confirm(
  first: Look,
  options: LookOptions,
  pauseMs: number,
): Promise<{ readonly findings: readonly Finding[]; readonly notLookedAt: readonly Unreachable[] }> {
  if (first.findings.length === 0) return { findings: [], notLookedAt: first.notLookedAt };
  await sleep(pauseMs);
  const usable = first.databases.filter(({ participant }) => !isIn(first.notLookedAt, participant));
  const only = new Set(first.findings.map(({ key }) => key));
  const second = await lookOnce(usable, { ...options, only });
  const suspected = new Set(first.findings.map(identityOf));
  const again = new Map(
    second.findings.filter((one) => suspected.has(identityOf(one))).map((one) => [identityOf(one), one]),
  );
  for (const one of first.findings) if (isIn(second.notLookedAt, one.participant)) again.set(identityOf(one), one);
  return { findings: [...again.values()], notLookedAt: merge(first.notLookedAt, second.notLookedAt) };
}

const merge = (one: readonly Unreachable[], other: readonly Unreachable[]): Unreachable[] => [
  ...one,
  ...other.filter(({ participant }) => !isIn(one, participant)),
];

function verdictOf(
  findings: readonly Finding[],
  lookedAt: readonly string[],
  absent: readonly Unreachable[],
): AuditReport['verdict'] {
  if (findings.length > 0) return 'needs-a-person';
  if (lookedAt.length === 0) return 'nothing-looked-at';
  return absent.length > 0 ? 'incomplete' : 'well';
}
