/**
 * The second phase: takes the decision from the register and makes every branch follow it, however long that takes. Runs where
 * nothing cancels it. A branch that did otherwise, or of which nobody knows what it did, is held for a person, never passed
 * over.
 */
import { ApplicationFailure, condition, log, metricMeter, workflowInfo } from '@temporalio/workflow';
import type { Duration } from '@temporalio/common';
import { METRICS } from '../observability';
import { AbortCode, FailureType } from '../protocol';
import type { AbortReason, Ack, Ballot, BranchId, CommitProtocol, Decided, Decision, FinishFate } from '../protocol';
import { isOwn } from './branches';
import type { ExternalBranch } from './branches';
import type { CommitSettings } from './commit-options';
import type { Inside, TransactionContext } from './context';
import { hold } from './desk';
import type { Effort } from './dispatch';
import { isMismatch, messageOf } from './failures';
import { insist } from './insist';
import { callOf, isOwnMember, primaryOf } from './member';
import type { Member, OwnMember } from './member';
import { INSISTENT_RETRY } from './options';
import { retrying } from './retrying';
import type { Acknowledged } from './votes';

export interface Following {
  readonly protocol: CommitProtocol;
  readonly context: TransactionContext;
  readonly ballot: Ballot;
  /** Branches that have said by signal that they followed. */
  readonly acked: ReadonlyMap<BranchId, Acknowledged>;
  readonly members: readonly Member[];
  readonly settings: CommitSettings;
  readonly changed: () => void;
  /**
   * Tells a branch in another way than by asking its participant to finish it. Undefined when no answer comes: then the
   * participant is asked after all.
   */
  readonly tell?: (member: OwnMember, decision: Decision) => Promise<Ack | undefined>;
}

/** Proposes a decision, learns what was decided, and has the primary follow it at once. */
export async function decide(following: Following, propose: Decision, reason?: AbortReason): Promise<Decided> {
  const { context, members, settings, ballot } = following;
  const primary = primaryOf(members);
  const insisted = await insist({
    attempt: (limit) =>
      context.dispatcher
        .decide(
          callOf(primary, context),
          {
            propose,
            ...(reason === undefined ? {} : { reason }),
            // Whatever is proposed: the register may say commit, as it does after a reset.
            ...phaseTwo(primary, members, 'commit'),
            branches: members.map(({ id, branch }) => ({
              branch: id,
              ...('participant' in branch ? { participant: branch.participant } : {}),
              vote: ballot.voteOf(id),
            })),
          },
          effort(primary, settings, limit),
        )
        .catch((error: unknown) => {
          // Nothing of ours may commit, and nothing of ours has been decided: what is prepared is rolled back.
          if (isMismatch(error)) return mismatch(messageOf(error));
          throw error;
        }),
    holdAfter: settings.timeouts[propose],
    hold: () => hold(context.id, primary.id, 'decision'),
    onHeld: (cause, stuck) => overdue(following, primary, cause, stuck),
  });
  // The desk takes no other ruling for a decision than to try again.
  if (insisted.kind !== 'succeeded') throw new Error('Nothing was decided: the register was given up.');
  const { ack, ...decided } = insisted.value;
  if (ack !== undefined && followed(ack, decided.decision) === undefined) done(following, primary, ack);
  return decided;
}

const mismatch = (message: string): Decided & { readonly ack?: Ack } => ({
  decision: 'abort',
  by: 'the register',
  reason: { code: AbortCode.InputMismatch, message },
});

/** Makes the other branches follow, side by side. One that has nothing to finish is left alone. */
export async function followAll(following: Following, decision: Decision): Promise<void> {
  const unfinished = following.members.filter(({ finish }) => finish.kind !== 'done');
  for (const member of unfinished) if (mayRest(member, following)) set(following, member, { kind: 'not-needed' });
  const followers = unfinished.filter((member) => !mayRest(member, following));
  await Promise.all(followers.map((member) => follow(following, member, decision)));
}

function mayRest({ id, branch }: Member, { ballot }: Following): boolean {
  // A vote by signal is a hint: only what stands, with the answer of our own participant, spares it the second phase.
  if (ballot.stands(id) && ballot.voteOf(id) === 'read-only') return true;
  if (isOwn(branch)) return false;
  // One that objected has nothing prepared that it could acknowledge.
  return branch.finish === 'none' || (branch.finish === 'ack' && ballot.voteOf(id) === 'abort');
}

