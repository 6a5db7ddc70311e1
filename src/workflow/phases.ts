/** What a protocol does with one attempt at a transaction: its phases, and the last ones, which all protocols share. */
import type { CancellationScope } from '@temporalio/workflow';
import { AbortCode } from '../protocol';
import type { AbortReason, Ballot, CommitPhase, CommitProtocol, Decided, Decision, Voter } from '../protocol';
import type { VoteCollection } from './collect-votes';
import type { CommitSettings } from './commit-options';
import type { TransactionContext } from './context';
import { decide, followAll } from './follow-decision';
import type { Following } from './follow-decision';
import type { Member } from './member';
import type { OpenBallot } from './votes';

/** A protocol. */
export interface Phases {
  readonly protocol: CommitProtocol;
  /** Whether a transaction with one branch needs no vote. */
  readonly onePhase: boolean;
  /** What a vote to commit of a participant of ours needs: see `Voter`. */
  readonly evidence: Voter['evidence'];
  /** From the first question to the last acknowledgement. */
  run(attempt: Attempt): Promise<Decided>;
}

/** One attempt at a transaction. */
export interface Attempt {
  readonly protocol: CommitProtocol;
  readonly context: TransactionContext;
  readonly box: OpenBallot;
  readonly members: readonly Member[];
  readonly settings: CommitSettings;
  readonly order: VoteCollection['order'];
  /** Whether the caller has withdrawn. */
  readonly withdrawn: () => boolean;
  readonly changed: () => void;
  readonly enter: (phase: CommitPhase) => void;
  readonly decided: (decided: Decided) => void;
}

/**
 * Closes the vote, decides, and makes every branch follow.
 *
 * @param ended why the vote ended, where the ballot does not say so itself
 * @param asking where branches are still being asked: withdrawn once that is decided
 * @param finishing what the protocol does in its own way: to decide, and to tell a branch
 */
export async function conclude(
  attempt: Attempt,
  ended: AbortReason | undefined,
  asking: CancellationScope,
  finishing: Pick<Following, 'tell'> & {
    readonly decide?: (propose: Decision, reason: AbortReason | undefined) => Promise<Decided>;
  } = {},
): Promise<Decided> {
  const { context, members, settings, changed } = attempt;
  const { ballot, acked } = attempt.box;
  const following: Following = {
    protocol: attempt.protocol,
    context,
    ballot,
    acked,
    members,
    settings,
    changed,
    ...finishing,
  };
  const tally = ballot.close();
  const propose = ended === undefined ? tally : 'abort';
  attempt.enter('deciding');
  const decided: Decided = members.every(({ id }) => ballot.stands(id) && ballot.voteOf(id) === 'read-only')
    ? { decision: propose, by: 'coordinator' } // Nobody has anything to finish, so nobody will ever ask.
    : await (finishing.decide ?? ((...proposal) => decide(following, ...proposal)))(
        propose,
        propose === 'abort' ? reasonOf(ballot, ended) : undefined,
      );
  attempt.decided(decided);
  asking.cancel();
  await followAll(following, decided.decision);
  return decided;
}

/** Why we propose to abort: the first objection, or what ended the vote. */
function reasonOf(ballot: Ballot, ended: AbortReason | undefined): AbortReason {
  const { objector } = ballot;
  const objection = objector === undefined ? undefined : ballot.reasonOf(objector);
  return (
    objection ??
    ended ?? { code: AbortCode.Failed, message: `${objector ?? 'A branch'} voted abort and gave no reason.` }
  );
}
