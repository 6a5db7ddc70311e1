/**
 * The command `resolve`: brings one transaction to its decision. Where nothing is decided it proposes abort to the register,
 * and then does in every database what the register says, whatever was proposed. So it can be run at any time, twice, and
 * against a coordinator or a recovery at work: a wrong guess costs an abort, never atomicity.
 */
import { decide, decisionFor, settle } from '../participant';
import type { Registered } from '../participant';
import { AbortCode, checkLocalTimeouts } from '../protocol';
import type { Ack } from '../protocol';
import { openCase, proposalFor, transactionOf } from './case';
import type { Case, Question } from './case';
import type { Coordinators } from './coordinators';
import { tellFailure } from './databases';
import type { Database } from './databases';
import { CoordinatorRunning, RegisterUnreadable } from './errors';
import type { BranchEvidence } from './evidence';
import { transactionIdFor } from './target';
import type { Target } from './target';
import { tellResolution } from './tell-resolution';
import type { Answer } from './table';

export interface ResolveRequest extends Question {
  readonly by: string;
  readonly reason: string;
  readonly mode: 'dry-run' | 'apply';
  readonly evenIfRunning: boolean;
}

/** What became of one branch. */
export interface Settled {
  readonly found: BranchEvidence;
  readonly ack: Ack | { readonly kind: 'not-done'; readonly why: string };
}

/**
 * Resolves a transaction, or says what it would do.
 *
 * @throws {CommandError} when it is not known, its register is not readable, or it is better left to its coordinator
 */
export async function resolve(
  databases: readonly Database[],
  coordinators: Coordinators,
  request: ResolveRequest,
): Promise<Answer> {
  const found = await openCase(databases, coordinators, request);
  const { register, running, name } = found;
  if (register.says === 'unreadable') throw new RegisterUnreadable(register.participant, register.why ?? '');
  const refused =
    register.says === 'none' && running !== undefined && !request.evenIfRunning
      ? new CoordinatorRunning(name, running)
      : undefined;
  if (request.mode === 'dry-run' || found.evidence.branches.length === 0)
    return tellResolution(found, { kind: 'planned', ...(refused ? { refused } : {}) }, request);
  if (refused) throw refused;
  const decided = register.decided ?? (await propose(databases, found, request));
  const settled: Settled[] = [];
  for (const branch of found.evidence.branches)
    settled.push({ found: branch, ack: await finish(databases, branch, decided) });
  return tellResolution(found, { kind: 'done', decided, proposed: register.says === 'none', settled }, request);
}

async function propose(
  databases: readonly Database[],
  { register: { participant }, evidence: { branches } }: Case,
  { target, by, reason }: ResolveRequest,
): Promise<Registered> {
  const { pool } = databaseOf(databases, participant);
  return decide(pool, {
    key: target.key,
    propose: proposalFor(branches),
    by,
    reason: { code: AbortCode.Recovered, message: reason },
    ...transactionIn(target, branches),
  });
}

/** The id as it was recorded, when it is the one that the key was made of. */
function transactionIn(target: Target, branches: readonly BranchEvidence[]) {
  if (target.kind === 'transaction') return { transaction: target.transaction };
  const recorded = transactionOf(branches);
  const id = recorded === undefined ? undefined : transactionIdFor(recorded, target.key);
  return id === undefined ? {} : { transaction: id };
}

async function finish(
  databases: readonly Database[],
  found: BranchEvidence,
  decided: Registered,
): Promise<Settled['ack']> {
  const decision = decisionFor(decided, found.request);
  const database = databaseOf(databases, found.participant);
  if (!found.owned)
    return { kind: 'not-done', why: `It belongs to role ${found.owner ?? ''}: use a connection string of that role.` };
  try {
    return await settle(database.pool, checkLocalTimeouts(), found.participant, found, decision);
  } catch (error) {
    return { kind: 'not-done', why: tellFailure(database, error) };
  }
}

/** It was looked at, so it is there. */
export function databaseOf(databases: readonly Database[], participant: string): Database {
  const database = databases.find((one) => one.participant === participant);
  if (database === undefined) throw new Error(`Nothing was changed: the database of ${participant} is not configured.`);
  return database;
}
