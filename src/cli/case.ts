/** Everything that the databases and Temporal know of one transaction, before anything is done about it. */
import { acceptancesOf, branchesOf, decisionsOf } from '../participant';
import type { AuditedBranch, RecordedAcceptance } from '../participant';
import type { Decision, Patience } from '../protocol';
import type { Coordinators } from './coordinators';
import { placeOf } from './databases';
import type { Database, Unreachable } from './databases';
import { NothingInDoubt, RegisterInQuestion, UnknownTransaction } from './errors';
import { askRegister, gather } from './evidence';
import type { BranchEvidence, Evidence, RegisterEvidence } from './evidence';
import { ExitCode } from './exit-code';
import { nameOf, transactionIdFor } from './target';
import type { Target } from './target';

export interface Question {
  readonly target: Target;
  readonly namespace: string;
  readonly patience: Patience;
}

/** What is known of a transaction before anything is done. */
export interface Case {
  readonly name: string;
  readonly evidence: Evidence;
  readonly register: RegisterEvidence;
  /** The workflow that is at work on it. */
  readonly running?: string;
  /** Committed rows of the branch logs, by participant. */
  readonly rows: readonly (AuditedBranch & { readonly participant: string })[];
  /** What a person has accepted of it, by participant. */
  readonly acceptances: readonly (RecordedAcceptance & { readonly participant: string })[];
  /** Databases that may hold more of it and were not looked at. */
  readonly notLookedAt: readonly Unreachable[];
}

/**
 * Looks everywhere.
 *
 * @throws {UnknownTransaction} when nobody knows it
 * @throws {NothingInDoubt} when it is none of two-phase commit
 * @throws {RegisterInQuestion} when it is not clear which register it has
 */
export async function openCase(
  databases: readonly Database[],
  coordinators: Coordinators,
  { target, namespace, patience }: Question,
): Promise<Case> {
  const evidence = await gather(databases, coordinators, { namespace, patience, young: true, key: target.key });
  const { branches, unreachable, lookedAt } = evidence;
  const reached = databases.filter(({ participant }) => lookedAt.includes(participant));
  const transaction = target.kind === 'transaction' ? target.transaction : transactionOf(branches);
  // A transaction is easier to know by its id than by a gid.
  const name = (transaction && transactionIdFor(transaction, target.key)) ?? nameOf(target);
  const rows = transaction === undefined ? [] : await rowsOf(reached, transaction);
  const registers = await differentOf(reached, [
    ...branches.map(({ register }) => register.participant),
    ...(target.kind === 'gid' ? [target.register] : []),
    ...(await registersWith(reached, target.key)),
  ]);
  const [only, another] = registers;
  if (another !== undefined) throw new RegisterInQuestion(name, registers);
  const register = only === undefined ? undefined : await askRegister(only, target.key, reached, unreachable);
  const unknown = branches.length === 0 && (register === undefined || register.says === 'none');
  if (unknown && rows.length > 0)
    throw new NothingInDoubt(name, [...new Set(rows.map(({ participant }) => participant))]);
  if (register === undefined || unknown)
    throw new UnknownTransaction(
      name,
      unreachable.length > 0 && lookedAt.length > 0 ? ExitCode.Incomplete : ExitCode.WrongUsage,
      unreachable.map(({ participant }) => participant),
    );
  const asker = branches.find(({ coordinator }) => coordinator.state === 'running')?.workflowId;
  // The records of an orphan are gone; most transactions are workflows of their own, under their own id.
  const running = asker ?? (await runningAs(coordinators, branches.length > 0 ? transaction : undefined));
  return {
    name,
    evidence,
    register,
    rows,
    acceptances: await acceptancesIn(reached, target.key),
    notLookedAt: absentOf(register, unreachable, lookedAt),
    ...(running === undefined ? {} : { running }),
  };
}

/** Its id, as a branch recorded it. */
export const transactionOf = (branches: readonly BranchEvidence[]): string | undefined =>
  branches.find(({ transaction }) => transaction !== undefined)?.transaction;

async function runningAs(coordinators: Coordinators, transaction: string | undefined): Promise<string | undefined> {
  if (transaction === undefined) return undefined;
  const { state } = await coordinators.ask({ workflowId: transaction });
  return state === 'running' ? transaction : undefined;
}

async function rowsOf(databases: readonly Database[], transaction: string): Promise<Case['rows']> {
  const found = await Promise.all(
    databases.map(async ({ participant, pool }) =>
      (await branchesOf(pool, [transaction])).map((row) => ({ ...row, participant })),
    ),
  );
  return found.flat();
}

async function acceptancesIn(databases: readonly Database[], key: Target['key']): Promise<Case['acceptances']> {
  const found = await Promise.all(
    databases.map(async ({ participant, pool }) =>
      (await acceptancesOf(pool)).filter((one) => one.key === key).map((one) => ({ ...one, participant })),
    ),
  );
  return found.flat();
}

/** Those whose register has a decision, first the one that it names as the primary: others may share its database. */
async function registersWith(databases: readonly Database[], key: Target['key']): Promise<string[]> {
  const found = await Promise.all(
    databases.map(async ({ participant, pool }) =>
      (await decisionsOf(pool, [key])).map(({ branches }) => ({
        participant,
        isPrimary: branches?.[0]?.participant === participant,
      })),
    ),
  );
  const all = found.flat();
  return [...all.filter(({ isPrimary }) => isPrimary), ...all.filter(({ isPrimary }) => !isPrimary)].map(
    ({ participant }) => participant,
  );
}

/** Of participants that share a database, the first one: they have one register between them. */
async function differentOf(databases: readonly Database[], participants: readonly string[]): Promise<string[]> {
  const named = [...new Set(participants)];
  if (named.length < 2) return named;
  const places = new Map<string, string>();
  for (const participant of named) {
    const database = databases.find((one) => one.participant === participant);
    // Of one that was not looked at nothing says that it is not another one.
    const place = database === undefined ? participant : await placeOf(database);
    if (!places.has(place)) places.set(place, participant);
  }
  return [...places.values()];
}

/** The register may name all branches; where it does not, any database may hold one. */
function absentOf(
  { decided }: RegisterEvidence,
  unreachable: readonly Unreachable[],
  lookedAt: readonly string[],
): Unreachable[] {
  if (decided === undefined || decided.branches.length === 0) return [...unreachable];
  const named = new Set(decided.branches.flatMap(({ participant }) => participant ?? []));
  return [...named]
    .filter((participant) => !lookedAt.includes(participant))
    .map((participant) => ({
      participant,
      why: unreachable.find((one) => one.participant === participant)?.why ?? 'It is not configured.',
    }));
}

/** What is proposed where nothing is decided: `commit` only where a branch knows that all have voted for it. */
export const proposalFor = (branches: readonly BranchEvidence[]): Decision =>
  branches.some(({ preCommitted }) => preCommitted) ? 'commit' : 'abort';
