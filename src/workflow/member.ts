/** A branch with what has become of it in one attempt of its transaction. */
import { uuid4 } from '@temporalio/workflow';
import type { Ballot, BranchId, BranchReport, FinishFate, Reservation, Voter } from '../protocol';
import { identify, isOwn } from './branches';
import type { AnyBranch, OwnBranch } from './branches';
import type { TransactionContext } from './context';
import type { BranchCall } from './dispatch';
import type { Correspondent } from './votes';

export interface Member {
  readonly id: BranchId;
  readonly branch: AnyBranch | Reservation;
  /** Secret of this request to prepare: what answers another one does not count. */
  readonly token: string;
  finish: FinishFate;
  /** What the operation returned, once that is known. */
  result?: { readonly value: unknown };
  /** Transaction id of PostgreSQL, as the vote told it. */
  xid?: string;
}

export type OwnMember = Member & { readonly branch: OwnBranch };

export const membersOf = (branches: readonly (AnyBranch | Reservation)[]): Member[] =>
  identify(branches).map(({ id, branch }) => ({ id, branch, token: uuid4(), finish: { kind: 'waiting' } }));

// Cast: the guard looks at the branch inside.
export const isOwnMember = (member: Member): member is OwnMember => isOwn(member.branch);

/** The branch in whose database the decision is. */
export function primaryOf(members: readonly Member[]): OwnMember {
  const primary = members.find(isOwnMember);
  if (!primary) throw new Error('Nothing was changed: no branch has a database.'); // identify() has looked.
  return primary;
}

export const voterOf = ({ id, token, branch }: Member, evidence: Voter['evidence']): Correspondent => ({
  branch: id,
  token,
  evidence: isOwn(branch) ? evidence : 'vote',
  ...(isOwn(branch) && evidence === 'vote' ? { participant: branch.participant } : {}),
});

export const callOf = (
  { id, branch }: OwnMember,
  { id: transaction, request, inherits }: TransactionContext,
): BranchCall => ({
  transaction,
  branch: id,
  participant: branch.participant,
  operation: branch.operation,
  input: branch.input,
  ...(branch.colocated ? { colocated: true as const } : {}),
  ...(branch.reserves ? { reserves: true as const } : {}),
  ...(request === undefined ? {} : { request }),
  // The group may have prepared it, and then waiting for its key would take as long as a lock may.
  ...(inherits === undefined ? {} : { inherits, again: true as const }),
});

/** The primary first, as the register and the Web UI show them. */
export function reportOfMembers(members: readonly Member[], ballot: Ballot | undefined): BranchReport[] {
  const primary = primaryOf(members);
  return [primary, ...members.filter((member) => member !== primary)].map(({ id, branch, finish }) => {
    const reason = ballot?.reasonOf(id);
    return {
      branch: id,
      ...(isOwn(branch) ? { participant: branch.participant, operation: branch.operation } : { operation: branch.id }),
      vote: ballot?.voteOf(id) ?? 'none',
      ...(reason === undefined ? {} : { reason }),
      finish,
    };
  });
}
