/**
 * A transaction with one branch needs no vote: its local transaction commits or does not, and its branch log is the decision.
 * Where an attempt leaves that open, the participant is asked, and what has not happened by then is fenced off.
 */
import { ActivityFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { CancellationScope } from '@temporalio/workflow';
import { AbortCode } from '../protocol';
import type { CommitProtocol, Decided, QueryAnswer } from '../protocol';
import type { TransactionContext } from './context';
import { hold } from './desk';
import { fateOf, isMismatch, messageOf } from './failures';
import { countOverdue } from './follow-decision';
import { insist } from './insist';
import { callOf, isOwnMember } from './member';
import type { Member, OwnMember } from './member';
import { INSISTENT_RETRY } from './options';
import type { CommitSettings } from './commit-options';

export interface OnePhase {
  readonly protocol: CommitProtocol;
  /** Cancelled when the caller withdraws. What the branch did by then counts. */
  readonly asking: CancellationScope;
  readonly decide: (decided: Decided) => void;
  readonly changed: () => void;
}

export async function commitInOnePhase(
  member: Member,
  context: TransactionContext,
  settings: CommitSettings,
  around: OnePhase,
): Promise<Decided> {
  if (!isOwnMember(member)) throw new Error('Nothing was changed: the only branch has no database.');
  const decided = await executed(member, context, settings, around);
  member.finish = { kind: decided.decision === 'commit' ? 'done' : 'not-needed' };
  around.decide(decided);
  return decided;
}

async function executed(
  member: OwnMember,
  context: TransactionContext,
  settings: CommitSettings,
  { protocol, asking, changed }: OnePhase,
): Promise<Decided> {
  try {
    const { result, locks } = await asking.run(() =>
      context.dispatcher.execute(callOf(member, context), {
        timeout: settings.timeouts.prepare,
        attemptTimeout: settings.attemptTimeout,
        retry: settings.retry,
        summary: `at ${member.branch.participant}, in one phase`,
      }),
    );
    member.result = { value: result };
    if (locks) await releaseLocks(member, context, settings);
    return { decision: 'commit', by: 'coordinator' };
  } catch (error) {
    const fate = fateOf(error);
    if (fate.kind === 'not-done') return aborted(fate.refusal.code, fate.refusal.message);
    return settled(member, context, settings, error, { protocol, changed });
  }
}

const releaseLocks = ({ branch }: OwnMember, { dispatcher, id }: TransactionContext, settings: CommitSettings) =>
  dispatcher.releaseLocks(branch.participant, id, {
    attemptTimeout: settings.attemptTimeout,
    retry: INSISTENT_RETRY,
    summary: `at ${branch.participant}`,
  });

/** Asks until the participant says what it did. A person may rule only when it never answers. */
async function settled(
  member: OwnMember,
  context: TransactionContext,
  settings: CommitSettings,
  error: unknown,
  { protocol, changed }: Pick<OnePhase, 'protocol' | 'changed'>,
): Promise<Decided> {
  const insisted = await insist<QueryAnswer>({
    attempt: (timeout) =>
      context.dispatcher
        .query(callOf(member, context), {
          timeout,
          attemptTimeout: settings.attemptTimeout,
          retry: INSISTENT_RETRY,
          summary: `at ${member.branch.participant}`,
        })
        .catch((failure: unknown) => {
          if (isMismatch(failure)) return { answer: 'never-applied' };
          throw failure;
        }),
    holdAfter: settings.timeouts.commit,
    hold: () => hold(context.id, member.id, 'decision'),
    onHeld: (cause, stuck) => {
      if (member.finish.kind !== 'overdue' && member.finish.kind !== 'held') countOverdue(protocol);
      member.finish = { kind: stuck ? 'held' : 'overdue', cause };
      changed();
    },
  });
  if (insisted.kind !== 'succeeded') throw new Error('Nothing was decided: the participant was given up.');
  const answer = insisted.value;
  switch (answer.answer) {
    case 'applied':
      member.result = { value: answer.result };
      if (answer.locks) await releaseLocks(member, context, settings);
      return { decision: 'commit', by: 'coordinator' };
    case 'refused':
      return aborted(answer.refusal.code, answer.refusal.message);
    case 'never-applied':
      return aborted(codeOf(error), messageOf(error));
  }
}

function codeOf(error: unknown): string {
  if (isCancellation(error)) return AbortCode.Cancelled;
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure
    ? AbortCode.TimedOut
    : AbortCode.Failed;
}

const aborted = (code: string, message: string): Decided => ({
  decision: 'abort',
  by: 'coordinator',
  reason: { code, message },
});
