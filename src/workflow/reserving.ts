/** The phases of try-confirm-cancel: everything is reserved, held for as long as somebody thinks it over, then decided. */
import type { Duration } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time';
import { CancellationScope, condition } from '@temporalio/workflow';
import { AbortCode, show } from '../protocol';
import type { AbortReason } from '../protocol';
import { alarm } from './alarm';
import { collectVotes, WITHDRAWN } from './collect-votes';
import { twoPhaseSettings } from './commit-options';
import type { CommitSettings, TwoPhaseCommitOptions } from './commit-options';
import { TransactionDefinitionError } from './errors';
import { messageOf, refusalOf } from './failures';
import { isRefusedNow, millisecondsOf, WITHIN_LIMITS } from './limits';
import { primaryOf } from './member';
import { INSISTENT_RETRY } from './options';
import { conclude } from './phases';
import type { Attempt, Phases } from './phases';

/** What is reserved waits for somebody. */
export interface Hold<Results = readonly unknown[]> {
  /** How long, 30 days at most. Then everything is cancelled. */
  readonly limit: Duration;
  /**
   * Whether to confirm. Called with what the tries returned, once all have succeeded; again when a new run of the workflow finds
   * it undecided. Its failure cancels everything, and a refusal is the reason. It is cancelled when the time is up.
   */
  until(reserved: Results): Promise<boolean>;
}

export interface TryConfirmCancelOptions<Results = readonly unknown[]> extends Pick<
  TwoPhaseCommitOptions,
  'id' | 'attemptTimeout' | 'retry' | 'failFast'
> {
  readonly timeouts?: {
    /** How long the tries may take, retries included. Silence then cancels. @default 30 seconds */
    readonly try?: Duration;
    /** After how long an unfinished confirmation is reported as overdue. It goes on being tried. @default 60 seconds */
    readonly confirm?: Duration;
    /** The same for a cancellation. @default 30 seconds */
    readonly cancel?: Duration;
  };
  readonly hold?: Hold<Results>;
}

export interface ReservingSettings extends CommitSettings {
  readonly hold: Hold | undefined;
}

/** @throws {TransactionDefinitionError} when a value is out of range */
export function reservingSettings<Results>({
  timeouts = {},
  hold,
  ...options
}: TryConfirmCancelOptions<Results>): ReservingSettings {
  const { try: prepare, confirm: commit, cancel: abort } = timeouts;
  const settings = twoPhaseSettings(
    {
      ...options,
      timeouts: {
        ...(prepare === undefined ? {} : { prepare }),
        ...(commit === undefined ? {} : { commit }),
        ...(abort === undefined ? {} : { abort }),
      },
      // A try holds no lock when it has ended: what meets contention is tried again where it is.
      attempts: 1,
      votes: 'answer',
    },
    { prepare: 'try', commit: 'confirm', abort: 'cancel' },
  );
  if (hold !== undefined && (!(millisecondsOf(hold.limit) > 0) || isRefusedNow(hold.limit)))
    throw new TransactionDefinitionError(`Nothing was started: hold.limit is ${show(hold.limit)}. ${WITHIN_LIMITS}`);
  // Cast: it is called with the results of the reservations that it was written for.
  return { ...settings, hold: hold as Hold | undefined, ...(hold ? { holdMs: msToNumber(hold.limit) } : {}) };
}

export const reservingPhases = (hold: Hold | undefined): Phases => ({
  protocol: 'try-confirm-cancel',
  onePhase: false,
  evidence: 'answer',
  async run(attempt) {
    const { ballot } = attempt.box;
    const asking = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
    const ended = await collectVotes({ ...attempt, ballot, asking });
    const declined =
      ended === undefined && hold && ballot.tally === 'commit' ? await holding(attempt, hold) : undefined;
    return conclude(attempt, ended ?? declined, asking);
  },
});

/** @returns why not to confirm */
async function holding(attempt: Attempt, hold: Hold): Promise<AbortReason | undefined> {
  // An earlier run may have decided: then nobody is asked again, and what we propose does not matter.
  switch (await unlessWithdrawn(attempt, () => isDecided(attempt))) {
    case true:
      return undefined;
    case 'withdrawn':
      return WITHDRAWN;
    case false:
  }
  attempt.enter('reserved');
  const thinking = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
  let end: { readonly reason?: AbortReason } | undefined;
  const watch = alarm(hold.limit, 'the hold ends', () => (end ??= { reason: EXPIRED }));
  void answerOf(attempt, hold, thinking).then((answer) => (end ??= answer));
  try {
    await condition(() => end !== undefined || attempt.withdrawn());
  } finally {
    watch.cancel();
    thinking.cancel();
  }
  return end === undefined ? WITHDRAWN : end.reason;
}

/** The register may be away for long, and the caller must not have to wait for it to be heard. */
async function unlessWithdrawn<T>({ withdrawn }: Attempt, ask: () => Promise<T>): Promise<T | 'withdrawn'> {
  const asking = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
  const asked = asking.run(ask);
  const answer = await Promise.race([asked, condition(withdrawn).then(() => 'withdrawn' as const)]);
  asking.cancel();
  await asked.catch(() => undefined); // Either it was answered, or nobody wants to know any more.
  return answer;
}

async function answerOf(
  { members }: Attempt,
  hold: Hold,
  thinking: CancellationScope,
): Promise<{ readonly reason?: AbortReason }> {
  try {
    const wanted = await thinking.run(() => hold.until(members.map(({ result }) => result?.value)));
    return wanted ? {} : { reason: DECLINED };
  } catch (error) {
    return { reason: refusalOf(error) ?? { code: AbortCode.Failed, message: messageOf(error) } };
  }
}

async function isDecided({ context, members, settings }: Attempt): Promise<boolean> {
  const { participant } = primaryOf(members).branch;
  const { id: transaction, request } = context;
  const about = { transaction, ...(request === undefined ? {} : { request }) };
  const decision = await context.dispatcher.readDecision(participant, about, {
    attemptTimeout: settings.attemptTimeout,
    retry: INSISTENT_RETRY,
    summary: `whether it is decided, at ${participant}`,
  });
  return decision !== 'none';
}

const EXPIRED: AbortReason = { code: AbortCode.TimedOut, message: 'The hold ended, and nobody had confirmed.' };
const DECLINED: AbortReason = { code: AbortCode.Declined, message: 'It was not wanted any more.' };
