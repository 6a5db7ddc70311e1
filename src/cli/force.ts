/**
 * The option `--force` of `resolve`: finishes one prepared transaction as a person says, whatever the register says. The
 * transaction may end with some branches committed and others not; the database keeps who did it and why.
 */
import { checkLocalTimeouts } from '../protocol';
import type { Decision } from '../protocol';
import { finishPrepared, listPrepared, parseGid, recordHeuristic, settle } from '../participant';
import { openCase } from './case';
import type { Case, Question } from './case';
import type { Coordinators } from './coordinators';
import { tellFailure } from './databases';
import type { Database } from './databases';
import { ForceFailed, GoneMeanwhile, InvalidArgument, NothingToForce } from './errors';
import type { BranchEvidence } from './evidence';
import { ExitCode } from './exit-code';
import { tellBranch } from './in-doubt';
import { printable } from './printable';
import { databaseOf } from './resolve';
import type { Answer } from './table';
import { nameOf } from './target';

export interface ForceRequest extends Question {
  readonly took: Decision;
  readonly by: string;
  readonly reason: string;
  readonly mode: 'dry-run' | 'apply';
}

/**
 * Forces one branch, or says what that would mean.
 *
 * @throws {CommandError} when there is nothing to force, or it did not work
 */
export async function force(
  databases: readonly Database[],
  coordinators: Coordinators,
  request: ForceRequest,
): Promise<Answer> {
  const { target, took } = request;
  if (target.kind !== 'gid')
    throw new InvalidArgument('what to force', nameOf(target), 'Name one prepared transaction by its gid.');
  const found = await openCase(databases, coordinators, request);
  const branch = branchToForce(found, target.gid, took);
  if (request.mode === 'dry-run') return tell(found, branch, request, 'planned');
  const tombstone = await apply(databaseOf(databases, branch.participant), found, branch, request);
  return tell(found, branch, request, tombstone);
}

function branchToForce({ evidence, register }: Case, gid: string, took: Decision): BranchEvidence {
  const branch = evidence.branches.find((one) => one.gid === gid && one.prepared);
  if (branch === undefined)
    throw new NothingToForce(gid, 'is not prepared in any database that was looked at: there is nothing to finish.');
  if (register.says === took)
    throw new NothingToForce(gid, `is decided ${took}: leave out --force, and it is finished as decided.`);
  if (!branch.owned)
    throw new NothingToForce(
      gid,
      `belongs to role ${printable(branch.owner ?? '')}: use a connection string of that role or of a superuser.`,
    );
  return branch;
}

/** Whether a late attempt of the branch can still prepare again. */
type Outcome = 'final' | 'not-final';

/** The record comes first: one too many is looked at by a person, a missing one by nobody. */
async function apply(
  database: Database,
  { register }: Case,
  { gid: text, key, transaction, branch }: BranchEvidence,
  { took, by, reason }: ForceRequest,
): Promise<Outcome> {
  const { pool } = database;
  const gid = parseGid(text);
  await recordHeuristic(pool, {
    gid,
    key,
    took,
    by,
    reason,
    ...(transaction === undefined ? {} : { transaction }),
    ...(branch === undefined ? {} : { branch }),
    ...(register.says === 'commit' || register.says === 'abort' ? { decision: register.says } : {}),
  });
  const answer = await finishPrepared(pool, gid, took).catch(async (error: unknown) => {
    const outcome = (await isStillPrepared(database, gid)) ? 'not-done' : 'unknown';
    throw new ForceFailed(gid, outcome, tellFailure(database, error));
  });
  if (answer === 'unknown') throw new GoneMeanwhile(gid);
  return took === 'commit' || transaction === undefined ? 'final' : fence(database, gid);
}

async function isStillPrepared({ pool, participant }: Database, gid: string): Promise<boolean> {
  const listed = await listPrepared(pool, { participant, namespace: '' }).catch(() => []);
  return listed.some((one) => one.gid === gid);
}

/** Without a tombstone, a late attempt of the branch could prepare again. */
async function fence({ pool, participant }: Database, gid: string): Promise<Outcome> {
  try {
    await settle(pool, checkLocalTimeouts(), participant, { gid }, 'abort');
    return 'final';
  } catch {
    return 'not-final';
  }
}

function tell(found: Case, branch: BranchEvidence, request: ForceRequest, outcome: Outcome | 'planned'): Answer {
  const { took, by, reason, patience } = request;
  const { register } = found;
  const against =
    register.says === 'none'
      ? 'without a decision'
      : register.says === 'unreadable'
        ? 'without knowing the decision'
        : `although the register says ${register.says}`;
  const deed = took === 'commit' ? 'committed' : 'rolled back';
  const heading =
    outcome === 'planned'
      ? `Nothing was changed: this is a dry run. With --apply, this one branch is ${deed} ${against}, and the outcome of the transaction is HEURISTIC: other branches may end otherwise.`
      : `Changed: this one branch was ${deed} ${against}. The outcome of the transaction is HEURISTIC: other branches may end otherwise.`;
  const hint = register.says === 'none' || register.says === 'unreadable';
  const lines = [
    heading,
    outcome === 'planned'
      ? `It would be kept in txn.heuristic at ${branch.participant}: by ${printable(by)}, because: ${printable(reason)}`
      : `It is kept in txn.heuristic at ${branch.participant}, and temporal-txn audit shows it: by ${printable(by)}, because: ${printable(reason)}`,
    ...(outcome === 'not-final'
      ? ['A late attempt may prepare this branch again: look with temporal-txn in-doubt.']
      : []),
    ...(outcome === 'planned' && hint ? ['Without --force, the register is asked, and all branches end alike.'] : []),
    '',
    'As it was found:',
    '',
    tellBranch(branch, patience.graceMs, 'facts'),
  ];
  return {
    // What it leaves behind is for a person to repair.
    exitCode: ExitCode.NeedsPerson,
    text: lines.join('\n'),
    json: { changed: outcome !== 'planned', outcome: 'heuristic', said: heading, took, register, branch },
  };
}
