/**
 * What an audit thinks of one transaction: its decision against the rows that stand in the branch logs. Pure, so that what it
 * thinks does not depend on when which database was asked.
 */
import { branchKeyOf } from '../../participant';
import type { AuditedBranch, AuditedDecision, TransactionKey } from '../../participant';
import type { Decision } from '../../protocol';
import { printable } from '../printable';

/** What a branch did against its decision, or without one. */
export interface Deed {
  /** Hash of the branch id, as in its gid: of some branches nothing else is known. */
  readonly branchKey: string;
  /** What the branch amounts to. */
  readonly took: Decision;
  /** What the register says, and at which participant it is. */
  readonly decision: Decision | 'none' | 'unreadable';
  readonly register: string;
  /** When it was recorded. Absent when nobody has. */
  readonly at?: Date;
}

/** Something that needs a person. */
export interface Finding {
  readonly kind:
    /** It is decided commit, and a branch was given up. */
    | 'not-applied'
    /** It is decided commit, and nothing of a branch is left. */
    | 'lost'
    /** It is decided abort, and a branch took effect. */
    | 'took-effect'
    /** A branch took effect, and nothing is decided. */
    | 'no-decision'
    /** It is decided commit, and the register does not say which branches it has. */
    | 'branches-unknown'
    /** It is decided commit, although a branch had not voted so. */
    | 'vote-ignored'
    /** Two registers decided differently. */
    | 'two-decisions'
    /** A branch has been prepared for longer than the grace period. */
    | 'in-doubt'
    /** A person finished a branch otherwise than decided, or without a decision. */
    | 'heuristic';
  readonly participant: string;
  readonly key: TransactionKey;
  readonly transaction?: string;
  readonly branch?: string;
  readonly gid?: string;
  readonly told: string;
  readonly toDo: string;
  /** Where a person may put it right by other means, and accept it. */
  readonly deed?: Deed;
}

/** Two looks found the same when this is the same. */
export const identityOf = ({ kind, participant, key, branch, gid }: Finding): string =>
  [kind, participant, key, gid ?? branch ?? ''].join('|');

/** What the databases say about the transactions at hand. */
export interface Facts {
  /** Undefined for a participant whose database was not looked at. */
  rowsAt(participant: string, transaction: string): readonly AuditedBranch[] | undefined;
  /** `stranger`: under another namespace, or in a database that is not its participant's. Undefined when it is not prepared. */
  preparedAs(participant: string, transaction: string, branch: string): 'ours' | 'stranger' | undefined;
  /** Participants whose databases were looked at. */
  readonly participants: readonly string[];
}

/** How long is waited before an absence means something. */
export interface Limits {
  readonly graceMs: number;
  /** Branch-log rows older than this may have been purged. */
  readonly purgedAfterMs: number;
}

/** What became of the branches of one decision. */
export interface Judgement {
  readonly findings: readonly Finding[];
  /** Branches whose row was compared with the decision. */
  readonly compared: number;
  /** Voted `read-only`: no row is possible, and none is needed. */
  readonly readOnly: number;
  /** Participants that would have had to be looked at. */
  readonly notLookedAt: readonly string[];
  /** Cannot be told: not a participant of this package, purged, too young, or known by its gid only. */
  readonly notJudged: number;
}

/** Judges one decision. @param register the participant that has it */
export function judgeDecision(decided: AuditedDecision, register: string, facts: Facts, limits: Limits): Judgement {
  return decided.decision === 'commit'
    ? judgeCommit(decided, register, facts, limits)
    : judgeAbort(decided, register, facts, limits);
}

const REPAIR = 'compare the business data of all branches, repair it by hand, and find out who did this';

type Verdict = { readonly finding: Finding } | 'compared' | 'read-only' | 'not-judged' | { readonly absent: string };

function judgeCommit(decided: AuditedDecision, register: string, facts: Facts, limits: Limits): Judgement {
  const { key, transaction, branches } = decided;
  if (transaction === null || branches === null || branches.length === 0)
    return judgeUnlisted(decided, register, facts, limits);
  return sum(
    branches.map(({ branch, participant, vote }): Verdict => {
      if (vote === 'read-only') return 'read-only';
      if (participant === undefined) return 'not-judged';
      const about = { participant, key, transaction, branch };
      const deed = { branchKey: branchKeyOf(branch), took: 'abort', decision: 'commit', register } as const;
      if (vote !== 'commit')
        return {
          finding: {
            kind: 'vote-ignored',
            ...about,
            told: `The register says commit, and this branch's vote was ${printable(vote)}.`,
            toDo: REPAIR,
          },
        };
      const rows = facts.rowsAt(participant, transaction);
      if (rows === undefined) return { absent: participant };
      const state = rows.find((row) => row.branch === branch)?.state;
      if (hasTakenEffect(state)) return 'compared';
      if (state === 'tried') return waiting(decided, about, limits);
      if (state !== undefined) return notApplied(about, state, register);
      if (decided.ageMs < limits.graceMs) return 'not-judged';
      const prepared = facts.preparedAs(participant, transaction, branch);
      // What is ours and prepared is looked at by itself.
      if (prepared === 'ours') return 'not-judged';
      if (prepared === 'stranger')
        return {
          finding: {
            kind: 'in-doubt',
            ...about,
            told: 'The register says commit, and it is prepared in another Temporal namespace or database.',
            toDo: 'see temporal-txn in-doubt, and --namespace',
          },
        };
      if (decided.ageMs > limits.purgedAfterMs) return 'not-judged';
      return {
        finding: {
          kind: 'lost',
          ...about,
          told: 'The register says commit, and it is neither prepared nor in the branch log: lost, or finished by hand.',
          toDo: `${REPAIR}. If branch logs are purged, say from which age with --purged-after`,
          deed,
        },
      };
    }),
  );
}

