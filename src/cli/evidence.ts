/**
 * What is in doubt: the prepared transactions of every database, each with what its register says, whether its coordinator is
 * at work, and what that amounts to. What cannot be judged is part of the evidence too, and never left out.
 */
import { decisionFor, listPrepared, readDecisionByKey, scopeOf, survey } from '../participant';
import type { OverdueBranch, PreparedTransaction, Registered, TransactionKey } from '../participant';
import { judge } from '../protocol';
import type { InDoubt, Patience, Verdict } from '../protocol';
import type { Coordinator, Coordinators } from './coordinators';
import { reach, tellFailure } from './databases';
import type { Database, Unreachable } from './databases';

/** What the register says of a transaction, or why it does not. */
export interface RegisterEvidence {
  /** The participant that has it. */
  readonly participant: string;
  readonly says: InDoubt['register'];
  /** Why it is unreadable. */
  readonly why?: string;
  readonly decided?: Registered;
}

/** A branch in doubt, or one that was asked to prepare and of which nothing is left. */
export interface BranchEvidence {
  readonly participant: string;
  readonly gid: string;
  readonly key: TransactionKey;
  readonly ageMs: number;
  readonly prepared: boolean;
  readonly owned: boolean;
  /** Three-phase commit: all have voted `commit`. */
  readonly preCommitted: boolean;
  /** The role that prepared it. Absent when it is not prepared. */
  readonly owner?: string;
  /** These six are absent for an orphan: nothing says more than its gid. */
  readonly transaction?: string;
  readonly branch?: string;
  /** Hash of the transaction's input, as far as it is known. */
  readonly request?: string;
  readonly namespace?: string;
  readonly namespaceId?: string;
  readonly workflowId?: string;
  readonly register: RegisterEvidence;
  readonly coordinator: Coordinator;
  readonly verdict: Verdict;
}

/** A prepared transaction that is not for this command to touch. */
export interface StrangerEvidence {
  /** The participant in whose database it is. */
  readonly participant: string;
  readonly gid: string;
  readonly ageMs: number;
  readonly owner: string;
  readonly why: string;
}

export interface Evidence {
  readonly branches: readonly BranchEvidence[];
  readonly strangers: readonly StrangerEvidence[];
  readonly unreachable: readonly Unreachable[];
  /** Names of the participants whose databases were looked at. */
  readonly lookedAt: readonly string[];
  /** Why Temporal could not be asked, when it had to be. */
  readonly temporalDown?: string;
}

export interface Looking {
  readonly namespace: string;
  readonly patience: Patience;
  /** Younger branches too. */
  readonly young: boolean;
  /** Only those of one transaction. */
  readonly key?: TransactionKey;
  /** Only those of these transactions. */
  readonly keys?: ReadonlySet<TransactionKey>;
}

type Found = Omit<BranchEvidence, 'register' | 'coordinator' | 'verdict'> & { readonly registerAt: string };

/** Looks at every database, then at the registers and coordinators of what is in doubt there. */
export async function gather(
  databases: readonly Database[],
  coordinators: Coordinators,
  looking: Looking,
): Promise<Evidence> {
  const { reached, unreachable } = await reach(databases);
  const found = await Promise.all(
    reached.map(async (database) => {
      try {
        return await lookInto(database, looking, reached);
      } catch (error) {
        return { participant: database.participant, why: tellFailure(database, error) };
      }
    }),
  );
  const seen = found.flatMap((one) => ('why' in one ? [] : [one]));
  const lost = found.flatMap((one) => ('why' in one ? [one] : []));
  const usable = reached.filter(({ participant }) => !lost.some((one) => one.participant === participant));
  const absent = [...unreachable, ...lost];
  const branches = await Promise.all(
    seen.flatMap(({ branches }) => branches).map((branch) => weigh(branch, usable, absent, coordinators, looking)),
  );
  const temporalDown = await coordinators.down();
  return {
    branches: branches.sort((a, b) => b.ageMs - a.ageMs),
    strangers: seen.flatMap(({ strangers }) => strangers),
    unreachable: absent,
    lookedAt: usable.map(({ participant }) => participant),
    ...(temporalDown === undefined ? {} : { temporalDown }),
  };
}

/** More than any server holds: nothing is left out. */
const ALL = 1_000_000;

interface Seen {
  readonly branches: readonly Found[];
  readonly strangers: readonly StrangerEvidence[];
}

