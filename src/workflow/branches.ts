/** What a transaction of atomic commitment consists of: branches at participants, and branches that are not ours. */
import type { Duration } from '@temporalio/common';
import { isTooDeep, MOST_LEVELS, parseBranchId } from '../protocol';
import type { Branch, BranchId, Decision, Reservation } from '../protocol';
import { TransactionDefinitionError } from './errors';

/** What a branch that is not ours is told: everything that its vote needs. */
export interface ExternalRequest {
  /** Workflow id of the coordinator, to which the signals `vote` and `ack` go. */
  readonly workflow: string;
  readonly transaction: string;
  readonly branch: string;
  /** Secret of this request: a vote without it does not count. */
  readonly token: string;
}

/**
 * A branch that is not an operation of a participant of ours: a service in another language, a person's approval. It votes
 * by the signal `vote`, and nothing but its vote is known of it. Such branches vote first: while a person thinks it over, no
 * database holds a lock.
 */
export interface ExternalBranch {
  readonly id: string;
  /** Asks for the vote, such as by an activity of yours. Its failure is a vote to abort. Absent: it asks by itself. */
  prepare?(request: ExternalRequest): Promise<void>;
  /**
   * How it hears of the decision and says that it has followed: a function, such as an activity of yours, that is tried until
   * it succeeds; `ack`: it finds out by itself and sends the signal `ack`; `none`: the decision is nothing to it.
   */
  readonly finish: 'ack' | 'none' | ((request: ExternalRequest & { readonly decision: Decision }) => Promise<void>);
  /** How long it may take to vote. @default the timeout of the others */
  readonly voteTimeout?: Duration;
}

/** A branch of a transaction, as the caller lists it. */
export type AnyBranch = Branch | ExternalBranch;

/** A branch at a participant of ours. */
export type OwnBranch = Branch | Reservation;

/** The results of some branches, one by one. A branch that is not ours has none. */
export type ResultsOf<Branches extends readonly (AnyBranch | Reservation)[]> = {
  readonly [I in keyof Branches]: Branches[I] extends { readonly types?: { readonly result: infer R } } ? R : undefined;
};

/** Signals go by, names and locks are many: more branches than that are a design of their own. */
const MOST_BRANCHES = 64;

/** Gives every branch its id. */
export function identify(
  branches: readonly (AnyBranch | Reservation)[],
): readonly { readonly id: BranchId; readonly branch: AnyBranch | Reservation }[] {
  if (branches.length === 0) throw new TransactionDefinitionError('A transaction needs at least one branch.');
  if (branches.length > MOST_BRANCHES)
    throw new TransactionDefinitionError(
      `A transaction has at most ${MOST_BRANCHES} branches, not ${branches.length}. Let one operation do more, or use a saga.`,
    );
  if (!branches.some(isOwn))
    throw new TransactionDefinitionError(
      'A transaction needs at least one branch at a participant: the decision is kept in its database.',
    );
  const counts = new Map<string, number>();
  const taken = new Set<string>();
  return branches.map((given) => {
    const name = given.id ?? (isOwn(given) ? `${given.participant}.${given.operation}` : '');
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const id = parseBranchId(count === 1 || given.id !== undefined ? name : `${name}-${count}`);
    // A numbered name may be one that somebody has chosen: the answer of the one would count for the other.
    if (taken.has(id)) throw new TransactionDefinitionError(`Two branches have the id ${id}. Give each its own.`);
    taken.add(id);
    if (isOwn(given) && isTooDeep(given.input))
      throw new TransactionDefinitionError(
        `Nothing was started: the input of ${id} is nested more than ${MOST_LEVELS} levels deep. Send what it needs of that.`,
      );
    return { id, branch: given };
  });
}

export const isOwn = (given: AnyBranch | Reservation): given is OwnBranch => 'participant' in given;