/** Participants of three-phase commit that come to a decision by themselves, and recovery for one of them, list no branches. */
function judgeUnlisted(decided: AuditedDecision, register: string, facts: Facts, limits: Limits): Judgement {
  const { key, transaction, ageMs } = decided;
  const rows = facts.participants.flatMap((participant) =>
    (transaction === null ? [] : (facts.rowsAt(participant, transaction) ?? [])).map((row) => ({
      participant,
      ...row,
    })),
  );
  if (transaction === null || rows.length === 0) {
    if (transaction !== null && (ageMs < limits.graceMs || ageMs > limits.purgedAfterMs)) return sum(['not-judged']);
    return sum([
      {
        finding: {
          kind: 'branches-unknown',
          participant: register,
          key,
          ...(transaction === null ? {} : { transaction }),
          told: `The register says commit, by ${printable(decided.by)}, does not say for which branches, and no database that was looked at has one.`,
          toDo: 'find out who wrote this row, and compare the business data by hand',
        },
      },
    ]);
  }
  return sum(
    rows.map(({ participant, branch, state }): Verdict => {
      const about = { participant, key, transaction, branch };
      if (hasTakenEffect(state)) return 'compared';
      if (state === 'tried') return waiting(decided, about, limits);
      return notApplied(about, state, register);
    }),
  );
}

const notApplied = (
  about: Required<Pick<Finding, 'participant' | 'key' | 'transaction' | 'branch'>>,
  state: AuditedBranch['state'],
  register: string,
): Verdict => ({
  finding: {
    kind: 'not-applied',
    ...about,
    told: `The register says commit, its row says ${state}.`,
    toDo: REPAIR,
    deed: { branchKey: branchKeyOf(about.branch), took: 'abort', decision: 'commit', register },
  },
});

function judgeAbort(decided: AuditedDecision, register: string, facts: Facts, limits: Limits): Judgement {
  const { key, transaction, branches } = decided;
  if (transaction === null) return sum(['not-judged']);
  const absent = (branches ?? []).flatMap(({ participant }): Verdict[] =>
    participant === undefined || facts.participants.includes(participant) ? [] : [{ absent: participant }],
  );
  // Every database, not only those that are listed: recovery lists none.
  const found = facts.participants.flatMap((participant) =>
    (facts.rowsAt(participant, transaction) ?? []).map(({ branch, state }): Verdict => {
      if (state === 'tried') return waiting(decided, { participant, key, transaction, branch }, limits);
      return hasTakenEffect(state)
        ? {
            finding: {
              kind: 'took-effect',
              participant,
              key,
              transaction,
              branch,
              told: 'The register says abort, and its row says that it took effect.',
              toDo: REPAIR,
              deed: { branchKey: branchKeyOf(branch), took: 'commit', decision: 'abort', register },
            },
          }
        : 'compared';
    }),
  );
  return sum([...absent, ...found]);
}

const hasTakenEffect = (state: AuditedBranch['state'] | undefined): boolean =>
  state === 'applied' || state === 'confirmed';

/** A reservation that is decided and neither confirmed nor cancelled. Recovery does that, where there is a worker. */
function waiting(
  { decision, ageMs }: AuditedDecision,
  about: Pick<Finding, 'participant' | 'key' | 'transaction' | 'branch'>,
  { graceMs }: Limits,
): Verdict {
  if (ageMs < graceMs) return 'not-judged';
  return {
    finding: {
      kind: 'in-doubt',
      ...about,
      told: `The register says ${decision}, and it is still reserved.`,
      toDo: `start a worker of ${about.participant}: its recovery ${decision === 'commit' ? 'confirms' : 'cancels'} it`,
    },
  };
}

function sum(verdicts: readonly Verdict[]): Judgement {
  const howMany = (what: Verdict): number => verdicts.filter((verdict) => verdict === what).length;
  return {
    findings: verdicts.flatMap((verdict) =>
      typeof verdict === 'object' && 'finding' in verdict ? [verdict.finding] : [],
    ),
    compared: howMany('compared'),
    readOnly: howMany('read-only'),
    notLookedAt: verdicts.flatMap((verdict) =>
      typeof verdict === 'object' && 'absent' in verdict ? [verdict.absent] : [],
    ),
    notJudged: howMany('not-judged'),
  };
}