async function lookInto(
  { participant, pool }: Database,
  { namespace, patience, young, key, keys }: Looking,
  reached: readonly Database[],
): Promise<Seen> {
  const viewer = { participant, namespace };
  const graceMs = young ? 0 : patience.graceMs;
  const { overdue } = await survey(pool, viewer, graceMs);
  const listed = await listPrepared(pool, viewer, ALL);
  const ours = listed.filter(({ whose, ageMs }) => whose === 'ours' && ageMs >= graceMs);
  const missing = overdue.filter(({ prepared, gid }) => !prepared && !listed.some((one) => one.gid === gid));
  return {
    branches: [
      ...ours.flatMap((one) => foundPrepared(participant, one)),
      ...missing.map(foundMissing(participant)),
    ].filter((found) => (key === undefined || found.key === key) && (keys?.has(found.key) ?? true)),
    strangers: listed.flatMap((one) =>
      one.whose === 'ours' ? [] : [{ participant, ...pick(one), why: whyStranger(one, viewer, reached) }],
    ),
  };
}

const pick = ({ gid, ageMs, owner }: PreparedTransaction) => ({ gid, ageMs, owner });

function foundPrepared(participant: string, { parts, branch, ...listed }: PreparedTransaction): Found[] {
  if (parts === undefined) return [];
  return [
    {
      participant,
      ...pick({ ...listed }),
      owned: listed.owned,
      prepared: true,
      preCommitted: branch?.preCommitted ?? false,
      key: parts.transaction,
      registerAt: parts.register,
      ...(branch && {
        transaction: branch.transaction,
        branch: branch.branch,
        ...(branch.request === null ? {} : { request: branch.request }),
        ...(branch.namespace === null ? {} : { namespace: branch.namespace }),
        ...(branch.namespaceId === null ? {} : { namespaceId: branch.namespaceId }),
        ...(branch.workflowId === null ? {} : { workflowId: branch.workflowId }),
      }),
    },
  ];
}

const foundMissing =
  (participant: string) =>
  ({ register, ...rest }: OverdueBranch): Found => ({ ...rest, participant, registerAt: register });

function whyStranger(
  { parts }: PreparedTransaction,
  { participant, namespace }: { readonly participant: string; readonly namespace: string },
  reached: readonly Database[],
): string {
  if (parts === undefined) return 'not of this package: ask its owner';
  if (parts.scope !== scopeOf(namespace)) return 'of another Temporal namespace: see --namespace';
  const configured = reached.some((one) => one.participant === parts.participant);
  return `of participant ${parts.participant}, in the database of ${participant}: ${
    configured ? 'listed with that one if both names mean this database' : 'configure this database under that name'
  }`;
}

async function weigh(
  { registerAt, ...branch }: Found,
  reached: readonly Database[],
  unreachable: readonly Unreachable[],
  coordinators: Coordinators,
  { patience }: Looking,
): Promise<BranchEvidence> {
  const [register, coordinator] = await Promise.all([
    askRegister(registerAt, branch.key, reached, unreachable),
    coordinators.ask(branch),
  ]);
  const { ageMs, prepared, owned, preCommitted } = branch;
  const says = saysOf(register, branch.request);
  const verdict = judge(
    { ageMs, prepared, owned, preCommitted, register: says, coordinator: coordinator.state },
    patience,
  );

  return { ...branch, register, coordinator, verdict };
}

/** What the register says of one branch, which may be part of another request under the same id. */
const saysOf = ({ says, decided }: RegisterEvidence, request: string | undefined): RegisterEvidence['says'] =>
  decided ? decisionFor(decided, request) : says;

/** Asks the register of a participant. Never throws: what it does not say is evidence too. */
export async function askRegister(
  participant: string,
  key: TransactionKey,
  reached: readonly Database[],
  unreachable: readonly Unreachable[],
): Promise<RegisterEvidence> {
  const database = reached.find((one) => one.participant === participant);
  if (database === undefined) {
    const why = unreachable.find((one) => one.participant === participant)?.why;
    return { participant, says: 'unreadable', why: why ?? 'It is not configured.' };
  }
  try {
    const decided = await readDecisionByKey(database.pool, key);
    return { participant, says: decided?.decision ?? 'none', ...(decided ? { decided } : {}) };
  } catch (error) {
    return { participant, says: 'unreadable', why: tellFailure(database, error) };
  }
}
