/**
 * The first phase: asks every branch to prepare and waits for the votes, as long as that makes sense. It ends at the first
 * `abort`, the last `commit`, the timeout, or the caller's cancellation.
 */
import { msToNumber } from '@temporalio/common/lib/time';
import { condition, log, workflowInfo } from '@temporalio/workflow';
import type { CancellationScope } from '@temporalio/workflow';
import { AbortCode } from '../protocol';
import type { AbortReason, Ballot } from '../protocol';
import { alarm } from './alarm';
import { isOwn } from './branches';
import type { ExternalBranch } from './branches';
import type { TransactionContext } from './context';
import { messageOf, refusalOf } from './failures';
import { callOf, isOwnMember, primaryOf } from './member';
import type { Member, OwnMember } from './member';
import type { CommitSettings } from './commit-options';
import { probe } from './probe';
import { isCircuitOpen, isSilence, isTimeUp } from './worker-circuits';

export interface VoteCollection {
  readonly context: TransactionContext;
  readonly ballot: Ballot;
  readonly members: readonly Member[];
  readonly settings: CommitSettings;
  /** At once; or, where that ended in contention before, one after the other in an order that is the same everywhere. */
  readonly order: 'at once' | 'one after the other';
  /** Where branches are asked. Not ended here: see {@link collectVotes}. */
  readonly asking: CancellationScope;
  /** Whether the caller has withdrawn. */
  readonly withdrawn: () => boolean;
  readonly changed: () => void;
}

/**
 * A branch that is still being asked when the vote ends is not waited for: the abort fences it off. Once that is decided the
 * caller withdraws what it still asks, and not sooner: most of it is being answered in this very moment.
 *
 * @returns why the vote ended, where the ballot does not say so itself
 */
export async function collectVotes(collection: VoteCollection): Promise<AbortReason | undefined> {
  const { members, ballot, settings, order } = collection;
  if (collection.withdrawn()) return WITHDRAWN;
  // What approved before, in an attempt that met contention, is not asked again.
  const externals = members.filter((member) => !isOwnMember(member) && !ballot.stands(member.id));
  // Sent in the same order by everybody, so that two transactions rather wait for each other than deadlock (G1).
  const own = members.filter(isOwnMember).sort(byPlace);
  const stages = order === 'at once' ? [own] : own.map((member) => [member]);
  let ended = await stage(collection, externals, msToNumber(settings.timeouts.prepare));
  // One limit for all of them: the first one holds its locks while the last one is asked.
  const end = Date.now() + msToNumber(settings.timeouts.prepare);
  for (const asked of stages) {
    if (ended !== undefined || ballot.tally === 'abort') break;
    ended = await stage(collection, asked, Math.max(end - Date.now(), SHORTEST_MS));
  }
  return ended;
}

export const WITHDRAWN: AbortReason = { code: AbortCode.Cancelled, message: 'It was cancelled before it was decided.' };

/** What is over is over, but a request cannot have a limit of nothing. */
const SHORTEST_MS = 1;

export const byPlace = (a: OwnMember, b: OwnMember): number => (place(a) < place(b) ? -1 : 1);
const place = ({ branch, id }: OwnMember): string => `${branch.participant} ${id}`;

/** Asks some branches and waits until all of them have voted, one objects, the time of one is up, or the caller withdraws. */
async function stage(
  collection: VoteCollection,
  asked: readonly Member[],
  limitMs: number,
): Promise<AbortReason | undefined> {
  if (asked.length === 0) return undefined;
  const { ballot, asking, withdrawn } = collection;
  const voted = (): boolean => asked.every(({ id }) => ballot.stands(id));
  let silence: AbortReason | undefined;
  const watches = asked.map((member) => {
    const ownLimitMs = limitOf(member, limitMs);
    const timeIsUp = (): void => {
      if (!ballot.stands(member.id)) silence ??= silenceOf(member.id, ownLimitMs);
    };
    void asking.run(() => ask(collection, member, limitMs, timeIsUp));
    // The request to a participant of ours has the limit of the vote itself, and ends with it: a timer would be one more action.
    return isOwnMember(member) ? undefined : alarm(ownLimitMs, `vote timeout of ${member.id}`, timeIsUp);
  });
  try {
    await condition(() => silence !== undefined || withdrawn() || ballot.tally === 'abort' || voted());
  } finally {
    for (const watch of watches) watch?.cancel();
  }
  if (ballot.tally === 'abort' || voted()) return undefined;
  return silence ?? WITHDRAWN;
}

const limitOf = ({ branch }: Member, limitMs: number): number =>
  !isOwn(branch) && branch.voteTimeout !== undefined ? msToNumber(branch.voteTimeout) : limitMs;

export const silenceOf = (id: string, limitMs: number): AbortReason => ({
  code: AbortCode.TimedOut,
  message: `No vote came within ${Math.ceil(limitMs / 1000)} s from ${id}.`,
});

/** Asks one branch. Total: what fails is a vote to abort, because nothing proves that it is prepared. */
async function ask(collection: VoteCollection, member: Member, limitMs: number, timeIsUp: () => void): Promise<void> {
  try {
    await (isOwnMember(member) ? askOwnAgain(collection, member, limitMs) : askExternal(collection, member));
  } catch (error) {
    if (collection.asking.consideredCancelled) return;
    if (isOwnMember(member) && isSilence(error)) return timeIsUp();
    // It has voted, and it was only the asking that failed.
    if (!isOwnMember(member) && collection.ballot.voteOf(member.id) !== 'none') return;
    const code = isCircuitOpen(error) ? AbortCode.CircuitOpen : AbortCode.Failed;
    const reason = refusalOf(error) ?? { code, message: messageOf(error) };
    collection.ballot.answer(member.id, { vote: 'abort', reason });
  }
  // A withdrawn request may be answered even so, when the transaction has ended long ago.
  if (!collection.asking.consideredCancelled) collection.changed();
}

/** Once more if it comes back: the others are prepared already, and hold locks that nobody else gets sooner by an abort. */
async function askOwnAgain(collection: VoteCollection, member: OwnMember, limitMs: number): Promise<void> {
  try {
    await askOwn(collection, member, limitMs);
  } catch (error) {
    if (!isTimeUp(error)) throw error;
    const { participant, reserves } = member.branch;
    const probed = await probe(collection.context.dispatcher, participant, reserves ? 'nothing' : 'slot');
    log.info('A participant was asked how it is, after it did not vote in time', { participant, ...probed });
    if (!probed.healthy) throw error;
    await askOwn(collection, member, limitMs);
  }
}

async function askOwn(
  { context, ballot, members, settings }: VoteCollection,
  member: OwnMember,
  limitMs: number,
): Promise<void> {
  const answer = await context.dispatcher.prepare(
    callOf(member, context),
    {
      token: member.token,
      register: primaryOf(members).branch.participant,
      votes: settings.votes,
      ...(settings.holdMs === undefined ? {} : { holdMs: settings.holdMs }),
    },
    {
      timeout: limitMs,
      attemptTimeout: settings.attemptTimeout,
      retry: settings.retry,
      summary: `at ${member.branch.participant}`,
    },
  );
  ballot.answer(member.id, answer);
  if ('result' in answer) member.result = { value: answer.result };
  if (answer.vote === 'commit' && answer.xid !== undefined) member.xid = answer.xid;
}

async function askExternal({ context }: VoteCollection, { id, branch, token }: Member): Promise<void> {
  const external = branch as ExternalBranch; // Cast: the others are our own.
  await external.prepare?.({ workflow: workflowInfo().workflowId, transaction: context.id, branch: id, token });
}