async function follow(following: Following, member: Member, decision: Decision): Promise<void> {
  const { context, settings } = following;
  set(following, member, { kind: 'running' });
  const insisted = await insist({
    attempt: (limit) => attempt(following, member, decision, limit),
    holdAfter: settings.timeouts[decision],
    hold: () => hold(context.id, member.id, isOwnMember(member) ? 'finish' : 'acknowledgement'),
    onHeld: (cause, stuck) => overdue(following, member, cause, stuck),
  });
  switch (insisted.kind) {
    case 'succeeded':
      return done(following, member, insisted.value);
    case 'resolve':
      return set(following, member, { kind: 'resolved', by: insisted.by, reason: insisted.reason });
    case 'skip': {
      const evidence = 'cause' in member.finish ? member.finish.cause : 'it did not answer';
      return set(following, member, { kind: 'skipped', by: insisted.by, reason: insisted.reason, evidence });
    }
  }
}

async function attempt(following: Following, member: Member, decision: Decision, limit: Duration): Promise<Ack> {
  if (!isOwnMember(member)) return followExternally(following, member, decision, limit);
  const { context, members, settings } = following;
  // Without an await where there is nothing to wait for: the order of commands is part of every history.
  const told = following.tell ? await following.tell(member, decision) : undefined;
  const ack =
    told ??
    (await context.dispatcher.finish(
      callOf(member, context),
      decision,
      phaseTwo(member, members, decision),
      effort(member, settings, limit),
    ));
  const failure = followed(ack, decision);
  if (failure !== undefined) throw failure;
  return ack;
}

async function followExternally(
  { context, acked }: Following,
  { id, branch, token }: Member,
  decision: Decision,
  limit: Duration,
): Promise<Ack> {
  const { finish } = branch as ExternalBranch; // Cast: the others are our own.
  if (typeof finish === 'function') {
    const request = { workflow: workflowInfo().workflowId, transaction: context.id, branch: id, token, decision };
    const { tryOf } = context.inside as Inside; // Cast: no group has such a branch.
    await retrying(
      limit,
      id,
      () => tryOf(`${id} of ${context.id}`),
      () => finish(request),
    );
  } else if (!(await condition(() => acked.has(id), limit, { summary: `ack timeout of ${id}` }))) {
    throw ApplicationFailure.retryable('It has not acknowledged the decision.', FailureType.OperationFailed);
  }
  return { kind: 'applied' };
}

/** What an acknowledgement is worth: nothing when the branch did as decided, else the failure that a person has to look at. */
function followed(ack: Ack, decision: Decision): ApplicationFailure | undefined {
  switch (ack.kind) {
    case 'applied':
      return undefined;
    case 'heuristic':
      return ack.took === decision ? undefined : stuck(FailureType.HeuristicOutcome, ack.evidence);
    case 'lost':
      return stuck(FailureType.PreparedLost, ack.evidence);
    case 'foreign':
      // Nothing of ours is there, and that is what an abort is.
      return decision === 'abort' ? undefined : stuck(FailureType.HeuristicOutcome, ack.evidence);
  }
}

const stuck = (type: FailureType, evidence: string): ApplicationFailure =>
  ApplicationFailure.nonRetryable(evidence, type);

const phaseTwo = (member: OwnMember, members: readonly Member[], decision: Decision) => ({
  register: primaryOf(members).branch.participant,
  ...(member.xid === undefined ? {} : { xid: member.xid }),
  ...(decision === 'commit' && member.result === undefined ? { wantsResult: true as const } : {}),
});

const effort = ({ branch }: OwnMember, { attemptTimeout }: CommitSettings, timeout: Duration): Effort => ({
  timeout,
  attemptTimeout,
  retry: INSISTENT_RETRY,
  summary: `at ${branch.participant}`,
});

function done(following: Following, member: Member, ack: Ack): void {
  if (ack.kind === 'applied' && 'result' in ack) member.result = { value: ack.result };
  set(following, member, { kind: 'done' });
}

function overdue(following: Following, member: Member, cause: string, isStuck: boolean): void {
  const { context } = following;
  if (member.finish.kind !== 'overdue' && member.finish.kind !== 'held') countOverdue(following.protocol);
  log.warn(isStuck ? 'A branch is held: it waits for a person' : 'A branch is overdue: it goes on being tried', {
    transaction: context.id,
    branch: member.id,
    cause,
  });
  set(following, member, { kind: isStuck ? 'held' : 'overdue', cause });
}

export const countOverdue = (protocol: CommitProtocol): void =>
  metricMeter.createCounter(METRICS.overdue).add(1, { protocol });

function set({ changed }: Following, member: Member, fate: FinishFate): void {
  member.finish = fate;
  changed();
}
